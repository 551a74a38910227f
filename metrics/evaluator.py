"""Read each pair, fill its hole, measure the result: the loop behind ``eval.py``.

    picture, mask ─ resize ─ fill the hole ─ comp = mask·gt + (1 − mask)·output, 8 bits ─ l1 %, PSNR, SSIM

The method is any function (picture uint8 [H, W, 3], hole bool [H, W]) -> uint8 [H, W, 3], so that classical methods are
measured without a deep-learning framework. With workers, pictures are read ahead and measured in processes beside the
method; figures and order are those of a single process.
"""

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from tqdm import tqdm

from datasets.images import read_picture, sample_photo
from datasets.masks import (
    SPARSE,
    border_kind,
    bucket_of,
    hole_ratio,
    read_mask,
    resize_mask,
)
from datasets.super_resolution import MASK, cut, factor_of, lattice
from datasets.transforms import center_resize
from inpainting.classical import Fill
from metrics.buckets import Sample
from metrics.manifest import GENERATED, SAMPLE, Pair, generate
from metrics.protocols import PROTOCOLS
from metrics.realism import PairRealism, Realism
from utils.errors import InputError, naming
from utils.workers import call_here, started_ahead, worker_processes

AHEAD = 3  # pairs for each worker: one at work, one waiting for it, one done
PAIRS_WORTH_A_WORKER = 50  # a worker takes a second to start


@dataclass(frozen=True)
class PairReader:
    """Reads the picture and the mask that a pair names.

    Args:
        images, masks: the folders that the names are relative to; None where all names are samples or generated.
        hole: the colour of the hole in mask files, "white" or "black".
        size: side, or height and width, in pixels to which the picture is cut and resized; None keeps its own size.
    """

    images: Path | None = None
    masks: Path | None = None
    hole: str = "white"
    size: int | tuple[int, int] | None = None

    def __call__(self, pair: Pair) -> tuple[np.ndarray, np.ndarray]:
        """The picture uint8 [H, W, 3] and its mask float32 [H, W] at the evaluated size."""
        picture, factor = self._picture(pair.image), factor_of(pair.mask) if pair.mask.startswith(MASK) else None
        picture = cut(picture, factor) if factor else picture
        height, width = picture.shape[:2]
        if factor:
            return picture, lattice(height, width, factor)
        if pair.mask.startswith(GENERATED):
            return picture, generate(pair.mask, height, width)
        return picture, resize_mask(read_mask(self.masks / pair.mask, hole=self.hole), height, width)

    def paths(self, pairs: Sequence[Pair]) -> list[Path]:
        """The files of the pairs."""
        pictures = [self.images / pair.image for pair in pairs if not pair.image.startswith(SAMPLE)]
        return pictures + [self.masks / pair.mask for pair in pairs if not pair.mask.startswith((GENERATED, MASK))]

    def _picture(self, name: str) -> np.ndarray:
        sample = name.startswith(SAMPLE)
        picture = sample_photo(name.removeprefix(SAMPLE)) if sample else read_picture(self.images / name)
        return picture if self.size is None else center_resize(picture, self.size)


@dataclass(frozen=True)
class Evaluation:
    """How a pair is read, filled and measured.

    Args:
        inpaint: (picture, hole) to the filled picture, for protocol "raw" the network's whole clipped output; or the
            file of each pair's finished picture.
        protocol: one of ``PROTOCOLS``; all but "raw" look at the output inside the hole and the picture outside.
        realism: measures each pair as ``metrics.realism.Realism`` does; None leaves that out.
        fills_here: whether the method or VGG16 needs this process; False lets ``inpaint`` run in workers, pickled.
    """

    read: PairReader
    inpaint: Fill | Mapping[Pair, Path]
    protocol: str = "composite"
    realism: Realism | None = None
    fills_here: bool = True

    def only(self, pair: Pair) -> "Evaluation":
        """What a worker needs for one pair: the list of finished pictures may have thousands."""
        finished = isinstance(self.inpaint, Mapping)
        return replace(self, inpaint={pair: self.inpaint[pair]}) if finished else self

    def sample(self, pair: Pair) -> Sample:
        """Read, fill and measure one pair.

        Raises:
            InputError: a file that cannot be read, a hole that cannot be filled, a picture too small to measure.
        """
        return measure(pair, *self.fill(pair, *self.read(pair)), self.protocol)

    def fill(
        self, pair: Pair, picture: np.ndarray, mask: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, PairRealism | None]:
        """Picture and mask, the filled picture as the protocol looks at it, and how real it looks if measured."""
        hole = mask == 0
        with naming(f"{pair.image} with {pair.mask}"):
            finished = isinstance(self.inpaint, Mapping)
            result = _finished(self.inpaint[pair], picture) if finished else self.inpaint(picture, hole)
        if self.protocol != "raw":
            result = np.where(hole[..., None], result, picture)
        return picture, mask, result, self.realism and self.realism(picture, result, hole)


