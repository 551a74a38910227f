"""meta.json, which stands beside every network's weights: what it may say, as a small schema, and its reader.

``model`` and ``options`` say which network it is, and are always there. The other entries come with how the weights
were made: training checkpoints say where the run stood, exported models which files there are. What the schema does
not know is let through, since another version of this project may.
"""

import json
import math
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from utils.errors import InputError, one_line
from utils.files import read_text

META = "meta.json"
MAX_META = 1 << 20  # bytes; a training checkpoint's has a few thousand
ABOUT_LENGTH = 300  # characters: it is shown on one line
LARGEST = 1 << 53  # of counts
LARGEST_OPTION = 1 << 20  # channels, layers: a network of so many fits no machine

_WHAT = "a JSON object with model and options"
_REMEDY = "copy it from where the weights are from"


class Kind(NamedTuple):
    """What an entry must be: in words, and as a test."""

    expected: str
    fits: Callable[[Any], bool]


def _is_text(value: Any, limit: int = 200) -> bool:
    return isinstance(value, str) and len(value) <= limit and value == one_line(value)


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value <= LARGEST


def _is_number(value: Any) -> bool:
    return (type(value) is int and abs(value) <= LARGEST) or (isinstance(value, float) and not math.isnan(value))


def _is_switch_or_number(value: Any) -> bool:
    return isinstance(value, bool) or _is_number(value)


def _is_option(value: Any) -> bool:
    return (
        value is None
        or isinstance(value, bool)
        or _is_text(value)
        or (_is_number(value) and abs(value) <= LARGEST_OPTION)
    )


def _is_file_name(value: Any) -> bool:
    return _is_text(value) and re.fullmatch(r"[\w.-]+", value) is not None and value.strip(".") != ""


def _is_sha256(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch("[0-9a-f]{64}", value) is not None


def _maps(to: Callable[[Any], bool], of: Callable[[Any], bool] = _is_text) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, dict) and all(of(key) and to(part) for key, part in value.items())


def _lists(of: Callable[[Any], bool]) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, list) and all(map(of, value))


def _is_validation(value: Any) -> bool:
    return isinstance(value, dict) and _is_number(value.get("psnr")) and _is_text(value.get("pictures"))


_TEXT = Kind("a short text on one line", _is_text)
_COUNT = Kind("a whole number, 0 or more", _is_count)

KINDS = {
    "model": Kind("the name of a network", _is_text),
    "options": Kind(
        "an object of the network's options: numbers, short texts, true or false, or objects of these",
        _maps(lambda value: _is_option(value) or _maps(_is_option)(value)),
    ),
    "about": Kind("a text", lambda value: isinstance(value, str)),
    "versions": Kind("an object of short texts", _maps(_is_text)),
    # Of training checkpoints.
    "iter": _COUNT,
    "position": _COUNT,
    "phase": _TEXT,
    "phase_start": _COUNT,
    "seed": Kind("a whole number, 0 or more", lambda value: type(value) is int and value >= 0),
    "batch_size": Kind("a whole number above 0", lambda value: _is_count(value) and value > 0),
    "ema_updates": _COUNT,
    "settings": Kind("an object", lambda value: isinstance(value, dict)),
    "scaler": Kind("an object of lists of numbers, true or false", _maps(_lists(_is_switch_or_number))),
    "validation": Kind("an object with a number psnr and a text pictures", _is_validation),
    # Of these and of exported models.
    "files": Kind("an object of file names and their SHA-256", _maps(_is_sha256, of=_is_file_name)),
    "format": _TEXT,
    "inputs": Kind("a list of short texts", _lists(_is_text)),
}


def read_meta(directory: str | os.PathLike) -> dict:
    """meta.json of a weights directory; what it has of ``KINDS`` is of that kind, and ``about`` fit to be printed.

    Raises:
        InputError: no such file, damaged, without model or options, or with an entry of another kind.
    """
    path = Path(directory) / META
    meta = _read_object(path)
    if missing := [key for key in ("model", "options") if key not in meta]:
        raise InputError(f"{path}: expected {_WHAT}, got no entry {missing[0]!r}; {_REMEDY}")
    for key in meta.keys() & KINDS.keys():
        if not KINDS[key].fits(meta[key]):
            raise InputError(
                f"{path}: expected {key} to be {KINDS[key].expected}, got {one_line(repr(meta[key]), 60)}; {_REMEDY}"
            )
    if "about" in meta:
        meta["about"] = _showable(meta["about"])
    return meta


def _read_object(path: Path) -> dict:
    text = read_text(path, _WHAT, MAX_META)
    try:
        meta = json.loads(text)
    except (ValueError, RecursionError):  # a number of thousands of digits, or nesting as deep, is an error too
        meta = None
    if not isinstance(meta, dict):
        raise InputError(f"{path}: expected {_WHAT}, got a damaged file; {_REMEDY}")
    return meta


def _showable(about: str) -> str:
    """One line that any output can encode."""
    return one_line(about.encode("utf-8", "replace").decode("utf-8"), ABOUT_LENGTH)
