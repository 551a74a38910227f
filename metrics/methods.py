"""Evaluations for a comparison: read from their reports, named, restricted to the same pairs."""

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from metrics.buckets import Sample
from metrics.comparison import check_alike, read_report, read_samples
from metrics.manifest import Pair
from metrics.pictures import NAME as PICTURES
from metrics.pictures import Strip, read_strips
from metrics.report import rows_with_spread
from utils.errors import InputError


@dataclass(frozen=True)
class Method:
    """An evaluation on the page: its name, its protocol block, samples, the pictures it shows and its rows."""

    name: str
    protocol: dict
    samples: Sequence[Sample]
    strips: Sequence[Strip] = ()
    rows: Sequence[dict] = field(default=())

    def __post_init__(self):
        if not self.rows:
            object.__setattr__(self, "rows", rows_with_spread(self.samples))


def read_methods(reports: Sequence[str]) -> list[Method]:
    """What eval.py wrote beside each report.json: samples, protocol and pictures."""
    read = {report: read_report(report) for report in reports}
    check_alike({report: protocol for report, (protocol, _) in read.items()})
    return [
        Method(name, protocol, read_samples(report), read_strips(Path(report).with_name(PICTURES)), rows)
        for name, (report, (protocol, rows)) in zip(names_of(reports), read.items(), strict=True)
    ]


def names_of(reports: Sequence[str | os.PathLike]) -> list[str]:
    """A name for each report: its folder's, or as much of the path as makes them different.

    Example:
        >>> names_of(["logs/a/report.json", "logs/b/report.json"])
        ['a', 'b']
    """
    folders = [Path(report).resolve().parent.parts for report in reports]
    for count in range(1, max(map(len, folders), default=0) + 1):
        names = ["/".join(parts[-count:]) for parts in folders]
        if len(set(names)) == len(set(folders)):
            return names
    return [str(report) for report in reports]


def limited_to(pairs: Sequence[Pair], report: str, earlier: Method, protocol: dict) -> Method:
    """An earlier evaluation without the pairs that are not measured now.

    Args:
        report: where it was read from, for messages.
        protocol: how these are measured.
    """
    check_alike({report: earlier.protocol, "this evaluation": protocol})
    known = {Pair(sample.image, sample.mask): sample for sample in earlier.samples}
    if missing := [pair for pair in pairs if pair not in known]:
        raise InputError(
            f"--compare {report}: expected it to hold these pairs, got none of {missing[0].image} with "
            f"{missing[0].mask} ({len(missing)} of {len(pairs)} are missing); without --manifest its own is taken"
        )
    return _of(earlier, [known[pair] for pair in pairs])


def _of(method: Method, samples: Sequence[Sample]) -> Method:
    """A method with some of its samples; its rows stay where these are all."""
    rows = method.rows if {*samples} == {*method.samples} else ()
    return replace(method, samples=samples, rows=rows)


def set_beside(earlier: Method, report: str, this: Method, output: str) -> list[Method]:
    """Both under different names, the earlier one without the pairs that could not be measured now."""
    names = names_of([report, Path(output) / Path(report).name])
    measured = {(sample.image, sample.mask) for sample in this.samples}
    samples = [sample for sample in earlier.samples if (sample.image, sample.mask) in measured]
    return [replace(_of(earlier, samples), name=names[0]), replace(this, name=names[1])]


def side_by_side(methods: Sequence[Method]) -> list[Strip]:
    """The strips of the first method, with the others' outputs and errors in them where they show the same pair."""
    if len(methods) == 1:
        return list(methods[0].strips)
    shown = [{(strip.image, strip.mask): strip for strip in method.strips} for method in methods]
    strips = []
    for pair, strip in shown[0].items():
        panels = {name: strip.panels[name] for name in ("input", "truth") if name in strip.panels}
        for method, found in zip(methods, shown, strict=True):
            if pair in found:
                same = found[pair]
                name = f"{method.name}, identical" if same.psnr == math.inf else f"{method.name}, {same.psnr:.2f} dB"
                panels |= {f"{name}: {part}": same.panels[part] for part in ("output", "error") if part in same.panels}
        strips.append(Strip(strip.image, strip.mask, strip.bucket, strip.rank, strip.psnr, panels))
    return strips
