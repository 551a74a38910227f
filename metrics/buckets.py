"""Means over the pairs of each mask-area bucket, with holes that touch the border and holes that do not kept apart.

Buckets are (lo, hi] in the share of hole pixels at the evaluated size. In each bucket ``all`` is every pair, N those
whose hole keeps off the border, B those whose hole comes near it.
"""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from datasets.masks import ROW_NAMES

BORDER_ROWS = ("all", "N", "B")


@dataclass(frozen=True)
class Sample:
    """One evaluated pair: names as in the manifest, hole_ratio in [0, 1], psnr in dB (inf when identical).

    vgg_distance is None where it was not measured.
    """

    image: str
    mask: str
    bucket: str | None
    border: str
    hole_ratio: float
    l1_percent: float
    psnr: float
    ssim: float
    vgg_distance: float | None = None


def bucket_rows(samples: Sequence[Sample]) -> list[dict]:
    """One row for each bucket and border that has a pair, in the order of the published tables.

    A row holds bucket, border, count, the means l1_percent, psnr and ssim, and how many pairs are identical. Identical
    pairs have no finite PSNR and are left out of its mean, which is None when there is no other pair. Where the pairs
    have a vgg_distance, its mean is there too.

    Example:
        >>> pair = Sample("a.png", "m.png", "0.1-0.2", "N", 0.15, 0.0, math.inf, 1.0)
        >>> bucket_rows([pair])[0]
        {'bucket': '0.1-0.2', 'border': 'all', 'count': 1, 'l1_percent': 0.0, 'psnr': None, 'ssim': 1.0, 'identical': 1}
    """
    return [_row(*group) for group in grouped(samples)]


def grouped(samples: Sequence[Sample]) -> Iterator[tuple[str, str, list[Sample]]]:
    """Bucket, border and the samples there, for each that has one, in the order of the published tables."""
    for bucket in ROW_NAMES:
        for border in BORDER_ROWS:
            if chosen := [s for s in samples if s.bucket == bucket and border in ("all", s.border)]:
                yield bucket, border, chosen


def _row(bucket: str, border: str, samples: Sequence[Sample]) -> dict:
    finite = [s.psnr for s in samples if math.isfinite(s.psnr)]
    distances = [s.vgg_distance for s in samples if s.vgg_distance is not None]
    return {
        "bucket": bucket,
        "border": border,
        "count": len(samples),
        "l1_percent": _mean(s.l1_percent for s in samples),
        "psnr": _mean(finite) if finite else None,
        "ssim": _mean(s.ssim for s in samples),
        "identical": len(samples) - len(finite),
        **({"vgg_distance": _mean(distances)} if len(distances) == len(samples) else {}),
    }


def _mean(values: Iterable[float]) -> float:
    values = list(values)
    return math.fsum(values) / len(values)  # fsum: the order of the pairs leaves no trace in the last digits
