"""A photograph filled, or extended and filled, with all that belongs to it: what test.py and the web page share."""

from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np

from datasets.images import MAX_PIXELS
from datasets.photographs import Photograph
from utils.errors import InputError

LIGHT = np.array([0.299, 0.587, 0.114], np.float32)  # of red, green and blue, ITU-R BT.601
Margins = tuple[int, int, int, int]  # left, top, right, bottom, in pixels


def fill_photograph(
    inpainter: Callable[[np.ndarray, np.ndarray], np.ndarray], photograph: Photograph, hole: np.ndarray
) -> Photograph:
    """The photograph with its hole filled; pixels outside it are the same, and so are transparency and all else.

    What lies under full transparency is not shown to the network, since it may be anything. A photograph without colour
    is filled with grey, also one whose file has three channels.

    Args:
        inpainter: an ``Inpainter``, or what fills as it does.
    Shape:
        hole: bool [H, W], True = to be filled.
    """
    pixels = photograph.pixels
    unseen = hole if photograph.alpha is None else hole | (photograph.alpha == 0)
    filled = inpainter(pixels, unseen)
    if unseen is not hole:
        beside = unseen & ~hole
        filled[beside] = pixels[beside]
    if _has_no_colour(pixels, unseen):
        filled[hole] = np.rint(filled[hole] @ LIGHT)[:, None]
    return photograph.with_pixels(filled)


def _has_no_colour(pixels: np.ndarray, hole: np.ndarray) -> bool:
    red, green, blue = (channel[~hole] for channel in cv2.split(pixels))
    return np.array_equal(red, green) and np.array_equal(red, blue)


def extend_photograph(photograph: Photograph, hole: np.ndarray, margins: Margins) -> tuple[Photograph, np.ndarray]:
    """The photograph and its hole with a border added, opaque, black and to be filled.

    Shape:
        hole: bool [H, W].   Returns pixels [top+H+bottom, left+W+right, 3] and a hole of that size.
    """
    left, top, right, bottom = margins
    height, width = photograph.size[0] + top + bottom, photograph.size[1] + left + right
    refuse_too_large(height, width)

    def bordered(array: np.ndarray, value: int) -> np.ndarray:
        border = [(top, bottom), (left, right)] + [(0, 0)] * (array.ndim - 2)
        return np.pad(array, border, constant_values=value)

    alpha = None if photograph.alpha is None else bordered(photograph.alpha, 255)
    return replace(photograph, pixels=bordered(photograph.pixels, 0), alpha=alpha), bordered(hole, True)


def refuse_too_large(height: int, width: int) -> None:
    """Refuse a result that would not be read again."""
    if height * width > MAX_PIXELS:
        raise InputError(f"expected a result of {MAX_PIXELS // 10**6} million pixels at most, got {width}x{height}")
