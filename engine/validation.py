"""A fixed set of pictures and holes on which a run measures itself."""

import itertools
import logging
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from datasets.inpainting import Pictures
from datasets.mask_generator import generate_box, generate_mask, generate_wide
from datasets.masks import BUCKETS, SPARSE, border_kind, bucket_of, hole_ratio
from datasets.super_resolution import lattice
from datasets.transforms import center_resize, center_window
from engine import distributed
from inpainting.views import sample_row
from metrics.buckets import Sample, bucket_rows
from metrics.image_quality import l1_percent, psnr, ssim
from utils.errors import InputError

log = logging.getLogger("paddle_pconv")


class ValidationSet:
    """``count`` pictures, evenly spaced over the source and centred, each with a generated hole.

    A picture that cannot be read is replaced by another one; of fewer than ``count`` pictures some are used
    again under other holes. Irregular holes go through the buckets in turn. The holes are the same in every run,
    whatever its seed, so that runs over the same pictures can be compared.

    Args:
        shape, factors: see ``datasets.inpainting.GeneratedMasks``; factors are taken in turn, and under the holes of
            super-resolution pictures keep their resolution.
    """

    def __init__(
        self,
        pictures: Pictures,
        image_size: int,
        count: int,
        shape: str = "irregular",
        factors: Sequence[int] = (),
    ):
        readable = list(itertools.islice(_readable(pictures, count), count))
        if not readable:
            raise InputError(
                f"expected validation pictures, none of the {len(pictures)} can be read: check the dataset"
            )
        self.names, originals = zip(*itertools.islice(itertools.cycle(readable), count), strict=True)
        middle = center_window if shape == "super_resolution" else center_resize
        self.gts = [middle(picture, image_size) for picture in originals]
        self.masks = [_hole(shape, i, image_size, factors) for i in range(count)]

    def measure(self, inpaint: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> list[dict]:
        """Rows of ``metrics.buckets.bucket_rows`` for ``inpaint(picture, hole)`` over the set, composite protocol.

        Of several processes each measures a share; all get the rows of the whole.
        """
        items = list(zip(self.names, self.gts, self.masks, strict=True))
        share = items[distributed.rank() :: distributed.world_size()]
        return bucket_rows(distributed.gathered([_measure(*item, inpaint) for item in share]))

    def samples(self, inpainter) -> dict[str, np.ndarray]:
        """One ``sample_row`` for each bucket, by its name."""
        rows = {}
        for gt, mask in zip(self.gts, self.masks, strict=True):
            if (name := _row_of(mask)) not in rows:
                rows[name] = sample_row(gt, mask, inpainter.views(gt, mask == 0))
        return rows


def _measure(name: str, gt: np.ndarray, mask: np.ndarray, inpaint: Callable) -> Sample:
    comp, ratio = inpaint(gt, mask == 0), hole_ratio(mask)
    quality = l1_percent(gt, comp), psnr(gt, comp), ssim(gt, comp)
    return Sample(name, "generated", _row_of(mask), border_kind(mask), ratio, *quality)


def _row_of(mask: np.ndarray) -> str:
    """A generated mask has a bucket, unless it is super-resolution's."""
    return bucket_of(hole_ratio(mask)) or SPARSE


def overall(rows: Sequence[dict]) -> dict[str, float | None]:
    """Means of l1_percent, psnr and ssim over all pairs, from rows of ``metrics.buckets.bucket_rows``; and their count.

    Identical pairs have no PSNR: without others its mean is None.
    """
    by_bucket = [row for row in rows if row["border"] == "all"]
    counts = {"l1_percent": "count", "psnr": "finite", "ssim": "count"}
    weighed = [row | {"finite": row["count"] - row["identical"]} for row in by_bucket]
    means = {measure: _mean([(row[measure], row[count]) for row in weighed]) for measure, count in counts.items()}
    return {"count": sum(row["count"] for row in by_bucket), **means}


def _mean(values: Sequence[tuple[float | None, int]]) -> float | None:
    """Of values, each with its weight."""
    total = sum(weight for _, weight in values)
    return sum(value * weight for value, weight in values if weight) / total if total else None


def _readable(pictures: Pictures, count: int) -> Iterator[tuple[str, np.ndarray]]:
    """Names and pictures: ``count`` evenly spaced ones, then the others; what cannot be read is reported."""
    spaced = (i * len(pictures) // count for i in range(count))
    for index in dict.fromkeys((*spaced, *range(len(pictures)))):
        try:
            yield pictures.name(index), pictures[index]
        except InputError as error:
            log.warning("skipping %s: %s", pictures.name(index), error)


def _hole(shape: str, number: int, size: int, factors: Sequence[int]) -> np.ndarray:
    """Of each twelve masks the last six touch the border, or are boxes if both shapes are wanted."""
    rng, in_second_half = np.random.default_rng([2, number]), (number // len(BUCKETS)) % 2 == 1
    if shape == "super_resolution":
        return lattice(size, size, factors[number % len(factors)])
    if shape == "wide":
        return generate_wide(rng, size, size)
    if shape == "box" or (shape == "both" and in_second_half):
        return generate_box(rng, size, size)
    return generate_mask(rng, size, size, BUCKETS[number % len(BUCKETS)], border=in_second_half)
