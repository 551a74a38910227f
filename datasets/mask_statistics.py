"""Sets of masks in figures, beside NVIDIA's 12,000 published test masks.

Two sets of masks can share their hole ratios and yet differ in difficulty: a broad hole is harder to fill than thin
streaks of the same area.

The published masks (512 x 512 px, white = hole) are not part of this project. They are numbered: six area buckets of
2,000 in order; in each, the first thousand stay off the border (the paper's rows N), the second thousand may touch it
(B). Source: Liu et al. 2018, arXiv:1804.07723, section 4.1; checked on 4,800 of them, the first 400 of each thousand.
"""

from collections import defaultdict
from typing import NamedTuple

import cv2
import numpy as np

from datasets.masks import BUCKET_NAMES, border_kind, bucket_of, hole_ratio, resize_mask

MEASURED_SIDE = 256  # px: lengths in px are of masks of this side
MEASURED = 100  # masks of each row, whose figures are off by chance by some 3 % in depth, by 12 % in islands
ROWS = tuple((bucket, border) for bucket in BUCKET_NAMES for border in ("N", "B"))


class MaskStatistics(NamedTuple):
    """depth: px; islands: a count; perimeter: a share of the hole's pixels, 0 to 1."""

    depth: float
    islands: float
    perimeter: float


PUBLISHED = {  # of 400 masks of each row, brought from 512 to 256 px with resize_mask
    row: MaskStatistics(*figures)
    for row, figures in zip(
        ROWS,
        (
            (3.28, 3.62, 0.244),
            (3.23, 4.87, 0.252),
            (4.25, 9.18, 0.177),
            (4.19, 11.38, 0.185),
            (5.26, 11.12, 0.130),
            (5.00, 17.63, 0.146),
            (6.81, 11.34, 0.095),
            (6.01, 18.17, 0.109),
            (8.70, 12.67, 0.072),
            (7.15, 19.43, 0.087),
            (15.30, 5.42, 0.041),
            (12.18, 11.57, 0.050),
        ),
        strict=True,
    )
}


def mask_statistics(mask: np.ndarray) -> MaskStatistics:
    """The statistics of one mask [H, W], 1 = valid, 0 = hole, with pixels of both kinds.

    depth: mean over the hole's pixels of the Euclidean distance in px, centre to centre, to the nearest known pixel (so
        at least 1); beyond the picture nothing is known.
    islands: 4-connected regions of known pixels other than the largest one.
    perimeter: the share of the hole's pixels that have a known pixel among their four neighbours.
    """
    hole = (mask == 0).astype(np.uint8)
    depths = cv2.distanceTransform(hole, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    regions, _ = cv2.connectedComponents(1 - hole, connectivity=4)  # regions: the background is counted too
    inside = cv2.erode(hole, cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3)))  # past the border: as hole
    count = int(hole.sum())
    return MaskStatistics(float(depths.sum() / count), regions - 2, 1 - int(inside.sum()) / count)


def row_of_mask(mask: np.ndarray) -> tuple[str, str] | None:
    """The names of a mask's bucket and border; None outside all buckets."""
    bucket = bucket_of(hole_ratio(mask))
    return bucket and (bucket, border_kind(mask))


class Survey:
    """Counts and figures of masks, taken one after another.

    Example:
        >>> survey, mask = Survey(), np.ones([64, 64], np.float32)
        >>> mask[20:40, 20:40] = 0
        >>> survey.add(mask)
        ('0.01-0.1', 'N')
        >>> print(survey.table().splitlines()[-1])
        | 0.01-0.1 | N | 1 | 9.8 | 13.84 (3.28) | 0.00 (3.62) | 0.049 (0.244) |
    """

    def __init__(self) -> None:
        self.ratios: dict[tuple[str, str] | None, list[float]] = defaultdict(list)  # None: outside all buckets
        self._figures: dict[tuple[str, str], list[MaskStatistics]] = defaultdict(list)

    def add(self, mask: np.ndarray) -> tuple[str, str] | None:
        """Take a mask [H, W] in; its bucket and border, or None outside all buckets."""
        row = row_of_mask(mask)
        self.ratios[row].append(hole_ratio(mask))
        if row and len(self._figures[row]) < MEASURED:
            scale = MEASURED_SIDE / min(mask.shape)
            small = resize_mask(mask, *(max(1, round(length * scale)) for length in mask.shape))
            self._figures[row].append(mask_statistics(small))
        return row

    def table(self) -> str:
        """The rows as a Markdown table, the published masks' figures in brackets."""
        lines = ["| hole | border | masks | mean hole % | depth px | islands | perimeter |", "|" + " --- |" * 7]
        for row in ROWS:
            if ratios := self.ratios.get(row):
                means = np.mean(self._figures[row], axis=0)
                pairs = zip(means, PUBLISHED[row], (2, 2, 3), strict=True)
                figures = " | ".join(f"{mean:.{digits}f} ({published:.{digits}f})" for mean, published, digits in pairs)
                lines.append(f"| {row[0]} | {row[1]} | {len(ratios)} | {100 * np.mean(ratios):.1f} | {figures} |")
        return "\n".join(lines)
