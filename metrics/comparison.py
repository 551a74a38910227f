"""Two evaluations of the same pairs, pair by pair: what the one method gains over the other, and how surely.

Pictures differ more than methods do, so that the mean of the pairs' differences says more than the difference of means.
"""

import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from metrics.buckets import ALL, Sample, area, grouped_with_all
from metrics.report import COLUMNS, REALISM, SAMPLE_COLUMNS, measures_of
from metrics.uncertainty import interval
from utils.errors import InputError, naming
from utils.files import read_table, read_text

ALIKE = ("protocol", "size", "hole")  # without which two figures say nothing of each other
MOST = 10  # pairs that are named


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


def gain(measure: str, value: float) -> float:
    """A number that is larger the better a measure's value is.

    Example:
        >>> gain("psnr", 30.0) > gain("psnr", 20.0), gain("sharpness", 0.9) > gain("sharpness", 2.0)
        (True, True)
    """
    if measure == "sharpness":  # 1 is best, half as good as double
        return -abs(math.log(value)) if value > 0 else -math.inf
    return value if measure in ("psnr", "ssim") else -value


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


def read_report(report: str | os.PathLike) -> tuple[dict, list[dict]]:
    """The protocol block and the rows of a report.json."""
    what = "a report.json as eval.py writes it"
    try:
        content = json.loads(read_text(report, what))
        return dict(content["protocol"]), [dict(row) for row in content["rows"]]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise InputError(f"--compare {report}: expected {what}, got another file; give a report, or paper") from None


def check_alike(protocols: Mapping[str, dict]) -> None:
    """Refuse evaluations, by name, that measure differently."""
    named = list(protocols.items())
    for name, other in named[1:]:
        first, one = named[0]
        for key in ALIKE:
            if one.get(key) != other.get(key):
                raise InputError(
                    f"--compare: expected reports measured alike, got {key} {one.get(key)} in {first} and "
                    f"{other.get(key)} in {name}; evaluate both with the same --{key}"
                )


def differences(first: Sequence[Sample], second: Sequence[Sample]) -> list[Difference]:
    """For each bucket, border and measure that both have, and for all pairs, in the order of the tables."""
    matched = _matched(first, second)
    shared = set(measures_of(first)) & set(measures_of(second))
    return [
        _difference(bucket, border, measure, [matched[sample.image, sample.mask] for sample in chosen])
        for bucket, border, chosen in grouped_with_all(first)
        for measure in COLUMNS
        if measure in shared
    ]


def overall_differences(first: Sequence[Sample], second: Sequence[Sample]) -> dict[str, Difference]:
    """By measure, over all pairs, also such as lie outside every bucket: bucket and border are "all"."""
    return {d.measure: d for d in differences(first, second) if d.bucket == ALL}


def most_different(first: Sequence[Sample], second: Sequence[Sample]) -> list[tuple[Sample, Sample]]:
    """The pairs whose PSNR differs most, the largest difference first; those identical in either are left out."""
    finite = [pair for pair in _matched(first, second).values() if all(math.isfinite(s.psnr) for s in pair)]
    return sorted(finite, key=lambda pair: (-abs(pair[1].psnr - pair[0].psnr), pair[0].image, pair[0].mask))[:MOST]


def comparison_text(first: Sequence[Sample], second: Sequence[Sample], names: tuple[str, str]) -> str:
    """Both as Markdown: a table of differences, and the pairs that differ most."""
    lines = [f"{names[1]} less {names[0]}, pair by pair, with 95 % intervals", ""]
    lines += ["| hole | border | pairs | measure | difference | interval | better | worse |"]
    lines += ["| --- | --- | --- | --- | --- | --- | --- | --- |"]
    lines += [_line(difference) for difference in differences(first, second)]
    lines += ["", "The pairs whose PSNR differs most", "", f"| picture | mask | {names[0]} | {names[1]} |"]
    lines += ["| --- | --- | --- | --- |"]
    lines += [f"| {a.image} | {a.mask} | {a.psnr:.2f} | {b.psnr:.2f} |" for a, b in most_different(first, second)]
    return "\n".join(lines)


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


def _line(found: Difference) -> str:
    digits = COLUMNS[found.measure].page_shown
    mean = "–" if found.mean is None else f"{found.mean:+.{digits}f}"
    between = "–" if found.low is None else f"{found.low:+.{digits}f} to {found.high:+.{digits}f}"
    cells = [area(found.bucket), found.border, found.pairs, found.measure, mean, between, found.wins, found.losses]
    return "| " + " | ".join(map(str, cells)) + " |"
