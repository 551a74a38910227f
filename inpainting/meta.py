"""meta.json, the description beside a network's weights.

``model`` and ``options`` say which network it is, and are always there. The other entries come with how the weights
were made: training checkpoints say where the run stood, exported models which files there are. Unknown entries are let
through, since another version of this project may write them.
"""

import json
import os
import re
from pathlib import Path

from utils.errors import InputError, one_line
from utils.files import read_text

META = "meta.json"
MAX_META = 1 << 20  # bytes; a training checkpoint's has a few thousand
TEXT_LENGTH = 300  # characters: texts are shown on one line
LARGEST_OPTION = 1 << 20  # channels, layers: a network of so many fits no machine

FILLING = ("detail", "flip", "start_depth")  # how the weights are used best; options of test.py go first
FLIPS = {"on": True, "first": "first", "off": False}  # the entry and --flip, as an Inpainter takes it

ENTRIES: dict[str, type | tuple[type, ...]] = {
    **dict.fromkeys(("model", "about", "phase", "format", "detail", "flip"), str),
    **dict.fromkeys(("iter", "position", "phase_start", "batch_size", "ema_updates", "seed"), int),
    **dict.fromkeys(("options", "files", "versions", "validation", "settings", "scaler"), dict),
    "start_depth": (int, float),
    "inputs": list,
}

_WHAT = "a JSON object with model and options"
_REMEDY = "copy it from where the weights are from"


def read_meta(directory: str | os.PathLike) -> dict:
    """meta.json of a weights directory; known entries are of their type, and texts fit to be printed.

    Raises:
        InputError: no such file, damaged, without model or options, or with an entry of another type.
    """
    path = Path(directory) / META
    text = read_text(path, _WHAT, MAX_META)
    try:
        meta = json.loads(text)
    except (ValueError, RecursionError):  # a number of thousands of digits, or nesting as deep, is an error too
        meta = None
    if not isinstance(meta, dict):
        raise InputError(f"{path}: expected {_WHAT}, got a damaged file; {_REMEDY}")
    for key in ("model", "options", *meta):
        if not _is_right(key, meta.get(key)):
            got = one_line(repr(meta[key]), 60) if key in meta else "none"
            raise InputError(f"{path}: expected {key} as this program writes it, got {got}; {_REMEDY}")
    texts = {key: value for key, value in meta.items() if isinstance(value, str)}
    return meta | {key: one_line(v.encode("utf-8", "replace").decode(), TEXT_LENGTH) for key, v in texts.items()}


def _is_right(key: str, value: object) -> bool:
    """Whether an entry is of its type, with what the code needs inside it."""
    if not isinstance(value, ENTRIES.get(key, object)):
        return False
    if key == "options":
        return all(abs(part) <= LARGEST_OPTION for part in value.values() if isinstance(part, int | float))
    if key == "files":  # all in the same folder
        return all(re.fullmatch(r"(?!\.+$)[\w.-]+", name) for name in value)
    if key == "validation":
        return isinstance(value.get("psnr"), int | float) and isinstance(value.get("pictures"), str)
    return key != "start_depth" or value > 0
