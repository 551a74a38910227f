"""The options of eval.py."""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

from options.shared import (
    Parser,
    add_device_options,
    add_filling_options,
    adder,
    check_folder,
    count_int,
    integer,
    positive_int,
    refuse_beside,
)
from utils.errors import InputError
from utils.files import kind_of

METHOD_NAMES = ("telea", "navier_stokes", "biharmonic", "smooth", "patchmatch", "mean")
INTERPOLATIONS = ("nearest", "bicubic", "lanczos")  # of super-resolution
PROTOCOLS = ("composite", "raw", "hole_only", "mmagic", "edge_connect")
OUTPUT = "logs/eval"
LEAST_SIDE = 11  # pixels: the window of SSIM
SAMPLE_SIZE = 128  # pixels: sample photos have many sizes, and the shipped models were trained small


def size_of(text: str) -> int | tuple[int, int]:
    """N or HxW: a side, or height and width.

    Example:
        >>> size_of("64"), size_of("64x96")
        (64, (64, 96))
    """
    sides = text.split("x")
    if len(sides) > 2 or not all(side.isascii() and side.isdigit() and len(side) < 6 for side in sides):
        raise argparse.ArgumentTypeError(f"expected N or HxW in pixels, such as 256 or 64x96, got {text!r}")
    numbers = [integer(LEAST_SIDE, 8192)(side) for side in sides]
    return numbers[0] if len(set(numbers)) == 1 else (numbers[0], numbers[1])


def size_text(size: int | tuple[int, int] | None) -> int | str | None:
    """A size as it stands in reports: N, or "HxW"."""
    return size if size is None or isinstance(size, int) else f"{size[0]}x{size[1]}"


def evaluate_parser() -> Parser:
    """The options of eval.py, without what ``parse_evaluate`` adds and refuses."""
    parser = Parser(
        prog="eval.py",
        description="Measure inpainting: L1, PSNR, SSIM and realism by mask area, holes at the border apart. "
        "With no arguments the shipped model fills generated holes in sample photos.",
    )
    add = adder(parser)
    add("--images", "DIR", "pictures: folder, list file or picture; sample photos when not given")
    add("--list_root", "DIR", "folder that paths in the list of --images start from; the list's own when not given")
    add("--masks", "DIR", "masks: folder, list file or mask; generated when not given")
    add("--hole", ("white", "black"), "colour of the hole in the mask files", "white")
    add("--super_resolution", integer(2, 16), "instead of masks: of each K x K pixels one is known", metavar="K")
    add("--size", size_of, "cut and resize to this size; own size when not given, 128 for samples", metavar="N|HxW")
    add("--limit", positive_int, "only N pairs, evenly spaced over the sorted masks")
    add(
        "--pairing",
        ("name", "seeded"),
        "name: each mask is applied to the picture of its name (default if all masks have one); seeded: every mask "
        "once, pictures in an order drawn from --seed (default otherwise)",
    )
    add("--seed", count_int, "seed of pairing and generated masks", 0)
    add("--manifest", "FILE", "CSV file of pairs: used when it exists, else written")
    _add_method_options(adder(parser.add_mutually_exclusive_group()))
    add_filling_options(parser, detail="off")
    add("--protocol", PROTOCOLS, "what is measured of which pixels, see docs/evaluation.md", "composite")
    add("--realism", bool, "also measure style, sharpness and Fréchet distance in the hole; takes seconds a pair")
    add("--output", "DIR", f"folder of the report; {OUTPUT} when not given and pairs are measured")
    add("--overwrite", bool, "also replace files in --output that are not reports of an earlier run")
    parser.add_argument(
        "--compare",
        nargs="+",
        metavar=("paper|A/report.json", "B/report.json"),
        help="paper: add the paper's figures to the report; one report: evaluate on its pairs and compare with it; "
        "several: evaluate nothing, compare the others with the first, pair by pair (a page goes to --output)",
    )
    add("--num_workers", integer(0, 256), "processes beside this one; by cores and pairs when not given, 0: none")
    add_device_options(parser)
    return parser


def _add_method_options(add: Callable) -> None:
    add("--weights", "FILE|DIR", "a trained model; weights/general when not given")
    add("--method", (*METHOD_NAMES, *INTERPOLATIONS), "a classical method; the last three with --super_resolution")
    add(
        "--results",
        "DIR",
        "pictures that another program filled: named IMAGE_MASK.*, or IMAGE.* where each picture has one mask",
    )


def parse_evaluate(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """Options of eval.py; ``paper`` and ``reports`` are what --compare names.

    Raises:
        InputError: what would fail only after the long work: a size that cannot be measured, options that exclude
            each other, an output that cannot be written.
    """
    options = evaluate_parser().parse_args(argv)
    if options.images is None and options.size is None:
        options.size = SAMPLE_SIZE
    options.paper = "paper" in (options.compare or [])
    options.reports = [report for report in options.compare or [] if report != "paper"]
    if options.output is None and len(options.reports) < 2:
        options.output = OUTPUT
    _check(options)
    if options.protocol == "raw" or (options.super_resolution and not options.method):
        options.scales = 1
    options.detail = options.detail == "on"
    return options


def _check(options: argparse.Namespace) -> None:
    plain = {"detail": ("off",), "flip": (None, "off")}  # no more than one pass of a network
    if options.protocol == "raw":
        refuse_beside(options, "--protocol raw", method=(None,), scales=("auto", 1), **plain)
    if options.super_resolution:
        refuse_beside(options, "--super_resolution", masks=(None,), scales=("auto", 1), **plain)
    if options.method:
        refuse_beside(options, f"--method {options.method}", scales=("auto",), **plain)
    if options.results:
        refuse_beside(options, "--results", scales=("auto",), **plain)
    if options.method in INTERPOLATIONS and not options.super_resolution:
        raise InputError(
            f"--method {options.method}: expected --super_resolution K beside it, got none: it fills no other holes"
        )
    if options.results and (options.images is None or (options.masks is None and not options.super_resolution)):
        raise InputError("--results: expected --images and --masks beside it, of which the pictures were filled")
    if options.pairing == "name" and (options.images is None or options.masks is None):
        raise InputError("--pairing name: expected --images and --masks, whose names are compared; give both")
    if options.output:
        check_folder("--output", Path(options.output))
    if options.manifest:
        if (kind := kind_of(options.manifest)) not in (None, "file"):
            raise InputError(f"--manifest: expected a file's name, got the {kind} {options.manifest}: add a name")
        check_folder("--manifest", Path(options.manifest).parent)
