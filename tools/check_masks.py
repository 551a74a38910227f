"""Tell whether a folder is the published test set: ``python -m tools.check_masks data/irregular_masks``.

For other sets it prints statistics. The exit status is 0 for the published set or an unchanged part of it, and for
other sets whose masks can all be read; else 1.
"""

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tqdm import tqdm

from datasets.mask_survey import Survey, row_of_mask
from datasets.masks import hole_ratio, polarity_warning, read_mask
from datasets.published_masks import COUNT, DIGESTS, PER_ROW, SIDE, digest, number_of, row_of
from metrics.manifest import file_names, root_of
from options import Parser
from options.shared import adder
from utils.errors import InputError, naming, one_line, run_cleanly

NAMED = 3  # files that a line names, at most


@dataclass
class Findings:
    """What was found in a folder."""

    survey: Survey = field(default_factory=Survey)
    numbers: Counter = field(default_factory=Counter)
    sizes: Counter = field(default_factory=Counter)  # (width, height)
    ratios: list[float] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    unnumbered: list[str] = field(default_factory=list)
    inverted: list[str] = field(default_factory=list)  # fits its number with the colours exchanged only
    misplaced: list[str] = field(default_factory=list)
    known: Counter = field(default_factory=Counter)  # of the masks whose pixels are known: the same, or others

    def add(self, name: str, mask) -> None:
        number, row = number_of(name), self.survey.add(mask)
        self.sizes[mask.shape[::-1]] += 1
        self.ratios.append(hole_ratio(mask))
        if number is None:
            self.unnumbered.append(name)
            return
        self.numbers[number] += 1
        if row != row_of(number):
            other = row_of_mask(1 - mask) == row_of(number)
            (self.inverted if other else self.misplaced).append(name)
        if number % PER_ROW == 0:
            self.known[digest(mask == 0) == DIGESTS[number // PER_ROW]] += 1


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
    with naming("DIR"):
        found = inspect(file_names(options.masks), root_of(options.masks), options.hole)
    print(found.survey.table())
    print(describe(found, options.hole))
    verdict, differing = judge(found, options.hole)
    print("\n".join([verdict, *(f"- {line}" for line in differing)]))
    if differing:
        sys.exit(1)


def inspect(names: Sequence[str], root: Path, hole: str) -> Findings:
    """Read every mask once.

    Raises:
        InputError: none can be read; of the first one.
    """
    found, first = Findings(), None
    for name in tqdm(names, unit="mask"):
        try:
            found.add(name, read_mask(root / name, hole))
        except InputError as error:
            first = first or error
            found.unreadable.append(name)
    if len(found.unreadable) == len(names):
        raise first
    return found


def describe(found: Findings, hole: str) -> str:
    """Number, sizes and mean hole of the masks, in one line."""
    sizes = ", ".join(f"{count} of {width}x{height}" for (width, height), count in found.sizes.most_common(NAMED))
    more = f" and {len(found.sizes) - NAMED} other sizes" if len(found.sizes) > NAMED else ""
    mean = sum(found.ratios) / len(found.ratios)
    outside = f", {found.survey.outside} outside the buckets" if found.survey.outside else ""
    return f"{len(found.ratios)} masks: {sizes}{more}; with {hole} as hole it covers {mean:.1%} on average{outside}"


def judge(found: Findings, hole: str) -> tuple[str, list[str]]:
    """A verdict, and a line for each difference."""
    differing = [f"{len(found.unreadable)} cannot be read: {_some(found.unreadable)}"] if found.unreadable else []
    if len(found.numbers) <= len(found.unnumbered):
        if warning := polarity_warning(sum(found.ratios) / len(found.ratios)):
            differing.append(warning)
        return "another set than the published one, whose masks are 00000.png to 11999.png", differing
    differing += differences(found, hole)
    missing = COUNT - len(found.numbers)
    part = "the published set" if not missing else f"a part of the published set, {COUNT - missing} of {COUNT} masks"
    if found.known[False]:
        part = "numbered like the published set, but other masks"
    elif differing:
        part = f"numbered like {part}, but not the same in all"
    elif not found.known[True]:
        part = f"by number, size and hole {part}; none of those whose pixels are known is here"
    return part, differing


def differences(found: Findings, hole: str) -> list[str]:
    """Differences of numbered masks from the published ones."""
    twice = [f"{number:05d}" for number, count in found.numbers.items() if count > 1]
    other = "black" if hole == "white" else "white"
    facts = [
        (sum(count for size, count in found.sizes.items() if size != (SIDE, SIDE)), f"are not {SIDE}x{SIDE}", []),
        (len(found.inverted), f"have their hole in {other}: --hole {other}", found.inverted),
        (len(found.misplaced), "have another hole area or border than their number says", found.misplaced),
        (found.known[False], f"of {found.known.total()} known ones have other pixels than the published", []),
        (len(twice), "numbers are there more than once", twice),
        (len(found.unnumbered), "have no number from 00000 to 11999", found.unnumbered),
    ]
    return [f"{count} {what}" + (f": {_some(names)}" if names else "") for count, what, names in facts if count]


def _some(names: Sequence[str]) -> str:
    shown = ", ".join(one_line(name, 100) for name in names[:NAMED])
    return shown + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")


if __name__ == "__main__":
    run_cleanly(main)
