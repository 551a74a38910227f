"""Statistics of a set of masks by hole area and border, compared with the published test masks, and a contact sheet.

``Survey`` takes one mask after another and keeps only a few thumbnails of each row.
"""

from collections import defaultdict
from collections.abc import Iterable

import cv2
import numpy as np

from datasets.mask_statistics import MaskStatistics, mask_statistics
from datasets.masks import BUCKET_NAMES, border_kind, bucket_of, hole_ratio, resize_mask
from datasets.published_masks import BORDERS, ROWS, STATISTICS

MEASURED_SIDE = 256  # px: lengths in px are of masks of this side
MEASURED = 100  # masks of each row, whose figures are off by chance by some 3 % in depth, by 12 % in islands
SHOWN = 8  # masks of each row
THUMBNAIL, GAP, LABEL, HEAD = 96, 4, 96, 24  # px
SHADES = {"hole": 255, "known": 60, "paper": 160}


class Survey:
    """Counts, figures and a few pictures of masks.

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
        self._shown: dict[tuple[str, str], list[np.ndarray]] = defaultdict(list)

    def add(self, mask: np.ndarray) -> tuple[str, str] | None:
        """Take a mask [H, W] in; its bucket and border, or None outside all buckets."""
        if (row := row_of_mask(mask)) is None:
            self.outside += 1
            return None
        self.ratios[row].append(hole_ratio(mask))
        if len(self._figures[row]) < MEASURED:
            self._figures[row].append(mask_statistics(_of_side(mask, MEASURED_SIDE)))
        if len(self._shown[row]) < SHOWN:
            self._shown[row].append(_thumbnail(mask))
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

    def sheet(self) -> np.ndarray:
        """The first masks of each row in one picture uint8 [H, W], holes white: a line a bucket, N left of B."""
        cell = THUMBNAIL + GAP
        sheet = np.full([HEAD + cell * len(BUCKET_NAMES), LABEL + cell * 2 * SHOWN + GAP], SHADES["paper"], np.uint8)
        for side, border in enumerate(BORDERS):
            _write(sheet, border, LABEL + cell * side * SHOWN + THUMBNAIL // 2, HEAD - 8)
            for line, bucket in enumerate(BUCKET_NAMES):
                top = HEAD + line * cell
                _write(sheet, bucket, 4, top + THUMBNAIL // 2)
                for place, picture in enumerate(self._shown[bucket, border]):
                    left = LABEL + cell * (side * SHOWN + place) + GAP * side
                    sheet[top : top + THUMBNAIL, left : left + THUMBNAIL] = picture
        return sheet


def row_of_mask(mask: np.ndarray) -> tuple[str, str] | None:
    """The names of a mask's bucket and border; None outside all buckets."""
    bucket = bucket_of(hole_ratio(mask))
    return bucket and (bucket, border_kind(mask))


def survey_of(masks: Iterable[np.ndarray]) -> Survey:
    survey = Survey()
    for mask in masks:
        survey.add(mask)
    return survey


def _of_side(mask: np.ndarray, side: int) -> np.ndarray:
    """With the shorter side brought to ``side`` px."""
    scale = side / min(mask.shape)
    return resize_mask(mask, *(max(1, round(length * scale)) for length in mask.shape))


def _thumbnail(mask: np.ndarray) -> np.ndarray:
    known = cv2.resize(np.float32(mask), (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA)
    return np.uint8(SHADES["hole"] + known * (SHADES["known"] - SHADES["hole"]))


def _write(sheet: np.ndarray, text: str, x: int, y: int) -> None:
    cv2.putText(sheet, text, (x, y), cv2.FONT_HERSHEY_SIMPLEX, 0.5, 0, 1, cv2.LINE_AA)
