"""Filling by scales: any picture and hole, nothing but the hole changed, nothing left unpainted, no seam."""

import numpy as np
import paddle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datasets.images import sample_photo, to_float
from inpainting import Inpainter, scales
from inpainting.scales import Network, fill_by_scales, plan
from models import MODELS, build_model
from tests.conftest import small_options

PAINTED = np.array([0.9, 0.1, 0.5], np.float32)


def painter(reach=10**9, colour=PAINTED):
    """A network of one colour that reaches so many pixels into a hole, and leaves what is deeper black."""

    def reached(mask):
        return scales._depth(mask) <= reach

    def run(image, mask, guide):
        return np.where(reached(mask)[..., None], colour, 0).astype(np.float32)

    return Network(run, False, reached)


def remembering(network):
    """The network, and the sizes of what it is shown."""
    sizes = []

    def run(image, mask, guide):
        sizes.append(mask.shape)
        return network.run(image, mask, guide)

    return Network(run, network.takes_coarse, network.reached), sizes


def disc(h, w, radius, at=None):
    y, x = np.ogrid[:h, :w]
    top, left = at or (h // 2, w // 2)
    return (y - top) ** 2 + (x - left) ** 2 < radius**2


@st.composite
def pictures_and_holes(draw):
    h, w = draw(st.integers(1, 200)), draw(st.integers(1, 200))
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    kind = draw(st.sampled_from(["specks", "blocks", "all but one", "none", "frame"]))
    hole = np.zeros([h, w], bool)
    if kind == "specks":
        hole = rng.random([h, w]) < rng.random()
    elif kind == "blocks":
        for _ in range(4):
            top, left = rng.integers(0, h), rng.integers(0, w)
            hole[top : top + rng.integers(1, h + 1), left : left + rng.integers(1, w + 1)] = True
    elif kind == "all but one":
        hole[:] = True
    elif kind == "frame":
        hole[:] = True
        hole[h // 4 : -(h // 4) or None, w // 4 : -(w // 4) or None] = False
    if hole.all():
        hole[rng.integers(0, h), rng.integers(0, w)] = False
    return rng.integers(150, 206, [h, w, 3], dtype=np.uint8), hole


@given(pictures_and_holes(), st.sampled_from([None, 2, 4, 12]), st.sampled_from([0, 3, 10**9]))
@settings(max_examples=150, deadline=None)
def test_any_picture_and_hole(pair, number, reach):
    """Of a bright picture and a network that paints bright nothing dark can come but what was left unpainted.

    A biharmonic surface leaves the range of the noise by up to half of it, here by some 30 of 255."""
    picture, hole = pair
    network = painter(reach, np.full(3, 0.8, np.float32))
    before = picture.copy()
    result = fill_by_scales(network, picture, hole, number)
    assert result.dtype == np.uint8 and result.shape == picture.shape
    np.testing.assert_array_equal(picture, before)
    np.testing.assert_array_equal(result[~hole], picture[~hole])
    assert not hole.any() or result[hole].min() > 30
    np.testing.assert_array_equal(fill_by_scales(network, picture, hole, number), result)


def guided(colour=PAINTED, keep=False):
    """A network that takes a guide, and paints one colour over it, or keeps it."""

    def run(image, mask, guide):
        painted = guide if keep and guide is not None else np.broadcast_to(colour, image.shape)
        return np.where(mask[..., None] > 0, image, painted).astype(np.float32)

    return Network(run, True, lambda mask: np.ones(mask.shape, bool))


def test_a_large_picture_is_painted_as_far_as_its_hole_is_worth():
    network, sizes = remembering(guided())
    hole = disc(2000, 2600, 600)
    result = fill_by_scales(network, np.full([2000, 2600, 3], 128, np.uint8), hole)
    most = scales._most_pixels(hole)
    assert most / 20 < sum(h * w for h, w in sizes) <= most
    assert (result[~hole] == 128).all() and np.abs(result[hole] - PAINTED * 255).max() < 130


def test_painting_in_tiles_keeps_what_lies_deep_inside(monkeypatch):
    """Near the edge the network paints, in the middle the coarser fill stays, and between there is no step."""
    monkeypatch.setattr(scales, "AT_ONCE", 64)
    monkeypatch.setattr(scales, "TILE", 32)
    monkeypatch.setattr(scales, "MARGIN", 16)
    monkeypatch.setattr(scales, "NEAR", 20)
    mask = 1 - disc(300, 300, 130).astype(np.uint8)
    image = np.full([300, 300, 3], 0.5, np.float32) * mask[..., None]
    fill = scales._paint_over(guided(np.full(3, 0.7, np.float32)), image, mask, np.full([150, 150, 3], 0.4, np.float32))
    depth = scales._depth(mask)
    np.testing.assert_allclose(fill[(depth > 0) & (depth < 20)], 0.7, atol=1e-5)
    np.testing.assert_allclose(fill[depth > 20 + 32 * 1.5 + 16], 0.4, atol=1e-5)
    for axis in (0, 1):
        inside = (mask == 0) & (np.roll(mask, 1, axis=axis) == 0)
        assert np.abs(fill - np.roll(fill, 1, axis=axis))[inside].max() < 0.08


@pytest.mark.parametrize("name", MODELS)
def test_every_network_fills_a_hole_that_is_too_large_for_it(name):
    """One stage reaches a few pixels into a hole: in one pass its middle stays black."""
    paddle.seed(0)
    model = build_model(name, **small_options(name, depth=1))
    picture = np.full([300, 260, 3], 200, np.uint8)
    hole = disc(300, 260, 100)
    single, filled = (Inpainter(model, number)(picture, hole) for number in (1, "auto"))
    if name in ("pconv_unet", "pconv_residual_unet"):
        assert not single[150, 130].any()
        assert plan(Inpainter(model)._network(flip=False), hole)[0].level > 3
    assert not (filled[hole] == 0).all(axis=1).any()
    np.testing.assert_array_equal(filled[~hole], picture[~hole])


def test_a_network_works_at_the_scale_it_knows():
    """A hole is never deeper there than it was in training, and as deep as that."""
    for radius in (5, 15, 30, 70, 140):
        network, sizes = remembering(painter())
        hole = disc(400, 400, radius)
        fill_by_scales(network, np.full([400, 400, 3], 128, np.uint8), hole)
        [group] = plan(network, hole)
        depth = scales._depth(group.masks[group.level]).max()
        assert depth <= scales.DEPTH + 1 and (radius < scales.DEPTH or depth > scales.DEPTH / 2 - 2)
        assert len(sizes) == 1


def test_there_is_no_seam_at_the_edge_of_a_hole():
    """A network whose colours are off by a fifth: at the edge the fill still meets the picture."""
    y, x = np.mgrid[:256, :256] / 256
    smooth = np.stack([0.2 + 0.5 * y, 0.6 - 0.3 * x, 0.4 + 0.2 * x * y], axis=-1)
    picture, hole = np.rint(smooth * 255).astype(np.uint8), disc(256, 256, 60)
    network = Network(lambda image, mask, guide: image + 0.2, False, lambda mask: np.ones(mask.shape, bool))
    result = fill_by_scales(network, picture, hole).astype(int)
    for axis in (0, 1):
        steps = np.abs(np.diff(result, axis=axis))
        across = np.diff(hole, axis=axis)
        assert steps[across].max() <= 8


def test_halves_are_means_of_the_known_pixels():
    picture = np.random.default_rng(0).integers(0, 256, [37, 50, 3], dtype=np.uint8)
    mask = (np.random.default_rng(1).random([37, 50]) < 0.3).astype(np.uint8)
    masks = scales._halved_masks(mask)[:3]
    for level, image in enumerate(scales._halved_images(picture, masks), start=1):
        side = 2**level
        for i, j in np.ndindex(masks[level].shape):
            window = (slice(i * side, (i + 1) * side), slice(j * side, (j + 1) * side))
            known = mask[window] == 1
            assert masks[level][i, j] == known.any()
            expected = picture[window][known].mean(axis=0) / 255 if known.any() else 0
            np.testing.assert_allclose(image[i, j], expected, atol=1e-6)


def test_one_scale_is_the_single_pass_to_the_bit():
    paddle.seed(0)
    model = build_model("pconv_unet", base_channels=4, depth=3)
    model.eval()
    picture, hole = sample_photo("chelsea")[:90, :70], disc(90, 70, 20)
    mask = 1 - hole.astype("float32")[None]
    image = paddle.to_tensor((to_float(picture) * mask)[None])
    output = model(image, paddle.to_tensor(mask[None])).numpy()[0].transpose(1, 2, 0)
    expected = np.where(hole[..., None], np.rint(np.clip(output, 0, 1) * 255), picture)
    np.testing.assert_array_equal(Inpainter(model, scales=1)(picture, hole), expected)
