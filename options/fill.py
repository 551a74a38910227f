"""The options of test.py."""

import argparse
import os
import re
from collections.abc import Sequence

from PIL import ImageColor

from options.shared import (
    DEFAULT_WEIGHTS,
    Parser,
    add_device_options,
    add_filling_options,
    adder,
    count_int,
    integer,
    positive_int,
    refuse_beside,
)
from utils.errors import one_line


def fill_parser() -> Parser:
    """The options of test.py."""
    parser = Parser(
        prog="test.py",
        description="Fill the holes of a picture, or of each picture in a folder, at its own size and in its format. "
        "With no arguments: sample photographs with generated holes and the model in weights/general.",
    )
    add = adder(parser)
    add("--input", "FILE|DIR", "picture, folder or text file that lists pictures; sample photographs when not given")
    add("--list_root", "DIR", "folder that paths in the list file of --input start from; the list's own when not given")
    add("--super_resolution", positive_int, "enlarge K times instead: the pixels between are filled", metavar="K")
    _add_hole_options(parser)
    add("--extend", margins, "extend the picture by so many pixels on each side", metavar="left,top,right,bottom")
    add("--weights", "FILE|DIR", "weights, a run's folder, or an exported model", os.path.relpath(DEFAULT_WEIGHTS))
    _add_result_options(parser)
    add_filling_options(parser)
    add(
        "--grid",
        bool,
        "also write input, mask, the network's output in a single pass, result and truth side by side, shrunk to 1024 "
        "pixels a side, and of deepfill_v1 a map of where it copied from (hue: direction, saturation: distance)",
    )
    add("--seed", count_int, "seed of the generated holes", 0)
    add_device_options(parser)
    return parser


def parse_fill(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Options of test.py.

    Raises:
        InputError: options that exclude each other.
    """
    options = fill_parser().parse_args(argv)
    if options.super_resolution:
        holes = ("mask", "mask_alpha", "mask_colour", "box", "polygon", "dilate", "extend", "grid")
        single = {"scales": ("auto", 1), "detail": (None, "off"), "flip": (None, "off")}
        refuse_beside(options, "--super_resolution", **dict.fromkeys(holes, (None, 0)), hole=("white",), **single)
        options.scales = 1
    return options


def _add_result_options(parser: argparse.ArgumentParser) -> None:
    add = adder(parser)
    add("--output", "DIR", "folder of the results, one file for each picture", "logs/test")
    add("--format", ("png", "jpeg", "webp", "tiff", "bmp"), "format of the results; the picture's own when not given")
    add("--lossless", bool, "pixels outside the hole come back bit for bit: PNG for JPEG and lossy WebP")
    add("--skip_existing", bool, "skip pictures whose result is in --output already")
    add(
        "--overwrite",
        bool,
        "also replace files in --output that are not results of an earlier run; never a picture or mask that is read",
    )


def _add_hole_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group(
        "hole", "All that is marked, in one way or several, is filled; holes are generated when nothing is marked."
    )
    add = adder(group)
    add("--mask", "FILE|DIR", "black-and-white mask of the picture's size or shape, or a folder with masks by name")
    add("--hole", ("white", "black"), "colour of the hole in the mask files", "white")
    add_either = adder(group.add_mutually_exclusive_group())
    add_either("--mask_alpha", bool, "fill where the picture (with --mask: that file, a copy of it) is transparent")
    add_either(
        "--mask_colour",
        colour,
        "fill where the picture (with --mask: that file, a copy of it) has this colour (magenta, ff00ff)",
        metavar="COLOUR",
    )
    group.add_argument("--box", type=box, action="append", metavar="x,y,w,h", help="fill a box, in pixels; repeatable")
    group.add_argument(
        "--polygon",
        type=point,
        nargs="+",
        action="append",
        metavar="x,y",
        help="fill a polygon of three corners or more, in pixels; repeatable",
    )
    add("--dilate", integer(0, 1024), "grow the hole by so many pixels", 0)


def colour(text: str) -> tuple[int, int, int]:
    """A colour's name, or six hexadecimal digits with or without #, as (R, G, B)."""
    try:
        return ImageColor.getrgb(f"#{text}" if re.fullmatch(r"[0-9a-fA-F]{6}", text) else text)[:3]
    except ValueError:
        raise argparse.ArgumentTypeError(f"expected a colour as red or ff0000, got {one_line(text, 40)!r}") from None


def box(text: str) -> tuple[int, ...]:
    """x,y,w,h."""
    x, y, w, h = _whole_numbers(text, 4, "x,y,w,h (a corner, width and height in pixels)")
    if not (w and h):
        raise argparse.ArgumentTypeError(f"expected a width and a height above 0, got {text!r}")
    return x, y, w, h


def margins(text: str) -> tuple[int, ...]:
    """left,top,right,bottom."""
    return _whole_numbers(text, 4, "left,top,right,bottom (pixels to add on each side)")


def point(text: str) -> tuple[int, ...]:
    """x,y."""
    return _whole_numbers(text, 2, "x,y (pixels)")


def _whole_numbers(text: str, count: int, expected: str) -> tuple[int, ...]:
    """Numbers with commas between, of six digits at most: more than a picture has pixels a side."""
    if not re.fullmatch(rf"[0-9]{{1,6}}(,[0-9]{{1,6}}){{{count - 1}}}", text, re.ASCII):
        raise argparse.ArgumentTypeError(f"expected {expected} in whole numbers, got {one_line(text, 40)!r}")
    return tuple(map(int, text.split(",")))
