"""Training samples as an endless stream that a run can enter at any position.

The sample at position p is a pure function of (seed, p), whatever the number of workers, processes or restarts: the
order of the n pictures in epoch p // n is drawn from (seed, epoch); crop, flip and holes are drawn from (seed, p). A
resumed run continues at the next position with the same samples as an uninterrupted one.
"""

import functools
import logging
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol

import numpy as np

from datasets.images import SAMPLE_PHOTOS, list_pictures, read_picture, sample_photo, tell_once
from datasets.mask_generator import generate_box, generate_mask, generate_wide
from datasets.masks import BUCKETS, bucket_of, hole_ratio, read_mask, resize_mask
from datasets.super_resolution import lattice
from datasets.transforms import augment_mask, load_training_picture
from utils.errors import InputError

log = logging.getLogger("paddle_pconv")

MASK_ATTEMPTS = 10


class Pictures:
    """Pictures by index, uint8 [H, W, 3] RGB of any size, read on demand."""

    def __init__(self, names: Sequence[str], read: Callable[[str], np.ndarray]):
        self.names, self.read = list(names), read

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> np.ndarray:
        return self.read(self.names[index])


class PictureFolder(Pictures):
    """The pictures of a folder or list file; arguments as in ``list_pictures``."""

    def __init__(
        self,
        source: str | os.PathLike,
        leave_out: Sequence[str | os.PathLike | None] = (),
        list_root: str | os.PathLike | None = None,
    ):
        super().__init__([str(path) for path in list_pictures(source, leave_out, list_root)], read_picture)


class SamplePhotos(Pictures):
    """The photographs that come with scikit-image, kept in memory; ``side`` is "train" or "val"."""

    def __init__(self, side: str = "train"):
        super().__init__(SAMPLE_PHOTOS[side], _kept_sample_photo)


@functools.cache
def _kept_sample_photo(name: str) -> np.ndarray:
    return sample_photo(name)


