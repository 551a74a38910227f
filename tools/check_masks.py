"""Tell whether a folder is the published test set: ``python -m tools.check_masks data/irregular_masks``.

It also prints statistics of the masks, of any set. The exit status is 1 if a mask cannot be read, or if a numbered set
differs from the published one.
"""

import hashlib
import re
import sys
from collections import defaultdict

import numpy as np
from tqdm import tqdm

from datasets.images import list_pictures
from datasets.mask_statistics import ROWS, Survey, row_of_mask
from datasets.masks import polarity_warning, read_mask
from datasets.pairing import some
from options import Parser
from options.shared import adder
from utils.errors import InputError, naming, run_cleanly

COUNT, PER_ROW, SIDE = 12_000, 1000, 512
DIGESTS = (  # of the hole of the first mask of each thousand
    *("0f71b9d0f6badb3b", "dcfe9f75fb9b123b", "5cdc3fee43f6fb65", "632ba5125efe861a", "494342cdac36e621"),
    *("4e3d0b11569fe58e", "88d10fa904b8bdb6", "68c60ac15f11c948", "050704f8b20849de", "ca06406cb78c8b54"),
    *("f88b1c9f0a4bfdaa", "eafb9ca933c6b4be"),
)


def build_parser() -> Parser:
    parser = Parser(
        prog="python -m tools.check_masks",
        description="Tell whether a folder is the published set of 12,000 test masks, or a part of it, and what "
        "differs; what the masks are like, beside the published ones.",
        epilog="example: python -m tools.check_masks data/irregular_masks",
    )
    parser.add_argument("masks", metavar="DIR", help="folder of masks, list file or mask")
    adder(parser)("--hole", ("white", "black"), "colour of the hole; that of the published masks", "white")
    return parser


def main(argv: list[str] | None = None) -> None:
    options = build_parser().parse_args(argv)
    survey, numbers, others, wrong = Survey(), set(), [], defaultdict(list)
    with naming("DIR"):
        paths = list_pictures(options.masks)
    for path in tqdm(paths, unit="mask"):
        try:
            mask = read_mask(path, options.hole)
        except InputError as error:
            wrong["cannot be read"].append(path.name)
            if len(wrong["cannot be read"]) == len(paths):
                raise InputError(f"DIR: {error}") from None
            continue
        row, number = survey.add(mask), number_of(path.name)
        if number is None or number in numbers:
            others.append(path.name)
            continue
        numbers.add(number)
        for difference in differences(mask, row, number):
            wrong[difference].append(path.name)
    ratios = [ratio for row in survey.ratios.values() for ratio in row]
    numbered = len(numbers) > len(others)
    if numbered and others:
        wrong["have no number from 00000 to 11999, or another one's"] = others
    if not numbered and (warning := polarity_warning(np.mean(ratios))):
        print(warning)
    print(survey.table())
    print(
        f"{len(ratios)} masks; with {options.hole} as hole it covers {np.mean(ratios):.1%} on average, "
        f"{len(survey.ratios[None])} outside the buckets"
    )
    print(verdict(len(numbers), bool(wrong)) if numbered else "another set than the published one")
    for what, names in wrong.items():
        print(f"- {len(names)} {what}: {some(names)}")
    if wrong:
        sys.exit(1)


def number_of(name: str) -> int | None:
    """The number in a published mask's file name, 00000.png to 11999.png; None for other names.

    Example:
        >>> number_of("00400.png"), number_of("12000.png"), number_of("mask_1.png")
        (400, None, None)
    """
    found = re.fullmatch(r"(0[0-9]{4}|1[01][0-9]{3})\.[a-z]+", name.lower())
    return int(found[1]) if found else None


def differences(mask: np.ndarray, row: tuple[str, str] | None, number: int) -> list[str]:
    """In what a mask [H, W] of a bucket and border differs from the published one of a number."""
    expected, found = ROWS[number // PER_ROW], []
    if mask.shape != (SIDE, SIDE):
        found.append(f"are not {SIDE}x{SIDE}")
    if row != expected:
        inverted = row_of_mask(1 - mask) == expected
        found.append("have the other --hole" if inverted else "have another hole area or border than their number says")
    digest = hashlib.sha256(np.packbits(mask == 0).tobytes()).hexdigest()[:16]
    if number % PER_ROW == 0 and digest != DIGESTS[number // PER_ROW]:
        found.append("have other pixels than the published")
    return found


def verdict(count: int, differs: bool) -> str:
    part = "the published set" if count == COUNT else f"a part of the published set, {count} of {COUNT} masks"
    if differs:
        return f"numbered like {part}, but not the same in all"
    return f"{part}, by number, size, hole, and the pixels of the first of each thousand that is here"


if __name__ == "__main__":
    run_cleanly(main)
