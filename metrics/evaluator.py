"""Fill each pair's hole and measure the result: the loop behind ``eval.py``.

    picture, mask ─ resize ─ fill the hole ─ comp = mask·gt + (1 − mask)·output, 8 bits ─ l1 %, PSNR, SSIM

The method is any function (picture uint8 [H, W, 3], hole bool [H, W]) -> uint8 [H, W, 3], so that classical methods are
measured without a deep-learning framework. With workers, pictures are read before they are wanted and measured
afterwards in processes of their own, beside the method; figures and order are those of a single process.
"""

import contextlib
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from datasets.images import read_picture, sample_photo
from datasets.masks import (
    SPARSE,
    border_kind,
    bucket_of,
    emptiness_warning,
    hole_ratio,
    polarity_warning,
    read_mask,
    resize_mask,
)
from datasets.super_resolution import MASK, cut, factor_of, lattice
from datasets.transforms import center_resize
from inpainting.classical import CLASSICAL, Fill
from metrics.buckets import Sample
from metrics.image_quality import SSIM_WINDOW
from metrics.manifest import GENERATED, SAMPLE, Pair, generate, spread
from metrics.protocols import PROTOCOLS
from metrics.workers import in_order, worker_processes
from utils.errors import InputError

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
        picture, factor = self._picture(pair.image), factor_of(pair.mask) if pair.mask.startswith(MASK) else None
        picture = cut(picture, factor) if factor else picture
        height, width = picture.shape[:2]
        if min(height, width) < SSIM_WINDOW:
            raise InputError(
                f"{pair.image}: {width}x{height} pixels, but SSIM needs {SSIM_WINDOW} at least on each side: "
                "choose a larger --size or take the picture out"
            )
        if factor:
            return picture, lattice(height, width, factor)
        if pair.mask.startswith(GENERATED):
            return picture, generate(pair.mask, height, width)
        return picture, resize_mask(read_mask(self.masks / pair.mask, hole=self.hole), height, width)

    def stamp(self, pair: Pair) -> list | None:
        """Size and time of change of the pair's files: what tells them from others of their names. None without one."""
        files = [(self.images, pair.image, SAMPLE), (self.masks, pair.mask, (GENERATED, MASK))]
        paths = [(root or Path()) / name for root, name, packaged in files if not name.startswith(packaged)]
        try:
            return [[status.st_size, status.st_mtime_ns] for status in map(os.stat, paths)]
        except (OSError, ValueError):  # ValueError: a name that no file can have
            return None

    def _picture(self, name: str) -> np.ndarray:
        sample = name.startswith(SAMPLE)
        picture = sample_photo(name.removeprefix(SAMPLE)) if sample else read_picture(self.images / name)
        return picture if self.size is None else center_resize(picture, self.size)


