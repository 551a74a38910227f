"""Grain carried into a hole: where the picture has some, where it has none, and never beside the hole."""

import numpy as np
import pytest

import inpainting.detail as detail
from inpainting.detail import Sources, add_detail, find_sources

HEIGHT, WIDTH = 96, 128


@pytest.fixture
def hole():
    hole = np.zeros([HEIGHT, WIDTH], bool)
    hole[30:66, 20:56] = hole[30:66, 76:112] = True
    return hole


@pytest.fixture
def half_grainy(hole):
    """Dark with grain on the left, bright without on the right: with its holes filled by the colour, and the truth."""
    smooth = np.full([HEIGHT, WIDTH, 3], 60, np.uint8)
    smooth[:, WIDTH // 2 :] = 180
    grain = np.random.default_rng(0).normal(0, 20, smooth.shape)
    grain[:, WIDTH // 2 :] = 0
    truth = np.clip(smooth + grain, 0, 255).astype(np.uint8)
    return np.where(hole[..., None], smooth, truth), truth


def deep(half):
    """Pixels of that half's hole in which the grain counts fully."""
    inside = np.zeros([HEIGHT, WIDTH], bool)
    inside[42:54, slice(32, 44) if half == "left" else slice(88, 100)] = True
    return inside


@pytest.mark.parametrize(("places", "least"), [(detail.PLACES, 0.5), (60, 0.3)])
def test_grain_comes_where_the_picture_has_it_and_only_there(half_grainy, hole, places, least, monkeypatch):
    monkeypatch.setattr(detail, "PLACES", places)  # 60: they are looked for at a coarser scale, and grain is mixed more
    filled, truth = half_grainy
    result = add_detail(filled, hole).astype(float)
    expected = detail.STRENGTH * truth[deep("left")].std()
    assert least * expected < result[deep("left")].std() < 1.3 * expected
    assert abs(result[deep("left")].mean() - 60) < 4
    assert result[deep("right")].std() < 1


def test_the_edge_of_the_hole_stays_as_it_was_filled(half_grainy, hole):
    filled, _ = half_grainy
    result = add_detail(filled, hole)
    edge = hole.copy()
    edge[32:64, 22:54] = edge[32:64, 78:110] = False
    np.testing.assert_array_equal(result[edge], filled[edge])


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (9, 7), (33, 34), (80, 61)])
@pytest.mark.parametrize("share", [0.05, 0.5, 0.9])
def test_known_pixels_come_back_bit_for_bit(size, share):
    rng = np.random.default_rng(1)
    filled = rng.integers(0, 256, [*size, 3], dtype=np.uint8)
    hole = np.zeros(size, bool)
    hole[: int(share * size[0]), : max(1, size[1] // 2)] = True
    before = filled.copy()
    result = add_detail(filled, hole)
    np.testing.assert_array_equal(result[~hole], filled[~hole])
    np.testing.assert_array_equal(filled, before)


def test_twice_is_the_same(half_grainy, hole):
    filled, _ = half_grainy
    np.testing.assert_array_equal(add_detail(filled, hole), add_detail(filled, hole))


def test_strips_of_any_height_give_the_same(half_grainy, hole, monkeypatch):
    filled, _ = half_grainy
    whole = add_detail(filled, hole)
    assert (whole != filled).any()
    monkeypatch.setattr(detail, "STRIP", 7)
    np.testing.assert_array_equal(add_detail(filled, hole), whole)


def test_no_source_touches_the_hole(half_grainy, hole):
    sources = find_sources(half_grainy[0].astype(np.float32), hole)
    for row, column in np.ndindex(sources.offsets.shape[:2]):
        offset = sources.offsets[row, column]
        if offset.any():
            y, x = np.array([row, column]) * sources.step + offset
            reach = detail.REACH
            assert not hole[y - reach : y + reach + 1, x - reach : x + reach + 1].any()


def test_with_nothing_known_at_hand_nothing_is_changed():
    filled = np.random.default_rng(2).integers(0, 256, [20, 20, 3], dtype=np.uint8)
    hole = np.ones([20, 20], bool)
    hole[0, 0] = False
    assert find_sources(filled.astype(np.float32), hole) is None
    np.testing.assert_array_equal(add_detail(filled, hole), filled)


def test_grain_is_weighed_by_the_nearness_of_places():
    rng = np.random.default_rng(3)
    grain = rng.standard_normal([24, 32, 2]).astype(np.float32)
    sources = Sources(rng.integers(-3, 4, [4, 5, 2]), 8)
    rows, columns = (a.ravel() for a in np.mgrid[4:20, 4:28])
    carried = sources.carry(grain, rows, columns)
    for y, x, got in zip(rows, columns, carried, strict=True):
        expected = np.zeros(2)
        for place in np.ndindex(4, 5):
            nearness = max(0, 1 - abs(y - 8 * place[0]) / 8) * max(0, 1 - abs(x - 8 * place[1]) / 8)
            dy, dx = sources.offsets[place]
            expected += nearness * grain[np.clip(y + dy, 0, 23), np.clip(x + dx, 0, 31)]
        np.testing.assert_allclose(got, expected, atol=1e-5)


def test_finer_sources_are_the_same_places():
    sources = Sources(np.array([[[1, -2]]]), 4).finer()
    assert sources.step == 8 and sources.offsets.tolist() == [[[2, -4]]]
