"""The worker process: photographs are decoded, filled and written here, and nowhere else in the server.

Orders come through a pipe, and each is answered by a dict or a ``Refusal``. The server ends the process when it takes
too long, and starts another. When the server ends, so does the process.
"""

import contextlib
import copy
import math
import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from functools import lru_cache
from multiprocessing.connection import Connection
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from datasets.holes import find_hole
from datasets.images import FORMATS
from datasets.photographs import (
    Photograph,
    read_photograph,
    refuse_what_does_not_fit,
    result_encoding,
    write_photograph,
)
from inpainting.photographs import extend_photograph, fill_photograph
from utils.errors import InputError
from utils.files import atomic_path, open_regular
from web.limits import VIEW_PIXELS, VIEW_SIDE, Limits
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

    def model(self, name: str) -> dict[bool | None, Fill]:
        """A model from memory, where the latest ``MODELS_IN_MEMORY`` are, or from its files."""
        if name not in self.models:
            raise Refusal("no_model", names=", ".join(self.models), name=name[:40])
        with _refused_as("bad_model", self.models[name], name=name):
            return self._load(self.models[name])

    def do(self, order: Order) -> dict:
        """Do an order: read, fill, write.

        Raises:
            Refusal: whatever is wrong with it.
        """
        start = time.monotonic()
        name = order.model or next(iter(self.models))
        original = photograph = open_photograph(order.picture, self.limits)
        share, notes = 0.0, []
        for step in order.steps:
            photograph = with_step(photograph, step)
        with _refused_as("bad_result", order.picture):
            encoding = result_encoding(original.encoding, order.format, order.lossless)
        if order.fills:
            photograph, hole, notes = marked(order, photograph, self.limits)
            if order.result:
                with _refused_as("bad_result", order.picture):
                    refuse_what_does_not_fit(order.picture, photograph, encoding)
            photograph, share = fill_photograph(self.model(name)[order.detail], photograph, hole), float(hole.mean())
        if order.step:
            notes = []  # of the page's own mask
            write_step(order.step, photograph, hole, order.extend)
        else:
            notes = [*original.notes, *notes]
        if order.view:
            write_view(order.view, photograph)
        if order.result:
            with _refused_as("bad_result", order.result):
                notes += write_photograph(order.result, photograph, encoding)
        return {
            "height": photograph.size[0],
            "width": photograph.size[1],
            "share": share,
            "model": name,
            "notes": [_without_folder(note, order.picture) for note in notes],
            "format": encoding.format,
            "lossless": original.encoding.lossless,
            "seconds": time.monotonic() - start,
        }

    def answer(self, order: Order) -> dict | Refusal:
        """Do an order; whatever happens, there is an answer."""
        try:
            return self.do(order)
        except Exception as error:
            return refusal_of(error)


def open_photograph(path: Path, limits: Limits) -> Photograph:
    """A client's photograph.

    Raises:
        Refusal: no longer there, too large, or not one that can be read.
    """
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
        with _refused_as("bad_mask", order.picture):
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


def write_view(path: Path, photograph: Photograph) -> None:
    """Write what the browser shows, of at most ``VIEW_PIXELS``: JPEG, or PNG where there is transparency."""
    height, width = photograph.size
    scale = min(1, math.sqrt(VIEW_PIXELS / (height * width)), VIEW_SIDE / max(height, width))
    size = max(int(width * scale), 1), max(int(height * scale), 1)
    planes = [plane for plane in (photograph.pixels, photograph.alpha) if plane is not None]
    if scale < 1:
        planes = [cv2.resize(plane, size, interpolation=cv2.INTER_AREA) for plane in planes]
    image, settings = Image.fromarray(planes[0]), {"format": "jpeg", "quality": 95, "subsampling": 0}
    if len(planes) > 1:
        image.putalpha(Image.fromarray(planes[1]))
        settings = {"format": "png", "compress_level": 1}
    if photograph.icc and photograph.icc[16:20] == b"RGB ":
        settings["icc_profile"] = photograph.icc
    with atomic_path(path) as temporary:
        image.save(temporary, **settings)


@contextlib.contextmanager
def _refused_as(key: str, path: Path, **values: object) -> Iterator[None]:
    """A mistake is answered in the client's language, without the folder of ``path``."""
    try:
        yield
    except Refusal:
        raise
    except InputError as error:
        raise Refusal(key, reason=_without_folder(str(error), path), **values) from None


def _without_folder(line: str, path: Path) -> str:
    return line.replace(f"{path.parent}{os.sep}", "")


def load_model(directory: Path) -> dict[bool | None, Fill]:
    """One network in memory, which fills with detail, without, or as its weights say."""
    from inpainting import Inpainter

    own = Inpainter.from_checkpoint(directory, detail=None)
    with_detail, without = copy.copy(own), copy.copy(own)
    with_detail.detail, without.detail = True, False
    return {None: own, True: with_detail, False: without}


def prepare(weights: str | None, device: str, threads: int | None) -> tuple[dict[str, Path], Load]:
    """The models to choose from, by name, and what loads them."""
    from options import setup_device

    setup_device(device, threads)
    from web.choices import find_models

    return find_models(ROOT, weights), load_model


def serve(pipe: Connection, limits: Limits, prepare: Callable[[], tuple[dict[str, Path], Load]]) -> None:
    """Tell the models' names, or the InputError that prevents it, then answer orders until the server ends."""
    for name in ("SIGINT", "SIGHUP"):  # a terminal sends them to the server, too, which ends this process
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    threading.Thread(target=_end_with_server, daemon=True).start()
    with contextlib.suppress(EOFError, OSError):
        try:
            models, load = prepare()
            filler = Filler(models, limits, load)
            hole = np.zeros([96, 96], bool)
            hole[30:60, 30:60] = True  # what is compiled at the first fill, is compiled now
            filler.model(next(iter(models)))[None](
                np.random.default_rng(0).integers(0, 256, [96, 96, 3], np.uint8), hole
            )
        except InputError as error:
            return pipe.send(error)
        pipe.send(list(models))
        while True:
            pipe.send(filler.answer(pipe.recv()))


def _end_with_server() -> None:
    """Also during a fill."""
    multiprocessing.parent_process().join()
    os._exit(0)
