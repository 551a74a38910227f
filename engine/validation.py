"""A fixed set of pictures and holes on which a run measures itself."""

import functools
import itertools
import logging
from collections.abc import Callable, Iterator

import numpy as np

from datasets.inpainting import PictureSource
from datasets.mask_generator import generate_box, generate_mask
from datasets.masks import BUCKETS, border_kind, bucket_of, hole_ratio
from datasets.transforms import center_resize
from engine import distributed
from errors import InputError
from inpainting.classical import mean
from inpainting.views import sample_row
from metrics.buckets import Sample, bucket_rows
from metrics.image_quality import l1_percent, psnr, ssim

log = logging.getLogger("paddle_pconv")


class ValidationSet:
    """The first ``count`` pictures, centred, each with a generated hole.

    Irregular ones are of the buckets in turn. The holes are the same in every run, whatever its seed, so runs over the
    same pictures can be compared.

    Args:
        shape: see ``datasets.inpainting.GeneratedMasks``.
    """

    def __init__(self, pictures: PictureSource, image_size: int, count: int, shape: str = "irregular"):
        readable = list(itertools.islice(_readable(pictures), count))
        if not readable:
            raise InputError(
                f"expected validation pictures, none of the {len(pictures)} can be read: check the dataset"
            )
        self.names, originals = zip(*itertools.islice(itertools.cycle(readable), count), strict=True)
        self.gts = [center_resize(picture, image_size) for picture in originals]
        self.boxes = [shape == "box" or (shape == "both" and _in_second_half(i)) for i in range(count)]
        self.masks = [_box(i, image_size) if box else _irregular(i, image_size) for i, box in enumerate(self.boxes)]

    def measure(self, inpaint: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> list[dict]:
        """Rows of ``metrics.buckets.bucket_rows`` for ``inpaint(picture, hole)`` over the set, composite protocol.

        Of several processes each measures a share; all get the rows of the whole.
        """
        items = list(zip(self.names, self.gts, self.masks, strict=True))
        share = items[distributed.rank() :: distributed.world_size()]
        return bucket_rows(distributed.gathered([_measure(*item, inpaint) for item in share]))

    @functools.cached_property
    def mean_fill_psnr(self) -> float:
        """What filling each hole with the picture's mean colour gives, in dB: less is no painting."""
        return float(np.mean([psnr(gt, mean(gt, mask == 0)) for gt, mask in zip(self.gts, self.masks, strict=True)]))

    def samples(self, inpainter) -> dict[str, np.ndarray]:
        """One ``sample_row`` for each bucket, irregular and box, by its name."""
        rows = {}
        for gt, mask, box in zip(self.gts, self.masks, self.boxes, strict=True):
            name = bucket_of(hole_ratio(mask)) + ("-box" if box else "")
            if name not in rows:
                rows[name] = sample_row(gt, mask, inpainter.views(gt, mask == 0))
        return rows


def _measure(name: str, gt: np.ndarray, mask: np.ndarray, inpaint: Callable) -> Sample:
    comp, ratio = inpaint(gt, mask == 0), hole_ratio(mask)
    quality = l1_percent(gt, comp), psnr(gt, comp), ssim(gt, comp)
    return Sample(name, "generated", bucket_of(ratio), border_kind(mask), ratio, *quality)


def _readable(pictures: PictureSource) -> Iterator[tuple[str, np.ndarray]]:
    """Names and pictures in order; one that cannot be read is reported and left out."""
    for i in range(len(pictures)):
        try:
            yield pictures.name(i), pictures[i]
        except InputError as error:
            log.warning("skipping %s: %s", pictures.name(i), error)


def _in_second_half(number: int) -> bool:
    """Of each twelve masks the last six come to the border, or are boxes where both shapes are asked."""
    return (number // len(BUCKETS)) % 2 == 1


def _irregular(number: int, size: int) -> np.ndarray:
    bucket = BUCKETS[number % len(BUCKETS)]
    return generate_mask(np.random.default_rng([2, number]), size, size, bucket, border=_in_second_half(number))


def _box(number: int, size: int) -> np.ndarray:
    return generate_box(np.random.default_rng([2, number]), size, size)
