"""Write a folder of random masks: ``python -m tools.generate_masks --output data/masks --count 1000``."""

import argparse
from pathlib import Path

import numpy as np
from tqdm import tqdm

from datasets.mask_generator import MIN_SIDE, generate_box, generate_mask
from datasets.masks import BUCKET_NAMES, BUCKETS, write_mask
from errors import InputError, run_cleanly
from options import Parser, check_folder, count_int, positive_int

BORDERS = {"any": None, "N": False, "B": True}


def build_parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="python -m tools.generate_masks",
        description="Draw random holes and write them as numbered black-and-white PNG pictures. "
        "The same options and seed give the same masks.",
        epilog="example: python -m tools.generate_masks --output data/masks --count 600 --size 256",
    )
    add = parser.add_argument
    add("--output", required=True, metavar="DIR", help="folder to write, new or empty")
    add("--count", required=True, metavar="N", type=positive_int, help="how many masks")
    add(
        "--shape",
        default="irregular",
        choices=("irregular", "box"),
        help="box: one rectangle of half the side or a little less, anywhere; --bucket and --border do not apply",
    )
    add("--size", default=512, metavar="PX", type=positive_int, help="height and width of each mask")
    add(
        "--bucket",
        default="all",
        choices=("all", *BUCKET_NAMES),
        help="the hole's share of the picture; all takes the six in turn",
    )
    add(
        "--border",
        default="any",
        choices=tuple(BORDERS),
        help="N: every hole keeps 50/512 of the side away from the border; B: at least one hole comes closer; "
        "any: a coin decides for each mask",
    )
    add(
        "--hole",
        default="white",
        choices=("white", "black"),
        help="colour of the hole in the files; give the same to test.py and eval.py",
    )
    add("--seed", default=0, metavar="N", type=count_int, help="of the random numbers")
    return parser


def draw_numbered(index: int, options: argparse.Namespace) -> np.ndarray:
    """Mask number ``index`` of a set, the same for any count: float32 [size, size], 1 = valid."""
    rng, size = np.random.default_rng([options.seed, index]), options.size
    if options.shape == "box":
        return generate_box(rng, size, size)
    number = index % len(BUCKETS) if options.bucket == "all" else BUCKET_NAMES.index(options.bucket)
    border = BORDERS[options.border]
    if border is None:
        border = bool(rng.random() < 0.5)
    return generate_mask(rng, size, size, BUCKETS[number], border)


def main(arguments: list[str] | None = None) -> None:
    options = build_parser().parse_args(arguments)
    _check(options)
    for index in tqdm(range(options.count), unit="mask"):
        write_mask(Path(options.output) / f"{index:05d}.png", draw_numbered(index, options), options.hole)
    print(f"{options.count} masks in {options.output}, hole {options.hole}")


def _check(options: argparse.Namespace) -> None:
    if options.shape == "box" and (options.bucket, options.border) != ("all", "any"):
        raise InputError(
            "--shape box: expected no --bucket and no --border, which are of irregular holes; leave them out"
        )
    if options.size < MIN_SIDE:
        raise InputError(f"--size: expected {MIN_SIDE} pixels or more, got {options.size}")
    output = Path(options.output)
    check_folder("--output", output)
    if output.is_dir() and any(output.iterdir()):
        raise InputError(f"expected a new or empty folder for --output, but {output} has files: choose another")


if __name__ == "__main__":
    run_cleanly(main)
