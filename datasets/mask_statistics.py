"""What the holes of a mask look like in three numbers, to hold drawn masks against published ones.

Two sets of masks can share their hole ratios and yet differ in difficulty: a broad hole is harder to fill than thin
streaks of the same area.
"""

from typing import NamedTuple

import cv2
import numpy as np


class MaskStatistics(NamedTuple):
    """depth: px; islands: a count; perimeter: a share of the hole's pixels, 0 to 1."""

    depth: float
    islands: float
    perimeter: float


def mask_statistics(mask: np.ndarray) -> MaskStatistics:
    """The statistics of one mask [H, W], 1 = valid, 0 = hole.

    depth: mean over the hole's pixels of the Euclidean distance in px, centre to centre, to the nearest known pixel (so
        at least 1); beyond the picture nothing is known.
    islands: 4-connected regions of known pixels other than the largest one.
    perimeter: the share of the hole's pixels that have a known pixel among their four neighbours.
    """
    hole = (mask == 0).astype(np.uint8)
    if hole.all() or not hole.any():
        raise ValueError("expected a mask with known pixels and hole pixels, got all of one kind")
    depths = cv2.distanceTransform(hole, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    regions, _ = cv2.connectedComponents(1 - hole, connectivity=4)  # regions: the background is counted too
    inside = cv2.erode(hole, cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3)))  # past the border: as hole
    count = int(hole.sum())
    return MaskStatistics(float(depths.sum() / count), regions - 2, 1 - int(inside.sum()) / count)
