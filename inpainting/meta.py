"""meta.json, the description beside a network's weights: its reader, and what its entries must be.

``model`` and ``options`` say which network it is, and are always there. The other entries come with how the weights
were made: training checkpoints say where the run stood, exported models which files there are. Unknown entries are let
through, since another version of this project may write them.
"""

import json
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from utils.errors import InputError, one_line
from utils.files import read_text

META = "meta.json"
MAX_META = 1 << 20  # bytes; a training checkpoint's has a few thousand
ABOUT_LENGTH = 300  # characters: it is shown on one line
TEXT_LENGTH = 200
LARGEST = 1 << 53  # of counts
LARGEST_OPTION = 1 << 20  # channels, layers: a network of so many fits no machine

FILLING = ("detail", "flip", "start_depth")  # how the weights are used best; options of test.py go first

_WHAT = "a JSON object with model and options"
_REMEDY = "copy it from where the weights are from"


def read_meta(directory: str | os.PathLike) -> dict:
    """meta.json of a weights directory; its known entries are of their kind, and ``about`` is fit to be printed.

    Raises:
        InputError: no such file, damaged, without model or options, or with an entry of another kind.
    """
    path = Path(directory) / META
    meta = _read_object(path)
    if missing := [key for key in ("model", "options") if key not in meta]:
        raise InputError(f"{path}: expected {_WHAT}, got no entry {missing[0]!r}; {_REMEDY}")
    for key, value in meta.items():
        expected, is_right = ENTRIES.get(key, (None, None))
        if expected and not is_right(value):
            raise InputError(f"{path}: expected {key} to be {expected}, got {one_line(repr(value), 60)}; {_REMEDY}")
    if "about" in meta:
        meta["about"] = one_line(meta["about"].encode("utf-8", "replace").decode("utf-8"), ABOUT_LENGTH)
    return meta


def _read_object(path: Path) -> dict:
    text = read_text(path, _WHAT, MAX_META)
    try:
        meta = json.loads(text, parse_constant=_refuse_nan)
    except (ValueError, RecursionError):  # a number of thousands of digits, or nesting as deep, is an error too
        meta = None
    if not isinstance(meta, dict):
        raise InputError(f"{path}: expected {_WHAT}, got a damaged file; {_REMEDY}")
    return meta


def _refuse_nan(name: str) -> float:
    if name == "NaN":
        raise ValueError(name)
    return float(name)


def _is_text(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= TEXT_LENGTH and value == one_line(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value <= LARGEST


def _is_option(value: Any, may_nest: bool = True) -> bool:
    """A plain value, or an object of such."""
    if isinstance(value, dict) and may_nest:
        return all(map(_is_text, value)) and all(_is_option(part, may_nest=False) for part in value.values())
    return value is None or _is_text(value) or (isinstance(value, int | float) and abs(value) <= LARGEST_OPTION)


def _is_file(name: str, digest: Any) -> bool:
    """A file in the same folder, and its SHA-256."""
    return re.fullmatch(r"(?!\.+$)[\w.-]+", name) is not None and _is_text(digest)


def _object_of(is_right: Callable[[Any, Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, dict) and all(is_right(*item) for item in value.items())


# For each known entry: what it must be, in words, and the check.
ENTRIES: dict[str, tuple[str, Callable[[Any], bool]]] = {
    **dict.fromkeys(("model", "phase", "format"), ("a short text on one line", _is_text)),
    **dict.fromkeys(
        ("iter", "position", "phase_start", "batch_size", "ema_updates", "seed"),
        ("a whole number, 0 or more", _is_count),
    ),
    **dict.fromkeys(("detail", "flip"), ("on or off", lambda value: value in ("on", "off"))),
    **dict.fromkeys(("settings", "scaler"), ("an object", lambda value: isinstance(value, dict))),
    "start_depth": ("a number above 0", lambda value: _is_number(value) and 0 < value < LARGEST),
    "about": ("a text", lambda value: isinstance(value, str)),
    "options": (
        "an object of numbers, short texts, true or false, or objects of these",
        _object_of(lambda key, value: _is_text(key) and _is_option(value)),
    ),
    "versions": ("an object of short texts", _object_of(lambda _, value: _is_text(value))),
    "files": ("an object of file names and their SHA-256", _object_of(_is_file)),
    "inputs": ("a list", lambda value: isinstance(value, list)),
    "validation": (
        "an object with a number psnr and a text pictures",
        lambda value: isinstance(value, dict) and _is_number(value.get("psnr")) and _is_text(value.get("pictures")),
    ),
}
KNOWN = tuple(ENTRIES)
