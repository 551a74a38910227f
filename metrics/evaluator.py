"""Fill each pair's hole and measure the result: the loop behind ``eval.py``.

    picture, mask ─ resize ─ fill the hole ─ comp = mask·gt + (1 − mask)·output, 8 bits ─ l1 %, PSNR, SSIM

The method is any function (picture uint8 [H, W, 3], hole bool [H, W]) -> uint8 [H, W, 3], so that classical methods are
measured without a deep-learning framework. With workers, pictures are read before they are wanted and measured
afterwards in processes of their own, beside the method; figures and order are those of a single process.
"""

import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from datasets.images import read_picture, sample_photo
from datasets.masks import border_kind, bucket_of, hole_ratio, polarity_warning, read_mask, resize_mask
from datasets.transforms import center_resize
from errors import InputError
from inpainting.classical import CLASSICAL, Fill
from metrics.buckets import Sample
from metrics.image_quality import SSIM_WINDOW, l1_percent, psnr, ssim
from metrics.manifest import GENERATED, SAMPLE, Pair, generate, spread
from metrics.workers import in_order, worker_processes

PROTOCOLS = ("composite", "raw")
AHEAD = 3  # pairs for each worker: one in its hands, one on the way to it, one on the way back
PAIRS_WORTH_A_WORKER = 50  # a worker takes a second to start


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


Read = Callable[[Pair], tuple[np.ndarray, np.ndarray]]


def evaluate(
    pairs: Sequence[Pair], read: Read, inpaint: Fill, protocol: str = "composite", num_workers: int = 0
) -> list[Sample]:
    """Measure ``inpaint`` on every pair, in the given order, with a progress bar.

    Args:
        read: a ``PairReader``; with workers, anything that can be pickled.
        inpaint: (picture, hole) to the filled picture; for protocol "raw" to the network's whole clipped output.
        protocol: "composite" measures the output inside the hole and the picture outside; "raw" the output as it is.
        num_workers: processes that read and measure beside this one, in which ``inpaint`` runs unless it is one of
            ``CLASSICAL``, which the workers run as well; 0 does all here.
    Raises:
        InputError: what ``read`` or ``inpaint`` refuse, with the pair's names; of several, that of the first pair.
        ChildProcessError: a worker was killed.
    """
    if num_workers == 0:
        samples = (_sample(pair, read, inpaint, protocol) for pair in pairs)
    else:
        samples = _samples_beside(pairs, read, inpaint, protocol, min(num_workers, max(1, len(pairs))))
    with contextlib.closing(samples):
        return list(tqdm(samples, total=len(pairs), desc="evaluating", unit="pair"))


def useful_workers(pairs: int, classical: bool) -> int:
    """How many processes beside this one: every core for a classical method, else one is left to the network."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    useful = cores if classical and cores > 1 else cores - 1
    return min(useful, pairs // PAIRS_WORTH_A_WORKER)


def inspect_polarity(pairs: Sequence[Pair], read: Read, at_most: int = 20) -> str | None:
    """A one-line warning when the mean hole is so large that the masks are likely read the wrong way round.

    It looks at ``at_most`` pairs spread over the set, before the long work instead of after it.
    """
    return polarity_warning(float(np.mean([hole_ratio(read(pair)[1]) for pair in spread(pairs, at_most)])))


def _samples_beside(pairs: Sequence[Pair], read: Read, inpaint: Fill, protocol: str, workers: int) -> Iterator[Sample]:
    """As ``_sample`` of each pair, with ``AHEAD`` pairs for each worker in memory before the method, and after it."""
    ahead = AHEAD * workers
    with worker_processes(workers) as submit:
        if inpaint in CLASSICAL.values():
            yield from in_order((submit(_sample, pair, read, inpaint, protocol) for pair in pairs), ahead)
            return
        inputs = in_order((submit(_read, pair, read) for pair in pairs), ahead)
        filled = ((pair, *entry, _fill(pair, *entry, inpaint)) for pair, entry in zip(pairs, inputs, strict=True))
        yield from in_order((submit(_measure, *entry, protocol) for entry in filled), ahead)


def _sample(pair: Pair, read: Read, inpaint: Fill, protocol: str) -> Sample:
    picture, hole = _read(pair, read)
    return _measure(pair, picture, hole, _fill(pair, picture, hole, inpaint), protocol)


def _read(pair: Pair, read: Read) -> tuple[np.ndarray, np.ndarray]:
    picture, mask = read(pair)
    return picture, mask == 0  # as bool it is passed between processes in a quarter of the bytes


def _fill(pair: Pair, picture: np.ndarray, hole: np.ndarray, inpaint: Fill) -> np.ndarray:
    try:
        return inpaint(picture, hole)
    except InputError as error:
        raise InputError(f"{pair.image} with {pair.mask}: {error}") from error


def _measure(pair: Pair, picture: np.ndarray, hole: np.ndarray, result: np.ndarray, protocol: str) -> Sample:
    if protocol == "composite":
        result = np.where(hole[..., None], result, picture)
    mask = 1 - hole.astype(np.float32)
    ratio = hole_ratio(mask)
    quality = {"l1_percent": l1_percent(picture, result), "psnr": psnr(picture, result), "ssim": ssim(picture, result)}
    return Sample(pair.image, pair.mask, bucket_of(ratio), border_kind(mask), ratio, **quality)
