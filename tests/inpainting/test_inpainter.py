"""Filling one picture: any size, known pixels untouched."""

from pathlib import Path

import numpy as np
import paddle
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from inpainting import Inpainter
from models import MODELS, build_model
from tests.conftest import small_options
from utils.errors import InputError


def picture_and_hole(h=37, w=53):
    rng = np.random.default_rng(0)
    hole = np.zeros([h, w], bool)
    hole[5:20, 10:30] = True
    return rng.integers(0, 256, [h, w, 3], dtype=np.uint8), hole


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("size", [(37, 53), (1, 200), (64, 64)])
def test_known_pixels_come_back_bit_for_bit(name, size):
    inpainter = Inpainter(build_model(name, **small_options(name)))
    picture, _ = picture_and_hole(*size)
    hole = np.random.default_rng(1).random(size) < 0.3
    result = inpainter(picture, hole)
    assert result.shape == picture.shape and result.dtype == np.uint8
    np.testing.assert_array_equal(result[~hole], picture[~hole])
    assert not np.array_equal(result[hole], picture[hole])


SHIPPED = Path(__file__).resolve().parents[2] / "weights"


@pytest.fixture(scope="module")
def shipped():
    """The networks that come with the project, by scales and detail."""
    found = {
        (name, scales, detail): Inpainter.from_checkpoint(SHIPPED / name, scales=scales, detail=detail)
        for name, scales, detail in [("general", "auto", True), ("general", 1, False), ("demo", "auto", False)]
        if (SHIPPED / name / "meta.json").is_file()
    }
    return found or pytest.skip("no weights are shipped")


@given(
    st.integers(1, 90),
    st.integers(1, 90),
    st.integers(0, 999),
    st.integers(0, 2),
    st.sampled_from([0, 0.02, 0.5, 0.97]),
)
@settings(max_examples=16, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_shipped_networks_fill_any_hole_of_a_bright_picture_brightly(shipped, height, width, seed, which, share):
    """Known pixels are equal, nothing is NaN (which no uint8 can be: NumPy would say so), nothing stays black."""
    rng = np.random.default_rng(seed)
    picture = rng.integers(160, 200, [height, width, 3], dtype=np.uint8)
    hole = rng.random([height, width]) < share
    top, left = rng.integers(0, height), rng.integers(0, width)
    hole[top : top + height // 2 + 1, left : left + width // 2 + 1] = True
    hole[rng.integers(0, height), rng.integers(0, width)] = False
    with np.errstate(invalid="raise"):
        result = list(shipped.values())[which % len(shipped)](picture, hole)
    assert result.shape == picture.shape and result.dtype == np.uint8
    np.testing.assert_array_equal(result[~hole], picture[~hole])
    assert not hole.any() or result[hole].min() > 60


@pytest.mark.parametrize(("prior", "scales"), [("none", "auto"), ("smooth", "auto"), ("smooth", 1)])
def test_a_network_sees_mirrored_picture_where_its_size_does_not_fit(prior, scales, monkeypatch):
    model = build_model("pconv_unet", base_channels=4, depth=3, prior=prior)
    seen, paint = [], model.paint
    monkeypatch.setattr(
        model, "paint", lambda image, mask, surfaces: (seen.append(mask), paint(image, mask, surfaces))[1]
    )
    picture, hole = picture_and_hole()
    Inpainter(model, scales)(picture, hole)
    assert seen and all(side % 8 == 0 for mask in seen for side in mask.shape[2:])
    known = 1 - hole
    expected = np.pad(known, [(0, 40 - 37), (0, 56 - 53)], mode="symmetric")
    np.testing.assert_array_equal(seen[0].numpy()[0, 0], expected)


def painting_prior_network():
    """A small network on a prior whose last layer is not at zero any more."""
    paddle.seed(0)
    model = build_model("pconv_unet", base_channels=4, depth=2, prior="smooth")
    last = model.decoder[-1].conv.weight
    last.set_value(paddle.randn(last.shape) * 0.1)
    return model


def test_what_is_painted_in_both_directions_knows_neither_left_nor_right():
    inpainter = Inpainter(painting_prior_network(), scales=1, flip=True)
    picture, hole = picture_and_hole()
    result = inpainter(picture, hole)
    np.testing.assert_array_equal(inpainter(picture[:, ::-1], hole[:, ::-1]), result[:, ::-1])
    assert not np.array_equal(result, Inpainter(inpainter.model, scales=1)(picture, hole))
    np.testing.assert_array_equal(inpainter.raw(picture, hole), Inpainter(inpainter.model, 1).raw(picture, hole))


def test_only_the_first_pass_is_painted_twice_on_request():
    model, (picture, hole) = painting_prior_network(), picture_and_hole()
    mask = (~hole).astype("float32")
    image = (picture / 255).astype("float32") * mask[..., None]
    guide = np.random.default_rng(1).random(image.shape).astype("float32")
    off, first, on = (Inpainter(model)._network(flip=flip) for flip in (False, "first", True))
    for coarse, same, other in ((None, on, off), (guide, off, on)):
        result = first.run(image, mask, coarse)
        np.testing.assert_array_equal(result, same.run(image, mask, coarse))
        assert not np.array_equal(result, other.run(image, mask, coarse))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p, h: (p.astype("float32"), h), "expected uint8"),
        (lambda p, h: (p, h[:-1]), "expected 37x53 as the picture, got 36x53"),
        (lambda p, h: (p, h * 255), "boolean array"),
        (lambda p, h: (p, np.ones_like(h)), "hole over all that is visible"),
    ],
)
def test_mistakes_are_named(change, message):
    with pytest.raises(InputError, match=message):
        Inpainter(build_model("pconv_unet", base_channels=4, depth=2))(*change(*picture_and_hole()))