def hold_out(source: Pictures, count: int) -> tuple[Pictures, Pictures]:
    """Split pictures into those for training and ``count`` evenly spaced ones for validation.

    Raises:
        InputError: fewer than two pictures. Of few pictures at most half are held out.
    """
    if len(source) < 2:
        raise InputError("expected 2 training pictures or more, got 1: one must be held out for validation")
    count = min(count, len(source) // 2)
    held = {round((i + 0.5) * len(source) / count - 0.5) for i in range(count)}
    sides = [[name for i, name in enumerate(source.names) if (i in held) == wanted] for wanted in (False, True)]
    return Pictures(sides[0], source.read), Pictures(sides[1], source.read)


def first_readable(names: Iterable, read: Callable[..., np.ndarray], expected: str) -> np.ndarray:
    """The first picture that can be read; each that cannot is reported once (in each process).

    Raises:
        InputError: ``expected``, if none can be read.
    """
    for name in names:
        try:
            return read(name)
        except InputError as error:
            tell_once(f"skipping {name}: {error}")
    raise InputError(expected)


class MaskSource(Protocol):
    """Random masks: float32 [size, size], 1 = valid."""

    def draw(self, rng: np.random.Generator, size: int) -> np.ndarray: ...


class MaskFolder:
    """Random mask files, augmented as by the authors.

    If the augmented hole is below 1 % or above 60 % of the picture, another mask is drawn; after ten draws the last
    file is taken without augmentation. An unreadable file is reported once (in each process) and replaced by the next.

    Args:
        root: folder or list file.
        leave_out: what lies inside that folder and holds no masks; as in ``list_pictures``.
        hole: the colour of the hole in the files, "white" or "black".
        dilate: also dilate the holes; see ``augment_mask``.
    Raises:
        InputError: on drawing, if no file can be read.
    """

    def __init__(
        self,
        root: str | os.PathLike,
        hole: str = "white",
        dilate: bool = True,
        leave_out: Sequence[str | os.PathLike | None] = (),
    ):
        self.paths = list_pictures(root, leave_out)
        self.hole, self.dilate = hole, dilate

    def draw(self, rng: np.random.Generator, size: int) -> np.ndarray:
        for _ in range(MASK_ATTEMPTS):
            plain = self._read(int(rng.integers(len(self.paths))))
            mask = augment_mask(plain, rng, size, self.dilate)
            if bucket_of(hole_ratio(mask)):
                return mask
        return resize_mask(plain, size, size)

    def _read(self, index: int) -> np.ndarray:
        in_turn = (self.paths[i % len(self.paths)] for i in range(index, index + len(self.paths)))
        # The authors' training masks are grey at their edges, so they are only thresholded.
        read = functools.partial(read_mask, hole=self.hole, check=False)
        return first_readable(
            in_turn, read, f"expected masks, none of the {len(self.paths)} can be read: check --mask_root"
        )


class GeneratedMasks:
    """Generated masks.

    Args:
        shape: "irregular" (of each bucket as often, half of them at the border), "box", "both" (half and half),
            "wide", or "super_resolution" (``lattice``).
        factors: of super-resolution, each as likely as the others.
    """

    def __init__(self, shape: str = "irregular", factors: Sequence[int] = ()):
        self.shape, self.factors = shape, tuple(factors)

    def draw(self, rng: np.random.Generator, size: int) -> np.ndarray:
        if self.shape == "super_resolution":
            return lattice(size, size, self.factors[rng.integers(len(self.factors))])
        if self.shape == "box" or (self.shape == "both" and rng.random() < 0.5):
            return generate_box(rng, size, size)
        if self.shape == "wide":
            return generate_wide(rng, size, size)
        bucket = BUCKETS[rng.integers(len(BUCKETS))]
        return generate_mask(rng, size, size, bucket, border=bool(rng.random() < 0.5))


class InpaintingDataset:
    """Pairs of picture and mask by position in the endless stream.

    Args:
        pictures, masks: where they come from.
        image_size: side of both in pixels.
        seed: of everything random.
        shrink: False crops squares at the pictures' own resolution if they are large enough.
    Shape:
        Item: gt uint8 [3, S, S] RGB, mask uint8 [1, S, S], 1 = valid; ``engine.readers`` makes float32 of them.
    Raises:
        InputError: on access, if no picture can be read. An unreadable picture is reported once (in each process) and
            replaced by the next in the epoch's order.
    """

    def __init__(
        self,
        pictures: Pictures,
        masks: MaskSource,
        image_size: int,
        seed: int,
        shrink: bool = True,
    ):
        self.pictures, self.masks, self.image_size = pictures, masks, image_size
        self.seed, self.shrink = seed, shrink
        self._order = (-1, np.empty(0, np.int64))

    def __len__(self) -> int:
        return len(self.pictures)

    def __getitem__(self, position: int) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng([self.seed, 1, position])
        picture = load_training_picture(self._picture(position), self.image_size, rng, self.shrink)
        mask = self.masks.draw(rng, self.image_size)
        return np.ascontiguousarray(picture.transpose(2, 0, 1)), mask.astype(np.uint8)[None]

    def batch(self, positions: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        """The items of several positions: uint8 [N, 3, S, S] and [N, 1, S, S]."""
        pictures, masks = zip(*map(self.__getitem__, positions), strict=True)
        return np.stack(pictures), np.stack(masks)

    def _picture(self, position: int) -> np.ndarray:
        epoch, start = divmod(position, len(self.pictures))
        order = self._epoch_order(epoch)
        in_turn = (self.pictures.names[order[i % len(order)]] for i in range(start, start + len(order)))
        return first_readable(
            in_turn, self.pictures.read, f"expected pictures, none of the {len(order)} can be read: check the dataset"
        )

    def _epoch_order(self, epoch: int) -> np.ndarray:
        if self._order[0] != epoch:
            self._order = (epoch, np.random.default_rng([self.seed, epoch]).permutation(len(self.pictures)))
        return self._order[1]


class StreamBatchSampler:
    """Positions of a run's batches: batch i of rank r of w starts at first + (i·w + r)·batch_size.

    Args:
        batch_size: of one process.
        batches: how many, for each process.
        first: first position in the stream; for a resumed run, the number of samples already seen.
    """

    def __init__(self, batch_size: int, batches: int, first: int = 0, rank: int = 0, world: int = 1):
        self.batch_size, self.batches, self.first = batch_size, batches, first
        self.rank, self.world = rank, world

    def __iter__(self) -> Iterator[list[int]]:
        for i in range(self.batches):
            start = self.first + (i * self.world + self.rank) * self.batch_size
            yield list(range(start, start + self.batch_size))


_of_worker: dict[str, InpaintingDataset] = {}
_logged: list[str] = []


def begin_worker(dataset: InpaintingDataset) -> None:
    """In a worker process: keep the dataset, and what is logged for the main process."""
    handler = logging.Handler()
    handler.emit = lambda record: _logged.append(record.getMessage())
    log.addHandler(handler)
    _of_worker["dataset"] = dataset


def read_in_worker(positions: Sequence[int]) -> tuple[tuple[np.ndarray, np.ndarray], list[str]]:
    """A batch of the kept dataset, and lines for the log."""
    batch = _of_worker["dataset"].batch(positions)
    lines, _logged[:] = list(_logged), []
    return batch, lines
