"""A photograph's hole filled, and all that belongs to the photograph kept: what test.py and the web page share."""

from collections.abc import Callable

import numpy as np

from datasets.photographs import Photograph

LIGHT = np.array([0.299, 0.587, 0.114], np.float32)  # of red, green and blue, ITU-R BT.601


def fill_photograph(
    inpainter: Callable[[np.ndarray, np.ndarray], np.ndarray], photograph: Photograph, hole: np.ndarray
) -> Photograph:
    """The photograph with its hole filled; pixels outside it are the same, and so are transparency and all else.

    What lies under full transparency is not shown to the network: nobody knows what it is. A grey photograph is filled
    with grey.

    Args:
        inpainter: an ``Inpainter``, or what fills as it does.
    Shape:
        hole: bool [H, W], True = to be filled.
    Raises:
        InputError: as the inpainter; nothing is left that is known.
    """
    pixels = photograph.pixels
    unseen = hole if photograph.alpha is None else hole | (photograph.alpha == 0)
    filled = inpainter(pixels, unseen)
    if unseen is not hole:
        beside = unseen & ~hole
        filled[beside] = pixels[beside]
    if photograph.grey:
        filled[hole] = np.rint(filled[hole] @ LIGHT)[:, None]
    return photograph.with_pixels(filled)
