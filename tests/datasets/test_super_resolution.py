"""The mask rule of super-resolution, against a loop over the pixels of the small picture."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datasets.inpainting import GeneratedMasks
from datasets.super_resolution import factor_of, lattice, mask_name, shrink, spread
from utils.errors import InputError

factors, sides = st.integers(2, 16), st.integers(1, 40)


def by_the_rule(small, factor):
    """(x, y) of the small picture goes to (K·x + ⌊K/2⌋, K·y + ⌊K/2⌋); only these are valid."""
    height, width = small.shape[:2]
    large, mask = np.zeros([factor * height, factor * width, 3], np.uint8), np.zeros([factor * height, factor * width])
    for y in range(height):
        for x in range(width):
            large[factor * y + factor // 2, factor * x + factor // 2] = small[y, x]
            mask[factor * y + factor // 2, factor * x + factor // 2] = 1
    return large, mask


@given(sides, sides, factors, st.integers(0, 99))
def test_pixels_stand_where_the_paper_puts_them(height, width, factor, seed):
    small = np.random.default_rng(seed).integers(1, 256, [height, width, 3], dtype=np.uint8)
    large, mask = by_the_rule(small, factor)
    np.testing.assert_array_equal(spread(small, factor), large)
    np.testing.assert_array_equal(lattice(*large.shape[:2], factor), mask)
    np.testing.assert_array_equal(shrink(large, factor), small)


def test_masks_of_each_factor_are_drawn_and_no_others():
    masks, rng = GeneratedMasks(shape="super_resolution", factors=(2, 5)), np.random.default_rng(0)
    drawn = {masks.draw(rng, 20).tobytes() for _ in range(30)}
    assert drawn == {lattice(20, 20, factor).tobytes() for factor in (2, 5)}


def test_a_masks_name_says_its_factor():
    assert [factor_of(mask_name(factor)) for factor in (2, 16)] == [2, 16]
    for name in ("super_resolution:1", "super_resolution:17", "super_resolution:2,3", "super_resolution:", "m.png"):
        with pytest.raises(InputError, match="expected a mask name such as super_resolution:4"):
            factor_of(name)