def test_a_network_with_a_prior_paints_on_surfaces_made_the_fast_way():
    model = painting_prior_network()
    network = Inpainter(model)._network(flip=False)
    picture, hole = picture_and_hole()
    mask = (~hole).astype("float32")
    image = (picture / 255).astype("float32") * mask[..., None]
    for guide in (None, np.random.default_rng(1).random(image.shape).astype("float32")):
        planes = [t.transpose(2, 0, 1)[None] for t in (image, mask[..., None], guide) if t is not None]
        with paddle.no_grad():
            expected = model(*map(paddle.to_tensor, planes)).numpy()[0].transpose(1, 2, 0)
        np.testing.assert_allclose(network.run(image, mask, guide), expected, atol=1e-4)


@pytest.mark.parametrize("value", [3.4e38, -3.4e38, 1e9])
@pytest.mark.parametrize("options", [{}, {"prior": "smooth", "norm": "none"}], ids=["paper", "prior"])
@pytest.mark.parametrize("scales", ["auto", 1])
def test_weights_that_are_finite_and_absurd_are_refused_by_what_comes_out(value, options, scales):
    model = build_model("pconv_unet", base_channels=4, depth=2, **options)
    for parameter in (model.encoder[0].conv.weight, model.decoder[-1].conv.weight):
        parameter.set_value(paddle.full(parameter.shape, value))
    picture, hole = np.full([32, 32, 3], 200, np.uint8), np.zeros([32, 32], bool)
    hole[8:20, 8:20] = True
    with pytest.raises(InputError, match="expected a network whose output lies near"):
        Inpainter(model, scales=scales)(picture, hole)


def test_detail_paints_the_hole_alone_and_flat_ground_exactly():
    picture, hole = picture_and_hole(90, 120)
    picture[60:88, 60:110] = (255, 0, 0)
    hole[70:80, 70:100] = True
    inpainter = Inpainter(build_model("pconv_unet", base_channels=4, depth=3), detail=True)
    result = inpainter(picture, hole)
    np.testing.assert_array_equal(result[~hole], picture[~hole])
    assert (result[70:80, 70:100] == (255, 0, 0)).all()


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("ResourceExhaustedError: Out of memory error on CPU")])
def test_memory_that_ends_in_the_midst_is_told_of_the_picture(error, monkeypatch):
    inpainter = Inpainter(build_model("pconv_unet", base_channels=4, depth=2))
    picture, hole = np.zeros([64, 48, 3], np.uint8), np.zeros([64, 48], bool)
    hole[20:30, 20:30] = True

    def fail(*_):
        raise error

    monkeypatch.setattr(type(inpainter.model), "forward", fail)
    with pytest.raises(InputError, match="a picture of 48x64 pixels: expected more memory than the system could give"):
        inpainter(picture, hole)


@pytest.mark.parametrize("name", MODELS)
def test_what_is_out_of_reach_comes_back_without_a_pixel_painted(name):
    inpainter = Inpainter(build_model(name, **small_options(name, depth=2)))
    hole, painted = np.zeros([80, 80], bool), np.zeros([80, 80], bool)
    hole[4:76, 4:76] = True
    for seed in range(3):  # a painted pixel may be black by chance, not in every picture
        picture = np.random.default_rng(seed).integers(1, 256, [80, 80, 3], dtype=np.uint8)
        painted |= inpainter.raw(picture, hole).any(axis=2)
    assert inpainter.reaches(hole) == (name not in ("pconv_unet", "pconv_residual_unet"))
    assert not (painted & hole & ~inpainter._reached(~hole)).any()
