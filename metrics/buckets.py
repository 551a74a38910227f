"""Means over the pairs of each mask-area bucket, with holes that touch the border and holes that do not kept apart.

Buckets are (lo, hi] in the share of hole pixels at the evaluated size. In each bucket ``all`` is every pair, N those
whose hole keeps off the border, B those whose hole comes near it.
"""

import functools
import math
import operator
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from datasets.masks import ROW_NAMES
from metrics.realism import FeatureSums

BORDER_ROWS = ("all", "N", "B")
ALL = "all"  # the bucket of the row over all pairs


@dataclass(frozen=True)
class Sample:
    """One evaluated pair: names as in the manifest, hole_ratio in [0, 1], psnr in dB (inf when identical).

    Measures of realism (``metrics.realism``) are None where they were not taken; ``features`` are those of pool3.
    """

    image: str
    mask: str
    bucket: str | None
    border: str
    hole_ratio: float
    l1_percent: float
    psnr: float
    ssim: float
    style: float | None = None
    sharpness: float | None = None
    features: FeatureSums | None = field(default=None, compare=False, repr=False)


def bucket_rows(samples: Sequence[Sample]) -> list[dict]:
    """One row for each bucket and border that has a pair, in the order of the published tables, then one for all pairs.

    A row holds bucket, border, count, the means l1_percent, psnr and ssim, and how many pairs are identical. Identical
    pairs have no finite PSNR and are left out of its mean, which is None when there is no other pair. Where realism was
    measured, there are also the means style and sharpness and the set's Fréchet distance, None where there is none.
    """
    return [row_of(*group) for group in grouped(samples)]


def grouped(samples: Sequence[Sample]) -> Iterator[tuple[str, str, list[Sample]]]:
    """Bucket, border and samples of each that has one; then all samples, also those outside every bucket."""
    for bucket in ROW_NAMES:
        for border in BORDER_ROWS:
            if chosen := [s for s in samples if s.bucket == bucket and border in ("all", s.border)]:
                yield bucket, border, chosen
    yield ALL, ALL, list(samples)


def row_of(bucket: str, border: str, samples: Sequence[Sample]) -> dict:
    """The row of these samples."""
    finite = [s.psnr for s in samples if math.isfinite(s.psnr)]
    return {
        "bucket": bucket,
        "border": border,
        "count": len(samples),
        "l1_percent": _mean(s.l1_percent for s in samples),
        "psnr": _mean(finite),
        "ssim": _mean(s.ssim for s in samples),
        "identical": len(samples) - len(finite),
        **(_realism(samples) if has_realism(samples) else {}),
    }


def has_realism(samples: Iterable[Sample]) -> bool:
    """Whether realism was measured; a pair without a hole has none."""
    return any(s.style is not None for s in samples)


def area(bucket: str) -> str:
    """How a bucket is written in tables.

    Example:
        >>> area("0.1-0.2"), area("all")
        ('(0.1, 0.2]', 'all')
    """
    return bucket if bucket == ALL else "({}, {}]".format(*bucket.split("-"))


def _realism(samples: Sequence[Sample]) -> dict[str, float | None]:
    features = [s.features for s in samples if s.features is not None]
    total = functools.reduce(operator.add, features) if features else None
    return {
        "style": _mean(s.style for s in samples if s.style is not None),
        "sharpness": _mean(s.sharpness for s in samples if s.sharpness is not None),
        "frechet": total and total.frechet(),
    }


def _mean(values: Iterable[float]) -> float | None:
    values = list(values)
    return math.fsum(values) / len(values) if values else None  # fsum: the same digits in any order of the pairs
