"""What the commands' options share: the parser, types of numbers with bounds, presets, checks of output paths.

Nothing here imports Paddle, so that a wrong option is reported at once.
"""

import argparse
import difflib
import math
import os
import sys
from collections.abc import Callable
from pathlib import Path

import yaml

from inpainting.meta import FLIPS
from utils.device import setup_device
from utils.errors import InputError, naming, one_line
from utils.files import read_text

__all__ = ["setup_device"]  # under the name it is documented by

ROOT = Path(__file__).resolve().parent.parent
MAX_PRESET = 64 << 10  # bytes
DEFAULT_WEIGHTS = ROOT / "weights" / "general"


class _Help(argparse.ArgumentDefaultsHelpFormatter):
    """Help with the defaults that say something."""

    def _get_help_string(self, action):
        is_silent = action.default is None or action.default is False  # 0 is shown
        return action.help if is_silent else super()._get_help_string(action)


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line, with status 2."""

    def __init__(self, **settings):
        super().__init__(formatter_class=_Help, allow_abbrev=False, **settings)
        self.source = None  # file and key of the value that is parsed; None for the command line

    def error(self, message):
        if self.source:
            raise InputError(f"{self.source}: {one_line(message, 600)}")
        print(f"error: {one_line(message, 600)}; see {self.prog} --help", file=sys.stderr)
        sys.exit(2)

    def parse_args(self, args=None, namespace=None):
        options, unknown = self.parse_known_args(args, namespace)
        if unknown:
            word = unknown[0].partition("=")[0]
            close = difflib.get_close_matches(word, self._option_string_actions, 1)
            self.error(f"no such option: {one_line(word, 80)}" + (f"; did you mean {close[0]}?" if close else ""))
        for action in self._actions:
            value = getattr(options, action.dest, None)
            if isinstance(value, str) and not value.strip():  # an unset variable of the shell
                self.error(f"argument {'/'.join(action.option_strings)}: expected a value, got nothing")
        return options

    def parse_value(self, key: str, text: str, source: str) -> object:
        """An option's value from a file, checked as if it had been typed; ``source`` is for messages."""
        self.source = source
        try:
            return getattr(self.parse_args([f"--{key}={text}"]), key)
        finally:
            self.source = None


def adder(group) -> Callable[..., None]:
    """``add(name, kind, help, default)``: a short form of ``group.add_argument``, so that options read as a table.

    ``kind`` is a tuple of choices, ``bool`` for a switch, the metavar of a text, or an argparse type.
    """

    def add(name: str, kind, help: str, default=None, metavar: str | None = None) -> None:
        if kind is bool:
            how, default = {"action": "store_true"}, False
        elif isinstance(kind, tuple):
            how = {"choices": kind}
        elif isinstance(kind, str):
            how = {"metavar": kind}
        else:
            how = {"type": kind, "metavar": metavar or getattr(kind, "metavar", None)}
        group.add_argument(name, default=default, help=help, **how)

    return add


def integer(least: int, most: int = 1_000_000_000) -> Callable[[str], int]:
    """An argparse type: a whole number within bounds, both included.

    Example:
        >>> integer(1, 1024)("2")
        2
        >>> integer(1, 1024)("5000")
        Traceback (most recent call last):
        argparse.ArgumentTypeError: expected a whole number from 1 to 1024, got '5000'
    """
    return _bounded(int, lambda n: least <= n <= most, f"a whole number from {least} to {most}")


def number(least: float, most: float, open_below: bool = False) -> Callable[[str], float]:
    """An argparse type: a number within bounds, ``least`` itself left out if ``open_below``."""
    words = f"above {least:g}, at most {most:g}" if open_below else f"from {least:g} to {most:g}"
    return _bounded(float, lambda n: least <= n <= most and not (open_below and n == least), f"a number {words}")


def _bounded(kind: type, allowed: Callable[[float], bool], expected: str) -> Callable[[str], float]:
    def parse(text: str):
        try:
            value = kind(text)
        except ValueError:
            value = math.nan
        if not allowed(value):
            raise argparse.ArgumentTypeError(f"expected {expected}, got {one_line(text, 80)!r}")
        return value

    parse.metavar = "N" if kind is int else "X"
    return parse


positive_int = _bounded(int, lambda n: 0 < n <= 1_000_000_000, "a whole number above 0")
count_int = _bounded(int, lambda n: 0 <= n < 2**32, "a whole number, 0 or more")
positive_float = _bounded(float, lambda n: 0 < n < math.inf, "a number above 0")
weight_float = number(0, 1e6)
share_float = _bounded(float, lambda n: 0 <= n < 1, "a number from 0 to below 1")
discount_float = number(0, 1, open_below=True)


