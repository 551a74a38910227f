"""meta.json, which stands beside every network's weights: its reader, and what its entries must be.

``model`` and ``options`` say which network it is, and are always there. The other entries come with how the weights
were made: training checkpoints say where the run stood, exported models which files there are. Unknown entries are let
through, since another version of this project may write them.
"""

import json
import os
import re
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

COUNTS = ("iter", "position", "phase_start", "batch_size", "ema_updates")
OBJECTS = ("options", "versions", "settings", "scaler", "files", "validation")
FILLING = ("detail", "flip", "start_depth")  # how the weights are used best; options of test.py go first
KNOWN = ("model", "options", "about", "phase", "seed", "format", "inputs", *FILLING, *COUNTS, *OBJECTS)

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
        if expected := expected_instead(key, value):
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


def expected_instead(key: str, value: Any) -> str | None:
    """What an entry was expected to be, in words, where it is something else; None where it is right or unknown."""
    if key in ("model", "phase", "format") and not is_text(value):
        return "a short text on one line"
    if key == "about" and not isinstance(value, str):
        return "a text"
    if key in ("detail", "flip") and value not in ("on", "off"):
        return "on or off"
    if key == "start_depth" and not (is_number(value) and 0 < value < LARGEST):
        return "a number above 0"
    if (key in COUNTS and not is_count(value)) or (key == "seed" and not (type(value) is int and value >= 0)):
        return "a whole number, 0 or more"
    if key in OBJECTS and not (isinstance(value, dict) and all(map(is_text, value))):
        return "an object"
    if key == "scaler" and not all(
        isinstance(part, list) and all(map(_is_number_or_switch, part)) for part in value.values()
    ):
        return "an object of lists of numbers, true or false"
    if key == "inputs" and not (isinstance(value, list) and all(map(is_text, value))):
        return "a list of short texts"
    if key == "versions" and not all(map(is_text, value.values())):
        return "an object of short texts"
    if key == "options" and not all(map(is_option, value.values())):
        return "an object of the network's options: numbers, short texts, true or false, or objects of these"
    if key == "files" and not all(is_file_name(name) and is_sha256(digest) for name, digest in value.items()):
        return "an object of file names and their SHA-256"
    if key == "validation" and not (is_number(value.get("psnr")) and is_text(value.get("pictures"))):
        return "an object with a number psnr and a text pictures"
    return None


def is_text(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= TEXT_LENGTH and value == one_line(value)


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_number_or_switch(value: Any) -> bool:
    return isinstance(value, int | float)


def is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value <= LARGEST


def is_option(value: Any, inner: bool = False) -> bool:
    """A plain value, or an object of such."""
    if isinstance(value, dict) and not inner:
        return all(map(is_text, value)) and all(is_option(part, inner=True) for part in value.values())
    return (
        value is None
        or isinstance(value, bool)
        or is_text(value)
        or (is_number(value) and abs(value) <= LARGEST_OPTION)
    )


def is_file_name(value: str) -> bool:
    """Of a file in the same folder."""
    return re.fullmatch(r"[\w.-]+", value) is not None and value.strip(".") != ""


def is_sha256(value: Any) -> bool:
    return isinstance(value, str) and re.fullmatch("[0-9a-f]{64}", value) is not None
