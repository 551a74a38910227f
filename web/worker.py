"""The one worker of the server: photographs are filled one after another, and each client gets its own.

Nothing of a client is kept here between requests: what it needs comes with each, as files in a folder of the server,
and what it gets is a new file under a name that nobody can guess. ``sweep`` removes what is older than ``KEPT``.
"""

import contextlib
import os
import re
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from datasets.holes import Marks, find_hole, fit_hole, grow_hole
from datasets.masks import BUCKETS
from datasets.photographs import (
    Encoding,
    Photograph,
    read_photograph,
    refuse_what_does_not_fit,
    result_encoding,
    write_photograph,
)
from inpainting import Inpainter
from inpainting.photographs import fill_photograph
from utils.errors import InputError, is_out_of_memory, one_line
from utils.files import remove
from web.choices import chosen
from web.limits import KEPT, WAITING, Limits
from web.texts import Told

MODELS_IN_MEMORY = 2
NOTHING = Marks()
DETAIL = None  # as test.py: on, unless the weights say off


@dataclass(frozen=True, eq=False)
class Order:
    """What a client wants.

    Args:
        picture: file of the photograph, called as its owner calls it.
        marks: where to fill; ``dilate`` grows strokes as well.
        strokes: bool [h, w] of the photograph's aspect ratio, True = painted.
        model: a name, the default for None.
        wanted, lossless: as in ``result_encoding``.
        folder: for the result; one of its own when not given.
    """

    picture: Path | None
    marks: Marks = NOTHING
    strokes: np.ndarray | None = None
    model: str | None = None
    wanted: str | None = None
    lossless: bool = False
    folder: Path | None = None


@dataclass(frozen=True, eq=False)
class Filled:
    """What a client gets.

    Args:
        path: of the result.
        before: the photograph.
        hole: bool [H, W].
        after: the photograph, filled.
        seconds: from reading to writing.
        notes: lines about what was done to the photograph, in English.
    """

    path: Path
    before: Photograph
    hole: np.ndarray
    after: Photograph
    encoding: Encoding
    model: str
    seconds: float
    notes: tuple[str, ...] = ()

    @property
    def share(self) -> float:
        """Of the photograph, the hole's."""
        return float(self.hole.mean())

    @property
    def is_large(self) -> bool:
        """Whether the hole is so large that the mask may have been read the wrong way round."""
        return self.share > BUCKETS[-1][1]


class LimitedInpainter(Inpainter):
    """An inpainter that gives up when its time is over: it looks at the clock each time that the network is to run."""

    deadline = float("inf")  # of time.monotonic

    def _paint(self, image, mask, guide):
        if time.monotonic() > self.deadline:
            raise TimeoutError
        return super()._paint(image, mask, guide)


class Worker:
    """Fills photographs in a single thread.

    Args:
        models: as ``find_models`` gives them.
        folder: for results; what is in it is the server's alone, and old files there are removed.
        load: makes an inpainter of a weights directory.
    """

    def __init__(
        self,
        models: dict[str, Path],
        folder: Path,
        limits: Limits = Limits(),  # noqa: B008  frozen
        load: Callable[[Path], Inpainter] | None = None,
    ):
        self.models, self.folder, self.limits = models, folder, limits
        self._load = load or (lambda directory: LimitedInpainter.from_checkpoint(directory, detail=DETAIL))
        self._loaded: OrderedDict[str, Inpainter] = OrderedDict()
        self._places = threading.BoundedSemaphore(WAITING + 1)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="fill")

    def submit(self, order: Order) -> "Future[Filled]":
        """The order put behind the others.

        Raises:
            Told: too many are waiting. The future raises what ``fill`` does.
        """
        if not self._places.acquire(blocking=False):
            raise Told("busy", most=WAITING)
        future = self._thread.submit(self.fill, order)
        future.add_done_callback(lambda _: self._places.release())
        return future

    def close(self) -> None:
        self._thread.shutdown(wait=False, cancel_futures=True)

    def fill(self, order: Order) -> Filled:
        """Do an order.

        Raises:
            Told: whatever is wrong with it.
        """
        sweep(self.folder)
        start = time.monotonic()
        try:
            return self._fill(order, start)
        except Told:
            raise
        except InputError as error:
            raise Told("bad_value", reason=error) from None
        except TimeoutError:
            raise Told("slow", seconds=f"{self.limits.seconds:g}") from None
        except Exception as error:
            if is_out_of_memory(error):
                raise Told("memory") from None
            raise

    def _fill(self, order: Order, start: float) -> Filled:
        name, directory = chosen(self.models, order.model)
        photograph = open_photograph(order.picture, self.limits)
        with _told_as("bad_value"):
            encoding = result_encoding(photograph.encoding, order.wanted, order.lossless)
        hole, notes = hole_of(order, photograph, self.limits)
        if order.marks.opens_transparency:
            photograph = photograph.opaque()
        path = (order.folder or self.folder / secrets.token_hex(16)) / (result_stem(order.picture) + encoding.suffix)
        with _told_as("bad_result", path):
            refuse_what_does_not_fit(path, photograph, encoding)
        inpainter = self._inpainter(name, directory)
        inpainter.deadline = start + self.limits.seconds
        filled = fill_photograph(inpainter, photograph, hole)
        with _told_as("bad_result", path):
            notes = (*photograph.notes, *notes, *write_photograph(path, filled, encoding))
        return Filled(path, photograph, hole, filled, encoding, name, time.monotonic() - start, notes)

    def _inpainter(self, name: str, directory: Path) -> Inpainter:
        """A model from memory, where the latest ``MODELS_IN_MEMORY`` are, or from its files."""
        if name not in self._loaded:
            with _told_as("bad_model", directory, name=name):
                self._loaded[name] = self._load(directory)
        self._loaded.move_to_end(name)
        while len(self._loaded) > MODELS_IN_MEMORY:
            self._loaded.popitem(last=False)
        return self._loaded[name]


