"""A fixed set of pictures and holes on which a run measures itself, and the sample grids it shows."""

import functools
import itertools
import logging
from collections.abc import Callable, Iterator

import numpy as np

from datasets.inpainting import PictureSource
from datasets.mask_generator import generate_mask
from datasets.masks import BUCKETS, border_kind, bucket_of, hole_ratio
from datasets.transforms import center_resize
from engine import distributed
from engine.classical import mean
from errors import InputError
from metrics.buckets import Sample, bucket_rows
from metrics.image_quality import l1_percent, psnr, ssim

log = logging.getLogger("paddle_pconv")


class ValidationSet:
    """The first ``count`` pictures, centred, each with a generated hole; the buckets in turn, on and off the border.

    The holes are the same in every run, whatever its seed, so runs over the same pictures can be compared.
    """

    def __init__(self, pictures: PictureSource, image_size: int, count: int):
        readable = list(itertools.islice(_readable(pictures), count))
        if not readable:
            raise InputError(
                f"expected validation pictures, none of the {len(pictures)} can be read: check the dataset"
            )
        self.names, originals = zip(*itertools.islice(itertools.cycle(readable), count), strict=True)
        self.gts = [center_resize(picture, image_size) for picture in originals]
        self.masks = [
            generate_mask(
                np.random.default_rng([2, i]), image_size, image_size, BUCKETS[i % 6], border=(i // 6) % 2 == 1
            )
            for i in range(count)
        ]

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
        """Input, mask, output, composite, truth side by side, one row for each bucket: name to uint8 [S, 5·S, 3]."""
        rows = {}
        for gt, mask in zip(self.gts, self.masks, strict=True):
            name = bucket_of(hole_ratio(mask))
            if name not in rows:
                rows[name] = sample_row(gt, mask, inpainter.raw(gt, mask == 0))
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


def sample_row(gt: np.ndarray, mask: np.ndarray, output: np.ndarray) -> np.ndarray:
    """Input (hole white), mask (hole white), output, composite and truth side by side: uint8 [H, 5·W, 3]."""
    hole = (mask == 0)[..., None]
    shown_mask = np.repeat(np.where(hole, 255, 0).astype(np.uint8), 3, axis=2)
    return np.concatenate(
        [np.where(hole, 255, gt).astype(np.uint8), shown_mask, output, np.where(hole, output, gt), gt], axis=1
    )