def scales_of(text: str) -> str | int:
    """The value of --scales."""
    return text if text == "auto" else _bounded(int, lambda n: 0 < n <= 16, "auto or a whole number from 1 to 16")(text)


def add_filling_options(parser: argparse.ArgumentParser, detail: str | None = None) -> None:
    """--scales, --detail and --flip, for the commands that fill holes; ``detail`` is its default."""
    add = adder(parser)
    add(
        "--scales",
        scales_of,
        "auto: from coarse to fine, beginning at the size at which the hole is about as deep as those in training; 1: "
        "the papers' single pass over the whole picture; N: beginning at 1/2^(N-1) of the size",
        "auto",
        metavar="auto|N",
    )
    add(
        "--detail",
        ("on", "off"),
        "on paints holes with texture of the known picture, guided by the network"
        + ("" if detail else "; when not given, on unless --scales is 1 or the weights' meta.json says off"),
        detail,
    )
    add(
        "--flip",
        ("on", "first", "off"),
        "test-time augmentation: on fills each hole a second time, mirrored, and takes the mean, at twice the time; "
        "first does so only in the first pass of a hole filled from coarse to fine; when not given, as the weights' "
        "meta.json says, else on for a network on a smooth prior unless --scales is 1",
    )


def detail_of(options: argparse.Namespace) -> bool | None:
    """The value of --detail; None leaves it to the weights."""
    if options.detail is None:
        return False if options.scales == 1 else None
    return options.detail == "on"


def flip_of(options: argparse.Namespace) -> bool | str | None:
    """The value of --flip, as ``Inpainter`` takes it."""
    return FLIPS.get(options.flip)


def add_device_options(parser: argparse.ArgumentParser) -> None:
    """``--device`` and ``--threads``."""
    group = parser.add_argument_group("device")
    add = adder(group)
    add("--device", ("auto", "cpu", "gpu"), "auto takes the GPU when there is one", "auto")
    add("--threads", integer(1, 1024), "CPU threads; all cores when not given")


def refuse_beside(options: argparse.Namespace, what: str, **usual: tuple) -> None:
    """Refuse options whose value, beside ``what``, is none of these."""
    for name, values in usual.items():
        if (value := getattr(options, name)) not in values:
            shown = "" if isinstance(value, bool | list | tuple) else f" {value}"
            raise InputError(f"{what}: expected no --{name}{shown} beside it; leave one of the two out")


def apply_preset(parser: Parser, path: str | os.PathLike) -> None:
    """Make the preset's values the parser's defaults, each checked as if it had been typed.

    Its ``config``, in the saved options of a run, is the preset that they came from, and is not read again.

    Raises:
        InputError: naming file and key.
    """
    known = {action.dest for action in parser._actions} - {"help", "dry_run"}
    values = {}
    for key, text in read_preset(path).items():
        if key not in known:
            close = difflib.get_close_matches(key, known, 1)
            hint = f"did you mean {close[0]}?" if close else f"known keys: {', '.join(sorted(known))}"
            raise InputError(
                f"{path}: expected keys that are options of {parser.prog}, got {one_line(key, 80)!r}; {hint}"
            )
        values[key] = None if text is None else parser.parse_value(key, text, f"{path}, {key}")
    parser.set_defaults(**values)


def read_preset(path: str | os.PathLike) -> dict[str, str | None]:
    """Keys and values of a YAML file, values as they would be typed; None for an empty one.

    Raises:
        InputError: no such file, no YAML, or anything but one value for each key.
    """
    what = "a preset, a YAML file with lines of 'option: value'"
    try:
        found = yaml.safe_load(read_text(path, what, MAX_PRESET))
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(
            f"{path}: expected {what}, got: {one_line(error, 200)}; compare with configs/celeba.yaml"
        ) from None
    if not isinstance(found, dict):
        raise InputError(f"{path}: expected {what}, got {type(found).__name__}; compare with configs/celeba.yaml")
    return {str(key): _as_typed(f"{path}, {one_line(key, 80)}", value) for key, value in found.items()}


def _as_typed(source: str, value: object) -> str | None:
    if isinstance(value, list | dict):
        raise InputError(f"{source}: expected one value, got a {type(value).__name__}")
    if isinstance(value, bool):
        return "yes" if value else "no"
    return None if value is None else str(value)


def check_folder(option: str, folder: Path) -> None:
    """Refuse a folder that cannot be written, existing or still to be made."""
    with naming(option):
        if folder.is_symlink():
            os.stat(folder)  # a link that leads nowhere, or to itself
        existing = next(path for path in (folder, *folder.parents) if os.path.lexists(path))
    if not existing.is_dir():
        raise InputError(f"{option}: {existing} is a file, not a folder: choose another place")
    if not os.access(existing, os.W_OK):
        raise InputError(f"{option}: no permission to write in {existing}: choose another place")
