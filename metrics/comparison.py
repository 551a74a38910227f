"""Evaluations of the same pairs beside each other, from what eval.py wrote, and their differences pair by pair.

Pictures differ more than methods do, so that the mean of the pairs' differences says more than the difference of means.
"""

import itertools
import json
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from metrics.buckets import ALL, Sample, area, grouped
from metrics.manifest import Pair
from metrics.pictures import NAME as PICTURES
from metrics.pictures import Strip, read_strips
from metrics.report import COLUMNS, REALISM, SAMPLE_COLUMNS, markdown, measures_of, rows_with_spread
from metrics.uncertainty import interval
from utils.errors import InputError, naming
from utils.files import read_table, read_text

ALIKE = ("protocol", "size", "hole")  # without which two figures say nothing of each other


@dataclass(frozen=True)
class Method:
    """An evaluation: its name, protocol block, samples, rows as in report.json, and the pictures it shows."""

    name: str
    protocol: dict
    samples: Sequence[Sample]
    rows: Sequence[dict]
    strips: Sequence[Strip] = ()

    def of(self, pairs: Sequence[Pair]) -> "Method":
        """The same with these pairs alone; InputError where one of them is not in it."""
        known = {Pair(sample.image, sample.mask): sample for sample in self.samples}
        if missing := [pair for pair in pairs if pair not in known]:
            raise InputError(
                f"--compare: expected {self.name} to hold these pairs, got none of {missing[0].image} with "
                f"{missing[0].mask} ({len(missing)} of {len(pairs)} are missing); without --manifest its own is taken"
            )
        samples = [known[pair] for pair in pairs]
        return replace(self, samples=samples, rows=self.rows if len(pairs) == len(known) else rows_with_spread(samples))


@dataclass(frozen=True)
class Difference:
    """The second evaluation less the first over the pairs of one bucket and border, in one measure.

    Args:
        mean, low, high: of the differences of pairs, with their 95 % interval; None where there are too few.
        wins: pairs in which the second is better; losses: the first; the others are equal.
    """

    bucket: str
    border: str
    measure: str
    pairs: int
    mean: float | None
    low: float | None
    high: float | None
    wins: int
    losses: int


def read_methods(reports: Sequence[str]) -> list[Method]:
    """What eval.py wrote beside each report.json."""
    methods = []
    for name, report in zip(names_of(reports), reports, strict=True):
        protocol, rows = read_report(report)
        strips = read_strips(Path(report).with_name(PICTURES))
        methods.append(Method(name, protocol, read_samples(report), rows, strips))
        check_alike(methods[0], name, protocol)
    return methods


def names_of(reports: Sequence[str | os.PathLike]) -> list[str]:
    """A name for each report: its folder's, or its path where two folders have the same name."""
    names = [Path(report).resolve().parent.name for report in reports]
    return names if len(set(names)) == len(names) else [str(report) for report in reports]


def read_report(report: str | os.PathLike) -> tuple[dict, list[dict]]:
    """The protocol block and the rows of a report.json."""
    what = "a report.json as eval.py writes it"
    try:
        content = json.loads(read_text(report, what))
        return dict(content["protocol"]), [dict(row) for row in content["rows"]]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise InputError(f"--compare {report}: expected {what}, got another file; give a report, or paper") from None


def read_samples(report: str | os.PathLike) -> list[Sample]:
    """The pairs of an evaluation: samples.csv beside its report.json."""
    path = Path(report).parent / "samples.csv"
    with naming("--compare"):
        rows = read_table(path, "samples.csv as eval.py writes it beside report.json", SAMPLE_COLUMNS)
        return [_sample(row, f"{path}, line {number}") for number, row in rows]


def _sample(row: dict, where: str) -> Sample:
    try:
        numbers = {key: float(row[key]) for key in ("hole_ratio", "l1_percent", "ssim")}
        numbers |= {key: float(row[key]) for key in REALISM if row.get(key)}
        psnr = float(row["psnr"]) if row["psnr"] else math.inf
    except (TypeError, ValueError) as error:
        raise InputError(f"{where}: expected numbers as eval.py writes them, got {error}") from error
    return Sample(row["image"], row["mask"], row["bucket"] or None, row["border"], psnr=psnr, **numbers)