def _finished(path: Path, picture: np.ndarray) -> np.ndarray:
    """A picture that another program filled, uint8 [H, W, 3] as ``picture``."""
    result = read_picture(path)
    if result.shape != picture.shape:
        expected, got = (f"{p.shape[1]}x{p.shape[0]}" for p in (picture, result))
        raise InputError(f"expected {path.name} to have {expected} pixels as the picture, got {got}")
    return result


def measure(
    pair: Pair,
    picture: np.ndarray,
    mask: np.ndarray,
    result: np.ndarray,
    realism: PairRealism | None,
    protocol: str,
) -> Sample:
    """The sample of a filled picture; arguments as ``Evaluation.fill`` gives them."""
    with naming(pair.image):
        quality = PROTOCOLS[protocol](picture, result, mask == 0)
    ratio = hole_ratio(mask)
    bucket = SPARSE if pair.mask.startswith(MASK) else bucket_of(ratio)
    if realism:
        quality |= {"style": realism.style, "sharpness": realism.sharpness, "features": realism.pool3}
    return Sample(pair.image, pair.mask, bucket, border_kind(mask), ratio, **quality)


def evaluate(
    pairs: Sequence[Pair],
    evaluation: Evaluation,
    num_workers: int | None = 0,
    known: Mapping[Pair, Sample] | None = None,
    found: Callable[[Sample], None] | None = None,
) -> tuple[list[Sample], list[str]]:
    """Measure every pair, in the given order, with a progress bar.

    A pair that cannot be read or filled is named on stderr and passed over.

    Args:
        num_workers: processes that read and measure beside this one, and fill where the evaluation lets them; 0: all
            is done here, None: by cores and pairs.
        known: samples that were measured before.
        found: is called with each sample that is measured now.
    Returns the samples, and for each pair passed over the reason in one line.
    Raises:
        InputError: not one pair could be measured; the first one's.
        ChildProcessError: a worker was killed.
    """
    known = known or {}
    todo = [pair for pair in pairs if pair not in known]
    samples, refused = [], []
    if num_workers is None:
        num_workers = useful_workers(len(todo), evaluation.fills_here)
    with worker_processes(min(num_workers, len(todo))) as submit:
        futures = _started(todo, evaluation, submit, AHEAD * num_workers)
        for pair in tqdm(pairs, desc="evaluating", unit="pair"):
            try:
                sample = known[pair] if pair in known else next(futures).result()
            except InputError as error:
                tqdm.write(f"passed over: {error}", file=sys.stderr)
                refused.append(str(error))
                continue
            if found and pair not in known:
                found(sample)
            samples.append(sample)
    if not samples:
        raise InputError(refused[0])
    return samples, refused


def _started(pairs: Sequence[Pair], evaluation: Evaluation, submit: Callable, ahead: int) -> Iterator[Future]:
    """A future of each pair's sample; ``ahead`` pairs are in memory before a network that fills here, and after it."""
    if not evaluation.fills_here:
        return started_ahead((submit(evaluation.only(pair).sample, pair) for pair in pairs), ahead)
    entries = started_ahead((submit(evaluation.read, pair) for pair in pairs), ahead)
    return started_ahead(_filled_here(pairs, entries, evaluation, submit), ahead)


def _filled_here(
    pairs: Sequence[Pair], entries: Iterator[Future], evaluation: Evaluation, submit: Callable
) -> Iterator[Future]:
    for pair, entry in zip(pairs, entries, strict=True):
        filled = entry if entry.exception() else call_here(evaluation.fill, pair, *entry.result())
        yield filled if filled.exception() else submit(measure, pair, *filled.result(), evaluation.protocol)


def useful_workers(pairs: int, fills_here: bool) -> int:
    """How many processes beside this one: one for each core, less one where the method needs this process."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    useful = cores - 1 if fills_here or cores == 1 else cores
    return min(useful, pairs // PAIRS_WORTH_A_WORKER)