Distance = Callable[[np.ndarray, np.ndarray], float]
Read = Callable[[Pair], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Refused:
    """A pair that could not be measured, and why in one line."""

    reason: str


def evaluate(
    pairs: Sequence[Pair],
    read: Read,
    inpaint: Fill,
    protocol: str = "composite",
    num_workers: int = 0,
    known: Mapping[Pair, Sample] | None = None,
    found: Callable[[Sample], None] | None = None,
    look: Callable[[Pair, np.ndarray], None] | None = None,
    distance: Distance | None = None,
) -> tuple[list[Sample], list[Refused]]:
    """Measure ``inpaint`` on every pair, in the given order, with a progress bar.

    A pair that ``read`` or ``inpaint`` refuse is named on stderr and passed over.

    Args:
        read: a ``PairReader``; with workers, anything that can be pickled.
        inpaint: (picture, hole) to the filled picture; for protocol "raw" to the network's whole clipped output.
        protocol: one of ``PROTOCOLS``; all but "raw" look at the output inside the hole and the picture outside.
        num_workers: processes that read and measure beside this one, in which ``inpaint`` runs unless it is one of
            ``CLASSICAL``, which the workers run as well; 0 does all here.
        known: samples that were measured before.
        found: is told each sample that is measured now.
        look: sees each pair's hole that ``inpaint`` filled, in this process; not with classical methods and workers.
        distance: of two pictures, a further measure; it is taken in this process, in which ``inpaint`` runs then too.
    Returns the samples, and the pairs passed over.
    Raises:
        InputError: not one pair could be measured; the first one's.
        ChildProcessError: a worker was killed.
    """
    known = known or {}
    todo = [pair for pair in pairs if pair not in known]
    fill = _Filling(inpaint, look, distance, protocol)
    if num_workers == 0:
        outcomes = (_outcome(pair, read, fill, protocol) for pair in todo)
    else:
        outcomes = _outcomes_beside(todo, read, fill, protocol, min(num_workers, max(1, len(todo))))
    samples, refused = [], []
    with contextlib.closing(outcomes):
        for pair in tqdm(pairs, desc="evaluating", unit="pair"):
            outcome = known[pair] if pair in known else next(outcomes)
            if isinstance(outcome, Refused):
                tqdm.write(f"passed over: {outcome.reason}", file=sys.stderr)
                refused.append(outcome)
                continue
            if found and pair not in known:
                found(outcome)
            samples.append(outcome)
    if not samples:
        raise InputError(refused[0].reason)
    return samples, refused


def useful_workers(pairs: int, classical: bool) -> int:
    """How many processes beside this one: every core for a classical method, else one is left to the network."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    useful = cores if classical and cores > 1 else cores - 1
    return min(useful, pairs // PAIRS_WORTH_A_WORKER)


def inspect_masks(pairs: Sequence[Pair], read: Read, at_most: int = 20) -> str | None:
    """A one-line warning when the mean hole is so large, or so small, that the masks are likely read wrongly.

    It looks at ``at_most`` pairs spread over the set, before the long work instead of after it.

    Raises:
        InputError: not one of them can be read; the first one's.
    """
    entries = [_try(_read, pair, read) for pair in spread(pairs, at_most)]
    ratios = [float(np.mean(hole)) for _, _, hole in (e for e in entries if not isinstance(e, Refused))]
    if not ratios:
        raise InputError(entries[0].reason)
    ratio = float(np.mean(ratios))
    return polarity_warning(ratio) or emptiness_warning(ratio)


def as_measured(picture: np.ndarray, hole: np.ndarray, result: np.ndarray, protocol: str) -> np.ndarray:
    """What a protocol looks at: "raw" all of the result, any other its hole on the picture."""
    return result if protocol == "raw" else np.where(hole[..., None], result, picture)


def _outcomes_beside(
    pairs: Sequence[Pair], read: Read, fill: "_Filling", protocol: str, workers: int
) -> Iterator[Sample | Refused]:
    """As ``_outcome`` of each pair, with ``AHEAD`` pairs for each worker in memory before the method, and after it."""
    ahead = AHEAD * workers
    with worker_processes(workers) as submit:
        if fill.inpaint in CLASSICAL.values() and fill.distance is None:
            alone = _Filling(fill.inpaint)
            yield from in_order((submit(_outcome, pair, read, alone, protocol) for pair in pairs), ahead)
            return
        entries = in_order((submit(_try, _read, pair, read) for pair in pairs), ahead)
        filled = (_try(fill, entry) for entry in entries)
        yield from in_order((submit(_try, _measure, entry, protocol) for entry in filled), ahead)


def _outcome(pair: Pair, read: Read, fill: "_Filling", protocol: str) -> Sample | Refused:
    return _try(_measure, _try(fill, _try(_read, pair, read)), protocol)


def _try(step: Callable, before, *arguments):
    """The step of what the one before gave, or why the pair is refused, which goes through all steps as it is."""
    if isinstance(before, Refused):
        return before
    try:
        return step(before, *arguments)
    except InputError as error:
        return Refused(str(error))


def _read(pair: Pair, read: Read) -> tuple[Pair, np.ndarray, np.ndarray]:
    picture, mask = read(pair)
    return pair, picture, mask == 0  # as bool it is passed between processes in a quarter of the bytes


@dataclass(frozen=True)
class _Filling:
    """The step between reading and measuring."""

    inpaint: Fill
    look: Callable[[Pair, np.ndarray], None] | None = None
    distance: Distance | None = None
    protocol: str = "composite"

    def __call__(self, entry: tuple[Pair, np.ndarray, np.ndarray]) -> "Filled":
        pair, picture, hole = entry
        try:
            result = self.inpaint(picture, hole)
        except InputError as error:
            raise InputError(f"{pair.image} with {pair.mask}: {error}") from error
        if self.look:
            self.look(pair, hole)
        seen = as_measured(picture, hole, result, self.protocol)
        return pair, picture, hole, result, self.distance(picture, seen) if self.distance else None


Filled = tuple[Pair, np.ndarray, np.ndarray, np.ndarray, float | None]


def _measure(entry: Filled, protocol: str) -> Sample:
    pair, picture, hole, result, distance = entry
    result = as_measured(picture, hole, result, protocol)
    mask = 1 - hole.astype(np.float32)
    ratio = hole_ratio(mask)
    try:
        quality = PROTOCOLS[protocol](picture, result, hole)
    except InputError as error:
        raise InputError(f"{pair.image}: {error}") from error
    bucket = SPARSE if pair.mask.startswith(MASK) else bucket_of(ratio)
    return Sample(pair.image, pair.mask, bucket, border_kind(mask), ratio, **quality, vgg_distance=distance)