def open_photograph(path: Path | None, limits: Limits) -> Photograph:
    """A client's photograph.

    Raises:
        Told: none, no longer there, too large, or not one that can be read.
    """
    if path is None:
        raise Told("no_picture")
    if not path.is_file():
        raise Told("gone")
    limits.check(path)
    with _told_as("unreadable", path):
        return read_photograph(path)


def hole_of(order: Order, photograph: Photograph, limits: Limits) -> tuple[np.ndarray, list[str]]:
    """Where an order wants a photograph filled, bool [H, W], and lines about what was done to get it.

    Raises:
        Told: nowhere, everywhere, or a mask that cannot be used.
    """
    marks, hole, notes = order.marks, np.zeros(photograph.size, bool), []
    if marks.file is not None:
        limits.check(marks.file)
    with _told_as("bad_mask", marks.file, order.picture):
        if not marks.is_empty:
            hole, notes = find_hole(photograph, marks)
        if order.strokes is not None and order.strokes.any():
            painted, _ = fit_hole(order.strokes, photograph)
            hole = hole | grow_hole(painted, marks.dilate)
    if not hole.any():
        raise Told("no_hole")
    if hole.all() or (photograph.alpha is not None and (hole | (photograph.alpha == 0)).all()):
        raise Told("all_hole")
    return hole, [_without_folders(line, marks.file, order.picture) for line in notes]


@contextlib.contextmanager
def _told_as(key: str, *paths: Path | None, **values: object) -> Iterator[None]:
    """What is wrong with files is told in the client's language, without where they are on the server."""
    try:
        yield
    except Told:
        raise
    except InputError as error:
        raise Told(key, reason=_without_folders(str(error), *paths), **values) from None


def _without_folders(line: str, *paths: Path | None) -> str:
    for path in paths:
        if path is not None:
            line = line.replace(str(path), path.name)
    return line


def result_stem(picture: Path) -> str:
    """A result's name without suffix: the photograph's, as far as every system can write it.

    Example:
        >>> result_stem(Path("up/holiday.2024:1.JPG")), result_stem(Path("..."))
        ('holiday.2024_1', 'photograph')
    """
    stem = re.sub(r'[<>:"/\\\\|?*]', "_", one_line(picture.stem))[:60].strip(". ")
    return stem.encode(errors="ignore").decode() or "photograph"


def stay(path: Path, folder: Path) -> None:
    """Count a client's file, which lies in a folder of its own, as new, since it is used again.

    Raises:
        Told: it is not there; or not in ``folder``, where all files of clients are.
    """
    if path.parent.parent.resolve() != folder.resolve() or not path.is_file():
        raise Told("gone")
    os.utime(path.parent)


def sweep(folder: Path, kept: float = KEPT) -> None:
    """Remove what has lain in a folder for longer than ``kept`` seconds."""
    for path in folder.glob("*"):
        with contextlib.suppress(OSError):  # another may have removed it
            if time.time() - path.lstat().st_mtime > kept:
                remove(path)
