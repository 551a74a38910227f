"""Holes in flat colour, as text on a plain ground: filled with exactly that colour, which networks miss by a little."""

import cv2
import numpy as np

from inpainting.boxes import box_around

RING = 3  # pixels around a hole that must be flat
TOLERANCE = 2  # grey levels between the least and the greatest of them, in each channel


def fill_flat(filled: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """Fill holes around which all known pixels have one colour with that colour; returns where: bool [H, W].

    Holes that are closer together than two rings count as one.

    Shape:
        filled: uint8 [H, W, 3], changed in place.   hole: bool [H, W].
    """
    flat = np.zeros_like(hole)
    if not hole.any():
        return flat
    at = box_around(hole).grown(RING, *hole.shape).slices
    holes, pixels = hole[at], filled[at]
    around = cv2.dilate(holes.astype(np.uint8), np.ones([2 * RING + 1] * 2, np.uint8))
    count, labels = cv2.connectedComponents(around, connectivity=8)
    ring = (around > 0) & ~holes
    low, high = np.full([count, 3], 255), np.zeros([count, 3], int)
    np.minimum.at(low, labels[ring], pixels[ring])
    np.maximum.at(high, labels[ring], pixels[ring])
    is_flat = (high >= low).all(axis=1) & (high - low <= TOLERANCE).all(axis=1)
    is_flat[0] = False
    flat[at] = is_flat[labels] & holes
    pixels[flat[at]] = ((low + high) // 2)[labels[flat[at]]]
    return flat
