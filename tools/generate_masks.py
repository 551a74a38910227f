"""Write a folder of random masks: ``python -m tools.generate_masks --output data/masks --count 1000``."""

import argparse
from pathlib import Path

import numpy as np
from tqdm import tqdm

from datasets.mask_generator import MIN_SIDE, generate_box, generate_mask, generate_silhouette, generate_wide
from datasets.masks import BUCKET_NAMES, BUCKETS, write_mask
from options import Parser, positive_int
from options.shared import adder
from tools.outputs import add_mask_options, check_output
from utils.errors import InputError, run_cleanly

SHAPES = {"box": generate_box, "silhouette": generate_silhouette, "wide": generate_wide}  # beside irregular ones
BORDERS = {"any": None, "N": False, "B": True}


def build_parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="python -m tools.generate_masks",
        description="Draw random holes and write them as numbered black-and-white PNG pictures. "
        "The same options and seed give the same masks.",
        epilog="example: python -m tools.generate_masks --output data/masks --count 600 --size 256",
    )
    parser.add_argument("--output", required=True, metavar="DIR", help="folder to write, new or empty")
    add_either = adder(parser.add_mutually_exclusive_group(required=True))
    add_either("--count", positive_int, "how many masks")
    add_either(
        "--per_bucket",
        positive_int,
        "N masks of each bucket off the border, then N at it, numbered in the order of the published set (which "
        "has 1000); with --border N or B only these",
    )
    add = adder(parser)
    add(
        "--shape",
        ("irregular", *SHAPES),
        "box: one rectangle of half the side or a little less; silhouette: a person or an animal, 3 to 15 %% of "
        "the picture; wide: boxes and broad strokes, 25 to 60 %%; --bucket and --border are for irregular holes only",
        "irregular",
    )
    add("--bucket", ("all", *BUCKET_NAMES), "the hole's share of the picture; all takes the six in turn", "all")
    add(
        "--border",
        tuple(BORDERS),
        "N: every hole keeps 50/512 of the side away from the border; B: at least one hole comes closer; any: a coin "
        "decides for each mask, or with --per_bucket both",
        "any",
    )
    add_mask_options(parser)
    return parser


def draw_numbered(index: int, options: argparse.Namespace) -> np.ndarray:
    """Mask number ``index`` of a set, the same for any count: float32 [size, size], 1 = valid."""
    size = options.size
    if options.per_bucket:
        row, number = divmod(index, options.per_bucket)
        bucket, border = _rows(options)[row]
        rng = np.random.default_rng([options.seed, bucket, border, number])
        return generate_mask(rng, size, size, BUCKETS[bucket], border)
    rng = np.random.default_rng([options.seed, index])
    if options.shape in SHAPES:
        return SHAPES[options.shape](rng, size, size)
    bucket = index % len(BUCKETS) if options.bucket == "all" else BUCKET_NAMES.index(options.bucket)
    border = BORDERS[options.border]
    if border is None:
        border = bool(rng.random() < 0.5)
    return generate_mask(rng, size, size, BUCKETS[bucket], border)


def _rows(options: argparse.Namespace) -> list[tuple[int, bool]]:
    """Bucket and border of every kind that --per_bucket draws, in the order of the published set."""
    border = BORDERS[options.border]
    buckets = range(len(BUCKETS)) if options.bucket == "all" else [BUCKET_NAMES.index(options.bucket)]
    return [(bucket, side) for bucket in buckets for side in (False, True) if border in (None, side)]


def main(arguments: list[str] | None = None) -> None:
    options = build_parser().parse_args(arguments)
    _check(options)
    count = options.count or options.per_bucket * len(_rows(options))
    for index in tqdm(range(count), unit="mask"):
        write_mask(Path(options.output) / f"{index:05d}.png", draw_numbered(index, options), options.hole)
    print(f"{count} masks in {options.output}, hole {options.hole}")


def _check(options: argparse.Namespace) -> None:
    if options.shape in SHAPES and (options.bucket, options.border, options.per_bucket) != ("all", "any", None):
        raise InputError(
            f"--shape {options.shape}: expected no --bucket, --per_bucket or --border, which are of irregular holes; "
            "leave them out"
        )
    if options.size < MIN_SIDE:
        raise InputError(f"--size: expected {MIN_SIDE} pixels or more, got {options.size}")
    check_output(Path(options.output))


if __name__ == "__main__":
    run_cleanly(main)
