"""Statistics of a set of masks by hole area and border, compared with the published test masks."""

from collections import defaultdict

import numpy as np

from datasets.mask_statistics import MaskStatistics, mask_statistics
from datasets.masks import border_kind, bucket_of, hole_ratio, resize_mask
from datasets.published_masks import ROWS, STATISTICS

MEASURED_SIDE = 256  # px: lengths in px are of masks of this side
MEASURED = 100  # masks of each row, whose figures are off by chance by some 3 % in depth, by 12 % in islands


class Survey:
    """Counts and figures of masks, taken one after another.

    Example:
        >>> survey, mask = Survey(), np.ones([64, 64], np.float32)
        >>> mask[20:40, 20:40] = 0
        >>> survey.add(mask)
        ('0.01-0.1', 'N')
        >>> print(survey.table().splitlines()[-1])
        | (0.01, 0.1] | N | 1 | 9.8 | 13.84 (3.28) | 0.00 (3.62) | 0.049 (0.244) |
    """

    def __init__(self) -> None:
        self.ratios: dict[tuple[str, str], list[float]] = defaultdict(list)
        self.outside = 0  # masks whose hole lies in no bucket
        self._figures: dict[tuple[str, str], list[MaskStatistics]] = defaultdict(list)

    def add(self, mask: np.ndarray) -> tuple[str, str] | None:
        """Take a mask [H, W] in; its bucket and border, or None outside all buckets."""
        if (row := row_of_mask(mask)) is None:
            self.outside += 1
            return None
        self.ratios[row].append(hole_ratio(mask))
        if len(self._figures[row]) < MEASURED:
            self._figures[row].append(mask_statistics(_of_side(mask, MEASURED_SIDE)))
        return row

    def table(self) -> str:
        """The rows as a Markdown table, the published masks' figures in brackets."""
        header = ["hole", "border", "masks", "mean hole %", "depth px", "islands", "perimeter"]
        rows = [row for row in ROWS if self.ratios[row]]
        lines = [header, ["---"] * len(header), *map(self._line, rows)]
        return "\n".join("| " + " | ".join(line) + " |" for line in lines)

    def _line(self, row: tuple[str, str]) -> list[str]:
        means, published = np.mean(self._figures[row], axis=0), STATISTICS[row]
        figures = [f"{a:.{d}f} ({b:.{d}f})" for a, b, d in zip(means, published, (2, 2, 3), strict=True)]
        bucket = "({}, {}]".format(*row[0].split("-"))
        ratios = self.ratios[row]
        return [bucket, row[1], str(len(ratios)), f"{100 * np.mean(ratios):.1f}", *figures]


def row_of_mask(mask: np.ndarray) -> tuple[str, str] | None:
    """The names of a mask's bucket and border; None outside all buckets."""
    bucket = bucket_of(hole_ratio(mask))
    return bucket and (bucket, border_kind(mask))


def _of_side(mask: np.ndarray, side: int) -> np.ndarray:
    """With the shorter side brought to ``side`` px."""
    scale = side / min(mask.shape)
    return resize_mask(mask, *(max(1, round(length * scale)) for length in mask.shape))
