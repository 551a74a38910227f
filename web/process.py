"""The worker process: photographs are decoded, filled and written here, and nowhere else in the server.

Orders come pickled on standard input and are answered by lines of JSON on standard output: ``{"expected": seconds}``
when the photograph is read, then ``{"done": ...}`` or ``{"refused": [key, values]}``. The server ends the process when
it takes too long, and starts another. When the server ends, so does the process.
"""

import contextlib
import json
import math
import os
import pickle
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from datasets.holes import find_hole
from datasets.images import FORMATS
from datasets.photographs import (
    SUFFIXES,
    Encoding,
    Photograph,
    read_photograph,
    refuse_what_does_not_fit,
    result_encoding,
    write_photograph,
)
from inpainting.photographs import extend_photograph, fill_photograph
from utils.errors import InputError
from utils.files import atomic_path, open_regular
from web.limits import EXACT_VIEW, VIEW_PIXELS, VIEW_SIDE, Limits
from web.orders import Order
from web.texts import Refusal, refusal_of

ROOT = Path(__file__).resolve().parent.parent
MODELS_IN_MEMORY = 2
Fill = Callable[[np.ndarray, np.ndarray], np.ndarray]
Load = Callable[[Path], dict[bool | None, Fill]]


class Filler:
    """Does orders.

    Args:
        models: names to weights directories; the first is the default.
        load: makes of a weights directory what fills: with detail (True), without (False), or as they say (None).
    """

    def __init__(self, models: dict[str, Path], limits: Limits, load: Load):
        self.models, self.limits = models, limits
        self._load = lru_cache(MODELS_IN_MEMORY)(load)
        self._pace = 2e-5  # seconds a pixel of the hole, from the fills before

    def model(self, name: str) -> dict[bool | None, Fill]:
        """A model from memory, where the latest ``MODELS_IN_MEMORY`` are, or from its files."""
        with _refused_as("bad_model", self.models[name], name=name):
            return self._load(self.models[name])

    def do(self, order: Order, tell: Callable[[dict], None] = lambda line: None) -> dict:
        """Do an order: read, fill, write.

        Args:
            tell: called with ``{"expected": seconds}``, of filling, when the photograph is read.
        Raises:
            Refusal: whatever is wrong with it.
        """
        start = time.monotonic()
        name = self._name_of(order.model)
        original = open_photograph(order.picture, self.limits)
        photograph, share, notes = original, 0.0, []
        for step in order.steps:
            photograph = with_step(photograph, step)
        with _refused_as("bad_result", order.picture):
            encoding = result_encoding(original.encoding, order.format, order.lossless)
        if order.fills:
            photograph, hole, notes = marked(order, photograph, self.limits)
            if order.result:
                with _refused_as("bad_result", order.picture):
                    refuse_what_does_not_fit(order.picture, photograph, encoding)
            share = float(hole.mean())
            tell({"expected": 0.5 + self._pace * int(hole.sum())})
            photograph = self._filled(self.model(name)[order.detail], photograph, hole)
            if order.step:
                notes = []  # of the page's own mask
                write_step(order.step, photograph, hole, order.extend)
        written, more = write_wanted(order, photograph, encoding)
        notes = [*(original.notes if order.result or not order.fills else ()), *notes, *more]
        return written | {
            "height": photograph.size[0],
            "width": photograph.size[1],
            "share": share,
            "model": name,
            "notes": [_without_folders(note, order.marks.file, order.picture) for note in notes],
            "format": encoding.format,
            "lossless": original.encoding.lossless,
            "seconds": time.monotonic() - start,
        }

    def _name_of(self, wanted: str | None) -> str:
        name = next(iter(self.models)) if wanted is None else wanted
        if name not in self.models:
            raise Refusal("no_model", names=", ".join(self.models), name=name[:40])
        return name

    def _filled(self, fill: Fill, photograph: Photograph, hole: np.ndarray) -> Photograph:
        start = time.monotonic()
        filled = fill_photograph(fill, photograph, hole)
        pace = (time.monotonic() - start) / max(int(hole.sum()), 1000)
        self._pace = (self._pace + pace) / 2
        return filled


