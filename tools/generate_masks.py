"""Write a folder of random irregular masks: ``python -m tools.generate_masks --output data/masks --count 1000``."""

import argparse
from pathlib import Path

import numpy as np
from tqdm import tqdm

from datasets.mask_generator import MIN_SIDE, generate_mask
from datasets.masks import BUCKET_NAMES, BUCKETS, write_mask
from errors import InputError, run_cleanly
from options import Parser

BORDERS = {"any": None, "N": False, "B": True}


def build_parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="python -m tools.generate_masks",
        description="Draw random irregular holes and write them as numbered black-and-white PNG pictures. "
        "The same options and seed give the same masks.",
        epilog="example: python -m tools.generate_masks --output data/masks --count 600 --size 256",
    )
    add = parser.add_argument
    add("--output", required=True, metavar="DIR", type=Path, help="folder to write, new or empty")
    add("--count", required=True, metavar="N", type=int, help="how many masks")
    add("--size", default=512, metavar="PX", type=int, help="height and width of each mask")
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
    add("--seed", default=0, metavar="N", type=int, help="of the random numbers, 0 or above")
    return parser


def draw_numbered(seed: int, index: int, size: int, bucket: str, border: bool | None) -> np.ndarray:
    """Mask number ``index`` of a set, the same for any count: float32 [size, size], 1 = valid."""
    rng = np.random.default_rng([seed, index])
    number = index % len(BUCKETS) if bucket == "all" else BUCKET_NAMES.index(bucket)
    if border is None:
        border = bool(rng.random() < 0.5)
    return generate_mask(rng, size, size, BUCKETS[number], border)


def main(arguments: list[str] | None = None) -> None:
    options = build_parser().parse_args(arguments)
    _check(options)
    for index in tqdm(range(options.count), unit="mask"):
        mask = draw_numbered(options.seed, index, options.size, options.bucket, BORDERS[options.border])
        write_mask(options.output / f"{index:05d}.png", mask, options.hole)
    print(f"{options.count} masks in {options.output}, hole {options.hole}")


def _check(options: argparse.Namespace) -> None:
    for name, least in (("count", 1), ("size", MIN_SIDE), ("seed", 0)):
        value = getattr(options, name)
        if value < least:
            raise InputError(f"expected --{name} of at least {least}, got {value}")
    output = options.output
    if output.exists() and not output.is_dir():
        raise InputError(f"expected a folder for --output, but {output} is a file: choose another name")
    if output.is_dir() and any(output.iterdir()):
        raise InputError(f"expected a new or empty folder for --output, but {output} has files: choose another")


if __name__ == "__main__":
    run_cleanly(main)
