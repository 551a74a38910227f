"""Super-resolution as inpainting: a large picture of which only every K-th pixel is known.

For a factor K, pixel (x, y) of the small picture is at (K·x + ⌊K/2⌋, K·y + ⌊K/2⌋) of the large one; these positions
are valid in the mask, all others are hole (Liu et al. 2018, arXiv:1804.07723, section 5). The reverse
rule makes a small picture from a large one by taking every K-th pixel, without averaging.
"""

import re

import numpy as np

from utils.errors import InputError, one_line

SMALLEST, LARGEST = 2, 16  # factors
MASK = "super_resolution:"  # of a mask's name in a manifest, with the factor behind it


def lattice(height: int, width: int, factor: int) -> np.ndarray:
    """The mask of a large picture, float32 [height, width], 1 at the pixels of the small one."""
    mask = np.zeros([height, width], np.float32)
    mask[factor // 2 :: factor, factor // 2 :: factor] = 1
    return mask


def cut(picture: np.ndarray, factor: int) -> np.ndarray:
    """The picture cropped below and to the right to multiples of the factor."""
    height, width = (side - side % factor for side in picture.shape[:2])
    if not (height and width):
        raise InputError(
            f"expected a picture of at least {factor}x{factor} pixels for a factor of {factor}, got "
            f"{picture.shape[1]}x{picture.shape[0]}: take a smaller factor or a larger picture"
        )
    return picture[:height, :width]


def shrink(picture: np.ndarray, factor: int) -> np.ndarray:
    """The small picture [h, w, ...] of a large one [K·h, K·w, ...]: every K-th pixel, as it is."""
    return picture[factor // 2 :: factor, factor // 2 :: factor]


def spread(small: np.ndarray, factor: int) -> np.ndarray:
    """The large picture [K·h, K·w, ...] with the small one's pixels in their places, 0 elsewhere."""
    large = np.zeros([factor * small.shape[0], factor * small.shape[1], *small.shape[2:]], small.dtype)
    large[factor // 2 :: factor, factor // 2 :: factor] = small
    return large


def mask_name(factor: int) -> str:
    """The mask's name in a manifest."""
    return f"{MASK}{factor}"


def factor_of(name: str) -> int:
    """The factor in a mask's name, as ``mask_name`` gives it."""
    found = re.fullmatch(f"{MASK}([0-9]{{1,2}})", name, re.ASCII)
    if not found or not SMALLEST <= int(found[1]) <= LARGEST:
        raise InputError(f"expected a mask name such as {MASK}4, got {one_line(name, 80)!r}")
    return int(found[1])