def open_photograph(path: Path | None, limits: Limits) -> Photograph:
    """A client's photograph.

    Raises:
        Refusal: none, no longer there, too large, or not one that can be read.
    """
    if path is None:
        raise Refusal("no_picture")
    if not path.is_file():
        raise Refusal("gone")
    check_file(path, limits)
    with _refused_as("unreadable", path):
        return read_photograph(path)


def check_file(path: str | os.PathLike, limits: Limits) -> None:
    """Refuse a picture file that is too large, before it is decoded. What is no picture is left to its reader."""
    limits.check_bytes(os.path.getsize(path))
    size = (0, 0)
    with contextlib.suppress(Exception), open_regular(path, "a picture") as file:  # damaged bytes raise nearly any type
        try:
            size = Image.open(file, formats=FORMATS).size
        except Image.DecompressionBombError:
            size = (2**20, 2**20)
    limits.check_pixels(*size)


def marked(order: Order, photograph: Photograph, limits: Limits) -> tuple[Photograph, np.ndarray, list[str]]:
    """The photograph as it is to be filled, its hole, bool [H, W], and notes.

    Raises:
        Refusal: nowhere, everywhere, or a mask that cannot be used.
    """
    marks, notes, hole = order.marks, [], np.zeros(photograph.size, bool)
    if marks.file is not None:
        check_file(marks.file, limits)
    if not marks.is_empty:
        with _refused_as("bad_mask", marks.file, order.picture):
            hole, notes = find_hole(photograph, marks)
    if marks.opens_transparency:
        photograph = photograph.opaque()
    if any(order.extend):
        left, top, right, bottom = order.extend
        limits.check_pixels(photograph.size[1] + left + right, photograph.size[0] + top + bottom)
        photograph, hole = extend_photograph(photograph, hole, order.extend)
    if not hole.any():
        raise Refusal("no_hole")
    if hole.all() or (photograph.alpha is not None and (hole | (photograph.alpha == 0)).all()):
        raise Refusal("all_hole")
    return photograph, hole, notes


def write_wanted(order: Order, photograph: Photograph, encoding: Encoding) -> tuple[dict[str, str], list[str]]:
    """Write the view and the finished file, where the order wants them: their names, and notes."""
    written, notes = {}, []
    if order.view:
        written["view"] = write_view(order.view, photograph)
    if order.result:
        path = order.result / result_name(order.name, encoding.format)
        with _refused_as("bad_result", path):
            notes = write_photograph(path, photograph, encoding)
        written["result"] = str(path)
    return written, notes


def write_step(path: Path, photograph: Photograph, hole: np.ndarray, extend: tuple[int, ...]) -> None:
    """Keep what a fill changed: the pixels of the hole's bounding box."""
    rows, columns = (np.flatnonzero(hole.any(axis=axis)) for axis in (1, 0))
    top, bottom, left, right = rows[0], rows[-1] + 1, columns[0], columns[-1] + 1
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        corner, pixels = [top, left], photograph.pixels[top:bottom, left:right]
        np.savez(file, corner=corner, pixels=pixels, extend=np.array(extend, int))


def with_step(photograph: Photograph, path: Path) -> Photograph:
    """The photograph after one more of its fills, its pixels changed in place.

    Raises:
        Refusal: the step is no longer there.
    """
    if not path.is_file():
        raise Refusal("gone")
    with np.load(path, allow_pickle=False) as step:
        (top, left), pixels, extend = step["corner"], step["pixels"], tuple(map(int, step["extend"]))
    if any(extend):
        photograph, _ = extend_photograph(photograph, np.zeros(photograph.size, bool), extend)
    photograph.pixels[top : top + pixels.shape[0], left : left + pixels.shape[1]] = pixels
    return photograph