def check_alike(first: Method, name: str, protocol: dict) -> None:
    """Refuse evaluations that measure differently."""
    for key in ALIKE:
        if first.protocol.get(key) != protocol.get(key):
            raise InputError(
                f"--compare: expected reports measured alike, got {key} {first.protocol.get(key)} in {first.name} and "
                f"{protocol.get(key)} in {name}; evaluate both with the same --{key}"
            )


def gain(measure: str, value: float) -> float:
    """A number that is larger the better a measure's value is.

    Example:
        >>> gain("psnr", 30.0) > gain("psnr", 20.0), gain("sharpness", 0.9) > gain("sharpness", 2.0)
        (True, True)
    """
    if measure == "sharpness":  # 1 is best, half as good as double
        return -abs(math.log(value)) if value > 0 else -math.inf
    return value if measure in ("psnr", "ssim") else -value


def differences(first: Sequence[Sample], second: Sequence[Sample]) -> list[Difference]:
    """For each bucket, border and measure that both have, and for all pairs, in the order of the tables."""
    matched = _matched(first, second)
    shared = set(measures_of(first)) & set(measures_of(second))
    return [
        _difference(bucket, border, measure, [matched[sample.image, sample.mask] for sample in chosen])
        for bucket, border, chosen in grouped(first)
        for measure in COLUMNS
        if measure in shared
    ]


def overall_differences(first: Sequence[Sample], second: Sequence[Sample]) -> dict[str, Difference]:
    """By measure, over all pairs, also such as lie outside every bucket: bucket and border are "all"."""
    return {d.measure: d for d in differences(first, second) if d.bucket == ALL}


def difference_table(first: Method, second: Method) -> list[list[str]]:
    """Lines of cells, the first is the head: mean difference (interval), and in how many pairs better / worse."""
    found = differences(first.samples, second.samples)
    lines = [["hole", "border", "pairs", *(COLUMNS[m].title for m in dict.fromkeys(d.measure for d in found))]]
    for (bucket, border, pairs), row in itertools.groupby(found, key=lambda d: (d.bucket, d.border, d.pairs)):
        lines.append([area(bucket), border, str(pairs), *map(_cell, row)])
    return lines


def comparison_text(first: Method, second: Method) -> str:
    """The differences as Markdown."""
    title = f"{second.name} less {first.name}, pair by pair: mean difference (95 % interval), pairs better / worse"
    return f"{title}\n\n{markdown(difference_table(first, second))}"


def _matched(first: Sequence[Sample], second: Sequence[Sample]) -> dict[tuple[str, str], tuple[Sample, Sample]]:
    one, other = ({(sample.image, sample.mask): sample for sample in samples} for samples in (first, second))
    if one.keys() != other.keys():
        raise InputError(
            f"--compare: expected two reports of the same pairs, got {len(one)} and {len(other)} with "
            f"{len(one.keys() & other.keys())} in common; evaluate both with the same --manifest"
        )
    for pair, sample in one.items():
        if sample.bucket != other[pair].bucket:
            raise InputError(
                f"--compare: expected the same holes, got {sample.hole_ratio:.4f} and {other[pair].hole_ratio:.4f} for "
                f"{pair[0]} with {pair[1]}; evaluate both with the same --size and --hole"
            )
    return {pair: (sample, other[pair]) for pair, sample in one.items()}


def _difference(bucket: str, border: str, measure: str, pairs: Sequence[tuple[Sample, Sample]]) -> Difference:
    values = [(getattr(a, measure), getattr(b, measure)) for a, b in pairs]
    values = [(a, b) for a, b in values if a is not None and b is not None]
    gains = [0.0 if a == b else gain(measure, b) - gain(measure, a) for a, b in values]  # inf − inf is no number
    finite = [b - a for a, b in values if math.isfinite(a) and math.isfinite(b)]
    mean = math.fsum(finite) / len(finite) if finite else None
    low, high = interval(finite) or (None, None)
    wins, losses = sum(g > 0 for g in gains), sum(g < 0 for g in gains)
    return Difference(bucket, border, measure, len(pairs), mean, low, high, wins, losses)


def _cell(found: Difference) -> str:
    digits = COLUMNS[found.measure].shown + 1
    mean = "–" if found.mean is None else f"{found.mean:+.{digits}f}"
    between = "" if found.low is None else f" ({found.low:+.{digits}f} to {found.high:+.{digits}f})"
    return f"{mean}{between}, {found.wins} / {found.losses}"
