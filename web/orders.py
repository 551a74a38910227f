"""What the worker is asked to do, and how a form of the HTTP API asks for it: its fields are test.py's options."""

import argparse
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from starlette.datastructures import FormData

from datasets.holes import Marks
from datasets.photographs import SUFFIXES
from options.fill import box, colour, margins, point
from options.shared import integer
from utils.errors import one_line
from web.limits import MOST_CORNERS
from web.texts import Refusal


@dataclass(frozen=True)
class Order:
    """Something to be done with a photograph.

    Args:
        picture: file of the photograph, in the client's folder.
        steps: files of what was filled in it before, in this order.
        marks: where to fill.
        extend: pixels to add, left, top, right, bottom.
        fills: whether something is to be filled; else the photograph is only read.
        model: a name, the default for None.
        detail: as in ``Inpainter.from_checkpoint``.
        format, lossless: as in ``result_encoding``.
        step: file for what is filled, to be one of ``steps`` later.
        view: file for the browser to show.
        result: the finished file.
    """

    picture: Path
    marks: Marks = field(default_factory=Marks)
    steps: Sequence[Path] = ()
    extend: tuple[int, int, int, int] = (0, 0, 0, 0)
    fills: bool = False
    model: str | None = None
    detail: bool | None = None
    format: str | None = None
    lossless: bool = False
    step: Path | None = None
    view: Path | None = None
    result: Path | None = None


def read_form(form: FormData, folder: Path) -> Order:
    """What a form asks for; its files are written into ``folder``.

    Raises:
        Refusal: an unknown field, or a value that cannot be understood.
    """
    if unknown := [name for name in form if name not in (*FILES, *FIELDS)]:
        names = ", ".join((*FILES, *FIELDS))
        raise Refusal("bad_value", reason=f"no such field: {one_line(unknown[0], 40)}; there are {names}")
    values = {name: [read_field(name, text) for text in form.getlist(name)] for name in FIELDS if name in form}
    for name, found in values.items():
        if len(found) > 1 and name not in ("box", "polygon"):
            raise Refusal("bad_value", reason=f"{name}: expected it once, got it {len(found)} times")
    once = {name: found[0] for name, found in values.items()}
    polygons = values.get("polygon", [])
    if sum(map(len, polygons)) > MOST_CORNERS:
        raise Refusal("many_fields", most=MOST_CORNERS, what="corners")
    mask, picture = (_saved(form, name, folder) for name in ("mask", "picture"))
    if picture is None:
        raise Refusal("no_picture")
    marks = Marks(
        file=mask,
        white=once.get("hole") != "black",
        alpha=once.get("mask_alpha", False),
        colour=once.get("mask_colour"),
        boxes=values.get("box", []),
        polygons=polygons,
        dilate=once.get("dilate", 0),
    )
    options = {name: once[name] for name in ("extend", "model", "detail", "format", "lossless") if name in once}
    return Order(picture, marks, fills=True, result=folder / "result", **options)


def read_field(name: str, text: object) -> object:
    """A field's value, read as test.py reads the option of its name.

    Raises:
        Refusal: it cannot be understood.
    """
    try:
        if not isinstance(text, str):
            raise argparse.ArgumentTypeError("expected text, got a file")
        return FIELDS[name](text)
    except argparse.ArgumentTypeError as error:
        raise Refusal("bad_value", reason=f"{name}: {error}") from None


def _saved(form: FormData, name: str, folder: Path) -> Path | None:
    """A file of the form, under the field's name."""
    files = form.getlist(name)
    if not files or files == [""]:
        return None
    if len(files) > 1 or isinstance(files[0], str):
        raise Refusal("bad_value", reason=f"{name}: expected one file, got something else; with curl: -F {name}=@FILE")
    with open(folder / name, "wb") as file:
        shutil.copyfileobj(files[0].file, file)
    return folder / name


def _one_of(*words: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in words:
            raise argparse.ArgumentTypeError(f"expected one of {', '.join(words)}, got {one_line(text, 40)!r}")
        return text

    return read


def _yes(text: str) -> bool:
    return _one_of("1", "0", "true", "false", "yes", "no", "on", "off")(text.lower()) in ("1", "true", "yes", "on")


FILES = ("picture", "mask")
FIELDS: dict[str, Callable[[str], object]] = {
    "hole": _one_of("white", "black"),
    "mask_alpha": _yes,
    "mask_colour": colour,
    "box": box,
    "polygon": lambda text: [point(corner) for corner in text.split()],
    "dilate": integer(0, 1024),
    "extend": margins,
    "model": str,
    "detail": _yes,
    "format": _one_of(*SUFFIXES),
    "lossless": _yes,
}
