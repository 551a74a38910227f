"""NVIDIA's 12,000 published test masks: their numbering, and how they are recognised.

Six area buckets of 2,000 in order; in each, the first thousand stay off the border (the paper's rows N), the second
thousand may touch it (B). 512 x 512 px, white = hole. The masks are not part of this project; the figures here were
measured on 4,800 of them, the first 400 of each thousand.

Source: Liu et al. 2018, arXiv:1804.07723, section 4.1; the numbers' meaning was checked on those 4,800.
"""

import hashlib
import re

import numpy as np

from datasets.mask_statistics import MaskStatistics
from datasets.masks import BUCKET_NAMES

COUNT, PER_ROW, SIDE = 12_000, 1000, 512
BORDERS = ("N", "B")
ROWS = tuple((bucket, border) for bucket in BUCKET_NAMES for border in BORDERS)

# By row: depth in px, islands and perimeter, means over 400 masks brought from 512 to 256 px with resize_mask; and the
# ``digest`` of the first mask of the thousand.
_TABLE = """
3.28 3.62 0.244 0f71b9d0f6badb3b
3.23 4.87 0.252 dcfe9f75fb9b123b
4.25 9.18 0.177 5cdc3fee43f6fb65
4.19 11.38 0.185 632ba5125efe861a
5.26 11.12 0.130 494342cdac36e621
5.00 17.63 0.146 4e3d0b11569fe58e
6.81 11.34 0.095 88d10fa904b8bdb6
6.01 18.17 0.109 68c60ac15f11c948
8.70 12.67 0.072 050704f8b20849de
7.15 19.43 0.087 ca06406cb78c8b54
15.30 5.42 0.041 f88b1c9f0a4bfdaa
12.18 11.57 0.050 eafb9ca933c6b4be
"""
_LINES = [line.split() for line in _TABLE.split("\n")[1:-1]]
STATISTICS = {row: MaskStatistics(*map(float, line[:3])) for row, line in zip(ROWS, _LINES, strict=True)}
DIGESTS = tuple(line[3] for line in _LINES)


def row_of(number: int) -> tuple[str, str]:
    """Bucket and border of a mask's number, 0 to 11,999.

    Example:
        >>> row_of(0), row_of(1000), row_of(11_999)
        (('0.01-0.1', 'N'), ('0.01-0.1', 'B'), ('0.5-0.6', 'B'))
    """
    return ROWS[number // PER_ROW]


def number_of(name: str) -> int | None:
    """The number in a published mask's file name, 00000.png to 11999.png; None for other names.

    Example:
        >>> number_of("N/00400.png"), number_of("12000.png"), number_of("mask_1.png")
        (400, None, None)
    """
    found = re.fullmatch(r"([0-9]{5})\.[a-z]+", name.rpartition("/")[2].lower())
    number = int(found[1]) if found else COUNT
    return number if number < COUNT else None


def digest(hole: np.ndarray) -> str:
    """A hash of a hole bool [H, W], independent of the file format."""
    return hashlib.sha256(np.packbits(hole).tobytes()).hexdigest()[:16]
