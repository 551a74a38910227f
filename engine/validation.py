"""A fixed set of pictures and holes on which a run measures itself."""

import functools
import hashlib
import itertools
import logging
import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np

from datasets.inpainting import Pictures
from datasets.mask_generator import generate_box, generate_mask, generate_wide
from datasets.masks import BUCKETS, SPARSE, border_kind, bucket_of, hole_ratio
from datasets.super_resolution import lattice
from datasets.transforms import center_resize, center_window
from engine import distributed
from inpainting.classical import mean
from inpainting.views import sample_row
from metrics.buckets import Sample, bucket_rows
from metrics.image_quality import l1_percent, psnr, ssim
from utils.errors import InputError

log = logging.getLogger("paddle_pconv")


class ValidationSet:
    """``count`` pictures, evenly spaced over the source and centred, each with a generated hole.

    A picture that cannot be read is replaced by the next one that can; of fewer than ``count`` pictures some are used
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
        readable = list(_spread(pictures, count))
        if not readable:
            raise InputError(
                f"expected validation pictures, none of the {len(pictures)} can be read: check the dataset"
            )
        self.names, originals = zip(*itertools.islice(itertools.cycle(readable), count), strict=True)
        middle = center_window if shape == "super_resolution" else center_resize
        self.gts = [middle(picture, image_size) for picture in originals]
        self.boxes = [shape == "box" or (shape == "both" and _in_second_half(i)) for i in range(count)]
        if shape == "super_resolution":
            self.masks = [lattice(image_size, image_size, factors[i % len(factors)]) for i in range(count)]
        elif shape == "wide":
            self.masks = [generate_wide(np.random.default_rng([2, i]), image_size, image_size) for i in range(count)]
        else:
            self.masks = [_box(i, image_size) if b else _irregular(i, image_size) for i, b in enumerate(self.boxes)]

    def measure(self, inpaint: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> list[dict]:
        """Rows of ``metrics.buckets.bucket_rows`` for ``inpaint(picture, hole)`` over the set, composite protocol.

        Of several processes each measures a share; all get the rows of the whole.
        """
        items = list(zip(self.names, self.gts, self.masks, strict=True))
        share = items[distributed.rank() :: distributed.world_size()]
        return bucket_rows(distributed.gathered([_measure(*item, inpaint) for item in share]))

    @functools.cached_property
    def mean_fill_psnr(self) -> float | None:
        """PSNR of filling each hole with the picture's mean colour, in dB: a baseline that training must pass.

        Pairs that it fills perfectly are left out, as of every mean; None if all are.
        """
        found = [psnr(gt, mean(gt, mask == 0)) for gt, mask in zip(self.gts, self.masks, strict=True)]
        finite = [value for value in found if math.isfinite(value)]
        return float(np.mean(finite)) if finite else None

    @functools.cached_property
    def fingerprint(self) -> str:
        """SHA-256 of pictures and holes, shortened."""
        digest = hashlib.sha256()
        for array in (*self.gts, *self.masks):
            digest.update(np.ascontiguousarray(array))
        return digest.hexdigest()[:16]

    def samples(self, inpainter) -> dict[str, np.ndarray]:
        """One ``sample_row`` for each bucket, irregular and box, by its name."""
        rows = {}
        for gt, mask, box in zip(self.gts, self.masks, self.boxes, strict=True):
            name = _row_of(mask) + ("-box" if box else "")
            if name not in rows:
                rows[name] = sample_row(gt, mask, inpainter.views(gt, mask == 0))
        return rows


def _measure(name: str, gt: np.ndarray, mask: np.ndarray, inpaint: Callable) -> Sample:
    comp, ratio = inpaint(gt, mask == 0), hole_ratio(mask)
    quality = l1_percent(gt, comp), psnr(gt, comp), ssim(gt, comp)
    return Sample(name, "generated", _row_of(mask), border_kind(mask), ratio, *quality)


def _row_of(mask: np.ndarray) -> str:
    """A generated mask has a bucket, unless it is super-resolution's."""
    return bucket_of(hole_ratio(mask)) or SPARSE


def _spread(pictures: Pictures, count: int) -> Iterator[tuple[str, np.ndarray]]:
    """Names and pictures, ``count`` where there are as many; one that cannot be read is reported and passed over."""
    total, tried = len(pictures), set()
    for wanted in (i * total // min(count, total) for i in range(min(count, total))):
        for index in ((wanted + step) % total for step in range(total)):
            if index in tried:
                continue
            tried.add(index)
            try:
                yield pictures.names[index], pictures[index]
                break
            except InputError as error:
                log.warning("skipping %s: %s", pictures.names[index], error)


def _in_second_half(number: int) -> bool:
    """Of each twelve masks the last six touch the border, or are boxes if both shapes are wanted."""
    return (number // len(BUCKETS)) % 2 == 1


def _irregular(number: int, size: int) -> np.ndarray:
    bucket = BUCKETS[number % len(BUCKETS)]
    return generate_mask(np.random.default_rng([2, number]), size, size, bucket, border=_in_second_half(number))


def _box(number: int, size: int) -> np.ndarray:
    return generate_box(np.random.default_rng([2, number]), size, size)