def write_view(path: Path, photograph: Photograph) -> str:
    """Write what the browser shows, of at most ``VIEW_PIXELS``, and return its name."""
    height, width = photograph.size
    scale = min(1, math.sqrt(VIEW_PIXELS / (height * width)), VIEW_SIDE / max(height, width))
    planes = [photograph.pixels] + ([] if photograph.alpha is None else [photograph.alpha])
    if scale < 1:
        size = max(int(width * scale), 1), max(int(height * scale), 1)
        planes = [cv2.resize(plane, size, interpolation=cv2.INTER_AREA) for plane in planes]
    image = Image.fromarray(planes[0])
    if len(planes) > 1:
        image.putalpha(Image.fromarray(planes[1]))
    is_exact = len(planes) > 1 or image.width * image.height <= EXACT_VIEW
    path = path.with_suffix(".png" if is_exact else ".jpg")
    settings = {"compress_level": 1} if is_exact else {"quality": 92, "subsampling": 0}
    if photograph.icc and photograph.icc[16:20] == b"RGB ":
        settings["icc_profile"] = photograph.icc
    with atomic_path(path) as temporary:
        image.save(temporary, **settings)
    return path.name


def result_name(name: str, format: str) -> str:
    """The photograph's own name; with another suffix only where it is written in another format.

    Example:
        >>> result_name("a.JPEG", "jpeg"), result_name("a.JPEG", "png")
        ('a.JPEG', 'a.png')
    """
    path = Path(name)
    return name if path.suffix.lower() in SUFFIXES[format] else path.stem + SUFFIXES[format][0]


@contextlib.contextmanager
def _refused_as(key: str, *paths: str | os.PathLike | None, **values: object) -> Iterator[None]:
    """A mistake is answered in the client's language, without the server's folders."""
    try:
        yield
    except Refusal:
        raise
    except InputError as error:
        raise Refusal(key, reason=_without_folders(str(error), *paths), **values) from None


def _without_folders(line: str, *paths: str | os.PathLike | None) -> str:
    for path in paths:
        if path is not None:
            line = line.replace(str(path), Path(path).name)
    return line


def answer(filler: Filler, order: Order, tell: Callable[[dict], None]) -> dict:
    """Do an order; whatever happens, there is an answer."""
    try:
        return {"done": filler.do(order, tell)}
    except Exception as error:
        refusal = refusal_of(error)
        return {"refused": [refusal.key, refusal.values]}


def load_model(directory: Path) -> dict[bool | None, Fill]:
    """One network in memory, which fills with detail, without, or as its weights say."""
    from inpainting import Inpainter

    own = Inpainter.from_checkpoint(directory, detail=None)
    return {None: own, **{detail: Inpainter(own.model, detail=detail) for detail in (True, False)}}


def prepare(settings: dict) -> tuple[dict[str, Path], Load]:
    """The models to choose from, by name, and what loads them."""
    from options import setup_device

    setup_device(settings["device"], settings["threads"])
    from web.choices import find_models

    return find_models(ROOT, settings["weights"]), load_model


def serve(prepare: Callable[[dict], tuple[dict[str, Path], Load]] = prepare) -> None:
    """Answer orders until standard input ends; before them come the settings."""
    for name in ("SIGINT", "SIGHUP"):  # a terminal sends them to the server, too, which ends this process
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # what libraries print is no reply
    received: queue.SimpleQueue = queue.SimpleQueue()
    threading.Thread(target=_receive, args=[received], daemon=True).start()

    def tell(reply: dict) -> None:
        print(json.dumps(reply), file=replies, flush=True)

    settings = received.get()
    try:
        models, load = prepare(settings)
        filler = Filler(models, settings["limits"], load)
        fill = filler.model(next(iter(models)))[None]
        if settings["warm_up"]:  # what is compiled at the first fill, is compiled now, and found by later processes
            hole = np.zeros([96, 96], bool)
            hole[30:60, 30:60] = True
            fill(np.random.default_rng(0).integers(0, 256, [96, 96, 3], np.uint8), hole)
    except InputError as error:
        return tell({"failed": str(error)})
    tell({"models": list(models)})
    while True:
        tell(answer(filler, received.get(), tell))


def _receive(received: queue.SimpleQueue) -> None:
    """Read orders, also while one is worked on, to end with the server at once."""
    try:
        while True:
            received.put(pickle.load(sys.stdin.buffer))
    finally:
        os._exit(0)


if __name__ == "__main__":
    serve()
