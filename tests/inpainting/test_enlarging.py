"""Interpolation through the places of super-resolution's known pixels: what it must keep."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datasets.photographs import Photograph
from datasets.super_resolution import shrink, spread
from inpainting.enlarging import INTERPOLATIONS, interpolate, spread_photograph


def noise(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, [height, width, 3], dtype=np.uint8)


@given(st.integers(1, 9), st.integers(1, 9), st.integers(2, 6), st.sampled_from(INTERPOLATIONS))
def test_known_pixels_come_back_and_a_plain_picture_stays_plain(height, width, factor, name):
    small = noise(height, width)
    np.testing.assert_array_equal(shrink(interpolate(small, factor, name), factor), small)
    assert (interpolate(np.full([height, width], 77, np.uint8), factor, name) == 77).all()


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_bicubic_follows_a_ramp_through_the_known_pixels(factor):
    """Exact for straight lines, where the known pixels really stand: half a pixel off would show."""
    ramp = np.tile(np.arange(0, 240, dtype=np.uint8)[:, None], [1, factor])[: 20 * factor]
    within = slice(2 * factor, -2 * factor)
    found = interpolate(shrink(ramp, factor), factor, "bicubic")
    np.testing.assert_array_equal(found[within], ramp[within])


def test_a_photograph_is_spread_with_its_transparency():
    alpha = np.full([4, 5], 255, np.uint8)
    alpha[0] = 0
    large, hole = spread_photograph(Photograph(noise(4, 5), alpha), 3)
    np.testing.assert_array_equal(large.pixels, spread(noise(4, 5), 3))
    np.testing.assert_array_equal(shrink(large.alpha, 3), alpha)
    assert large.alpha.shape == hole.shape == (12, 15) and hole.sum() == 8 * 20
