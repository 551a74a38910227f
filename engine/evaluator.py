"""Fill each pair's hole and measure the result: the loop behind ``eval.py``.

    picture, mask ─ resize ─ fill the hole ─ comp = mask·gt + (1 − mask)·output, 8 bits ─ l1 %, PSNR, SSIM

The method is any function (picture uint8 [H, W, 3], hole bool [H, W]) -> uint8 [H, W, 3], so that classical methods are
measured without a deep-learning framework.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from datasets.images import read_picture, sample_photo
from datasets.masks import border_kind, bucket_of, hole_ratio, polarity_warning, read_mask, resize_mask
from datasets.transforms import center_resize
from errors import InputError
from metrics.buckets import Sample
from metrics.image_quality import SSIM_WINDOW, l1_percent, psnr, ssim
from metrics.manifest import GENERATED, SAMPLE, Pair, generate, spread

PROTOCOLS = ("composite", "raw")


@dataclass(frozen=True)
class PairReader:
    """Reads the picture and the mask that a pair names.

    Args:
        images, masks: the folders that the names are relative to; None where all names are samples or generated.
        hole: the colour of the hole in mask files, "white" or "black".
        size: side in pixels to which the picture is cut and resized; None keeps its own size.
    """

    images: Path | None = None
    masks: Path | None = None
    hole: str = "white"
    size: int | None = None

    def __call__(self, pair: Pair) -> tuple[np.ndarray, np.ndarray]:
        """The picture uint8 [H, W, 3] and its mask float32 [H, W] at the evaluated size.

        Raises:
            InputError: a file that is missing, corrupt or no mask; a picture too small to be measured.
        """
        picture = self._picture(pair.image)
        height, width = picture.shape[:2]
        if min(height, width) < SSIM_WINDOW:
            raise InputError(
                f"{pair.image}: {width}x{height} pixels, but SSIM needs {SSIM_WINDOW} at least on each side: "
                "choose a larger --size or take the picture out"
            )
        if pair.mask.startswith(GENERATED):
            return picture, generate(pair.mask, height, width)
        return picture, resize_mask(read_mask(self.masks / pair.mask, hole=self.hole), height, width)

    def _picture(self, name: str) -> np.ndarray:
        sample = name.startswith(SAMPLE)
        picture = sample_photo(name.removeprefix(SAMPLE)) if sample else read_picture(self.images / name)
        return picture if self.size is None else center_resize(picture, self.size)


def evaluate(
    pairs: Sequence[Pair],
    read: Callable[[Pair], tuple[np.ndarray, np.ndarray]],
    inpaint: Callable[[np.ndarray, np.ndarray], np.ndarray],
    protocol: str = "composite",
) -> list[Sample]:
    """Measure ``inpaint`` on every pair, in the given order, with a progress bar.

    Args:
        read: a ``PairReader``.
        inpaint: (picture, hole) to the filled picture; for protocol "raw" to the network's whole clipped output.
        protocol: "composite" measures the output inside the hole and the picture outside; "raw" the output as it is.
    Raises:
        InputError: what ``read`` or ``inpaint`` refuse, with the pair's names.
    """
    return [_measure(pair, *read(pair), inpaint, protocol) for pair in tqdm(pairs, desc="evaluating", unit="pair")]


def inspect_polarity(
    pairs: Sequence[Pair], read: Callable[[Pair], tuple[np.ndarray, np.ndarray]], at_most: int = 20
) -> str | None:
    """A one-line warning when the mean hole is so large that the masks are likely read the wrong way round.

    It looks at ``at_most`` pairs spread over the set, before the long work instead of after it.
    """
    return polarity_warning(float(np.mean([hole_ratio(read(pair)[1]) for pair in spread(pairs, at_most)])))


def _measure(pair: Pair, picture: np.ndarray, mask: np.ndarray, inpaint: Callable, protocol: str) -> Sample:
    hole = mask == 0
    try:
        result = inpaint(picture, hole)
    except InputError as error:
        raise InputError(f"{pair.image} with {pair.mask}: {error}") from error
    if protocol == "composite":
        result = np.where(hole[..., None], result, picture)
    ratio = hole_ratio(mask)
    quality = {"l1_percent": l1_percent(picture, result), "psnr": psnr(picture, result), "ssim": ssim(picture, result)}
    return Sample(pair.image, pair.mask, bucket_of(ratio), border_kind(mask), ratio, **quality)
