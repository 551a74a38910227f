"""A photograph extended beyond its border (outpainting): the new border is hole, known pixels stay bit for bit."""

from dataclasses import replace

import numpy as np

from datasets.images import MAX_PIXELS
from datasets.photographs import Photograph
from utils.errors import InputError

Margins = tuple[int, int, int, int]  # left, top, right, bottom, in pixels


def extend_photograph(photograph: Photograph, hole: np.ndarray, margins: Margins) -> tuple[Photograph, np.ndarray]:
    """The photograph and its hole with a border added, opaque, black and to be filled.

    Shape:
        hole: bool [H, W].   Returns pixels [top+H+bottom, left+W+right, 3] and a hole of that size.
    Raises:
        InputError: more pixels than are read.
    Example:
        >>> photograph = Photograph(np.ones([2, 3, 3], np.uint8))
        >>> extended, hole = extend_photograph(photograph, np.zeros([2, 3], bool), (1, 0, 0, 2))
        >>> extended.size, int(hole.sum())
        ((4, 4), 10)
    """
    left, top, right, bottom = margins
    height, width = photograph.size[0] + top + bottom, photograph.size[1] + left + right
    if height * width > MAX_PIXELS:
        raise InputError(
            f"expected a result of {MAX_PIXELS // 10**6} million pixels at most, got {width}x{height}; extend by less"
        )

    def bordered(array: np.ndarray, value: int) -> np.ndarray:
        border = [(top, bottom), (left, right)] + [(0, 0)] * (array.ndim - 2)
        return np.pad(array, border, constant_values=value)

    alpha = None if photograph.alpha is None else bordered(photograph.alpha, 255)
    return replace(photograph, pixels=bordered(photograph.pixels, 0), alpha=alpha), bordered(hole, True)
