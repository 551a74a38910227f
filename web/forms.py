"""What a form of the HTTP API asks for: its fields are called, written and checked as the options of test.py."""

import argparse
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, NamedTuple

from datasets.holes import Marks
from datasets.photographs import SUFFIXES
from options.bounds import beyond
from options.fill import box, colour, point
from options.shared import count_int
from utils.errors import one_line
from web.texts import Told
from web.worker import Order, result_stem

FILES = ("picture", "mask")


class Upload(NamedTuple):
    """A file in a form: its name as the client has it, and its bytes."""

    name: str
    file: BinaryIO


Form = Mapping[str, Sequence[str | Upload]]


def read_order(form: Form, folder: Path) -> Order:
    """What a form asks for, its files written into ``folder``.

    Raises:
        Told: a field that there is not, is missing, or says what cannot be understood.
    """
    for name in form:
        if name not in (*FILES, *_FIELDS):
            raise Told("bad_value", reason=f"no such field: {one_line(name, 40)}; there are {_names()}")
    values = {name: [_read(name, text) for text in form.get(name, [])] for name in _FIELDS}
    once = {name: v[0] if v else None for name, v in values.items()}
    for name in values:
        if len(values[name]) > 1 and name not in ("box", "polygon"):
            raise Told("bad_value", reason=f"{name}: expected it once, got it {len(values[name])} times")
    marks = Marks(
        file=_saved(form, "mask", folder),
        white=once["hole"] != "black",
        alpha=bool(once["mask_alpha"]),
        colour=once["mask_colour"],
        boxes=values["box"],
        polygons=values["polygon"],
        dilate=once["dilate"] or 0,
    )
    picture = _saved(form, "picture", folder)
    return Order(picture, marks, None, once["model"], once["format"], bool(once["lossless"]), folder / "result")


def _names() -> str:
    return ", ".join((*FILES, *_FIELDS))


def _saved(form: Form, name: str, folder: Path) -> Path | None:
    """A file of the form under its owner's name, in a folder of its own."""
    files = form.get(name, [])
    if not files or files == [""]:
        return None
    if len(files) > 1 or not isinstance(files[0], Upload):
        raise Told("bad_value", reason=f"{name}: expected one file, got something else; with curl: -F {name}=@FILE")
    given = Path(files[0].name or name)
    path = folder / name / (result_stem(given) + re.sub("[^.A-Za-z0-9]", "", given.suffix)[:8])
    path.parent.mkdir(parents=True)
    path.write_bytes(files[0].file.read())
    return path


def _read(name: str, text: object) -> object:
    """A field's value, read as test.py reads the option of its name."""
    try:
        if not isinstance(text, str):
            raise argparse.ArgumentTypeError("expected text, got a file")
        value = _FIELDS[name](text)
    except argparse.ArgumentTypeError as error:
        raise Told("bad_value", reason=f"{name}: {error}") from None
    if problem := beyond(name, value):
        raise Told("bad_value", reason=f"{name}: {problem}")
    return value


def _one_of(*words: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in words:
            raise argparse.ArgumentTypeError(f"expected one of {', '.join(words)}, got {one_line(text, 40)!r}")
        return text

    return read


def _yes(text: str) -> bool:
    return _one_of("1", "0", "true", "false", "yes", "no")(text.lower()) in ("1", "true", "yes")


_FIELDS: dict[str, Callable[[str], object]] = {
    "hole": _one_of("white", "black"),
    "mask_alpha": _yes,
    "mask_colour": colour,
    "box": box,
    "polygon": lambda text: [point(corner) for corner in text.split()],
    "dilate": count_int,
    "model": str,
    "format": _one_of(*SUFFIXES),
    "lossless": _yes,
}
