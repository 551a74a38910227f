"""The files of an evaluation: report.json, report.csv, report.md, samples.csv and the manifest.

Numbers have a fixed number of digits and nothing depends on the time or the machine's paths: the same evaluation gives
the same bytes.
"""

import csv
import hashlib
import io
import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import PIL
import skimage

from metrics.buckets import Sample, area, grouped, has_realism, row_of
from metrics.manifest import Pair
from metrics.realism import MIN_POSITIONS
from metrics.uncertainty import interval, standard_error
from utils.errors import InputError

MEASURES = ("l1_percent", "psnr", "ssim")
REALISM = ("style", "sharpness")  # of each pair, where they were measured
FRECHET = "frechet"  # of a set of pairs


class Column(NamedTuple):
    """A measure's title, and its digits in files and in tables."""

    title: str
    stored: int
    shown: int


COLUMNS = {
    "psnr": Column("PSNR dB", 4, 2),
    "ssim": Column("SSIM", 5, 3),
    "l1_percent": Column("l1 %", 4, 2),
    "style": Column("style", 5, 3),
    "sharpness": Column("sharpness", 4, 2),
    FRECHET: Column("Fréchet", 5, 3),
}
DIGITS = {"hole_ratio": 6} | {measure: column.stored for measure, column in COLUMNS.items()}
SPREADS = ("se", "low", "high")  # standard error of the mean, its 95 % interval
MANIFEST_COLUMNS = ("image", "mask", "bucket", "border", "hole_ratio")
SAMPLE_COLUMNS = (*MANIFEST_COLUMNS, *MEASURES)
REALISM_ABOUT = {
    "style": "mean of |G_fill − G_truth| / |G_truth| over pool1 to pool3 of the shipped VGG16, in the hole; 0 is best",
    "sharpness": "squared Laplacian of the fill over the truth's, inside the hole; 1 is best, 0 is blur",
    FRECHET: "distance of mean and std of pool3 over the hole positions of all pairs, over the truth's variance; 0 is "
    f"best, not FID; – below {MIN_POSITIONS} positions",
}
PAPER_TABLE = Path(__file__).with_name("paper_table1.csv")  # Liu et al. 2018, Table 1
CAUTION = (
    "Paper: {} in Table 1 of Liu et al. 2018, Places2 at 512x512. Pictures, size and masks differ from this "
    "evaluation unless you made them the same, and the paper's SSIM is not matched by any common SSIM: "
    "read its column on its own, never against ours."
)


def report_files(protocol: dict, rows: list[dict], samples: Sequence[Sample], table: str) -> dict[str, bytes]:
    """The content of each file by its name.

    Args:
        rows: from ``rows_with_spread``.
        table: from ``markdown_table``.
    """
    report = {"protocol": protocol, "rows": [{key: _rounded(key, row[key]) for key in row} for row in rows]}
    return {
        "report.json": (json.dumps(report, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode(),
        "report.csv": _csv(list(rows[0]), rows),
        "report.md": _markdown(protocol, table, interval_table(rows)).encode("utf-8"),
        "samples.csv": _csv([*SAMPLE_COLUMNS, *(REALISM if has_realism(samples) else ())], map(vars, samples)),
        "manifest.csv": manifest_csv(samples),
    }


def measures_of(samples: Sequence[Sample]) -> tuple[str, ...]:
    """What was measured of each pair."""
    return (*MEASURES, *REALISM) if has_realism(samples) else MEASURES


def rows_with_spread(samples: Sequence[Sample]) -> list[dict]:
    """A row for each bucket and border, and one for all pairs, with standard error and interval of each mean.

    Raises:
        InputError: no pair lies in any bucket.
    """
    if samples and all(sample.bucket is None for sample in samples):
        ratios = [sample.hole_ratio for sample in samples]
        raise InputError(
            f"expected holes above 1 % and up to 60 % of the picture, got {100 * min(ratios):.3g} % to "
            f"{100 * max(ratios):.3g} % in all {len(samples)} pairs; take other masks, or check --hole"
        )
    rows = []
    for bucket, border, chosen in grouped(samples):
        means = row_of(bucket, border, chosen)
        more = {key: means.pop(key) for key in (*REALISM, FRECHET) if key in means}
        rows.append({**means, **_spreads(chosen, MEASURES), **more, **_spreads(chosen, REALISM if more else ())})
    return rows


def manifest_csv(samples: Sequence[Sample]) -> bytes:
    """The pairs for ``metrics.manifest.read_manifest``, with what was found of each mask as information."""
    return _csv(MANIFEST_COLUMNS, map(vars, samples))


def describe_pairs(samples: Sequence[Sample], unreadable: int = 0) -> dict:
    """What the protocol block says of the pairs: how many there are of what, and a digest of their names in order.

    Args:
        unreadable: pairs beside these that were passed over.
    """
    return {
        "pairs": len(samples),
        "unreadable": unreadable,
        "pictures": len({sample.image for sample in samples}),
        "masks": len({sample.mask for sample in samples}),
        "outside_buckets": sum(sample.bucket is None for sample in samples),
        "without_hole": sum(sample.hole_ratio == 0 for sample in samples),
        "pairs_sha256": pairs_digest(samples),
    }


def pairs_digest(pairs: Iterable[Pair | Sample]) -> str:
    """SHA-256 of the names, in order."""
    names = "".join(f"{pair.image}\t{pair.mask}\n" for pair in pairs)
    return hashlib.sha256(names.encode("utf-8", "surrogateescape")).hexdigest()


def library_versions() -> dict[str, str]:
    """Of what reads, fills and measures without Paddle."""
    libraries = {"numpy": np, "opencv": cv2, "pillow": PIL, "scikit-image": skimage}
    return {name: library.__version__ for name, library in libraries.items()}


def markdown_table(rows: list[dict], paper: dict | None = None, caution: str = "") -> str:
    """The rows as a Markdown table, with the paper's figures beside ours when ``paper`` is given.

    Args:
        rows: from ``metrics.buckets.bucket_rows``.
        paper: from ``papers_figures``, with its ``caution``.
    """
    more = [*REALISM, FRECHET] if any("style" in row for row in rows) else []
    lines = [["hole", "border", "pairs", *_titles(MEASURES), "identical", *_titles(more)]]
    lines[0] += [f"paper {title}" for title in _titles(MEASURES)] if paper is not None else []
    for row in rows:
        cells = [shown(key, row[key]) for key in MEASURES] + [str(row["identical"])]
        cells += [shown(key, row.get(key)) for key in more]
        if paper is not None:
            cells += [shown(key, paper.get((row["bucket"], row["border"]), {}).get(key)) for key in MEASURES]
        lines.append([area(row["bucket"]), row["border"], str(row["count"]), *cells])
    return markdown(lines) + (f"\n\n{caution}" if caution else "")


def interval_table(rows: list[dict]) -> str:
    """The means' 95 % intervals as a Markdown table; rows as they are in report.json."""
    measures = [*MEASURES, *(REALISM if any("style" in row for row in rows) else ())]
    lines = [[area(row["bucket"]), row["border"], *(between(key, row) or "–" for key in measures)] for row in rows]
    return markdown([["hole", "border", *_titles(measures)], *lines])


def shown(measure: str, value: float | None) -> str:
    """A value as tables show it."""
    return "–" if value is None else f"{value:.{COLUMNS[measure].shown}f}"


def between(measure: str, row: dict) -> str:
    """The interval of a row's mean; nothing where there is none."""
    low, high = (row.get(f"{measure}_{end}") for end in ("low", "high"))
    return "" if low is None else f"{shown(measure, low)} to {shown(measure, high)}"


def markdown(lines: Sequence[Sequence[str]]) -> str:
    """A Markdown table, the first line as its head."""
    lines = [lines[0], ["---"] * len(lines[0]), *lines[1:]]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def papers_figures(method: str = "PConv") -> tuple[dict[tuple[str, str], dict], str]:
    """The paper's figures by (bucket, border): l1_percent, psnr in dB, ssim; and how to read them.

    Args:
        method: one of the table's: PM (PatchMatch), GL, GntIpt, PConv, Conv.
    Source:
        Liu et al. 2018, arXiv:1804.07723, Table 1.
    """
    with open(PAPER_TABLE, newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["method"] == method]
    figures = {(row["bucket"], row["border"]): {key: float(row[key]) for key in MEASURES} for row in rows}
    return figures, CAUTION.format(method)


def plain(value: object) -> str:
    """A value of the protocol block as text."""
    if isinstance(value, dict):
        return ", ".join(f"{key} {entry}" for key, entry in value.items())
    return "–" if value is None else str(value)


def _spreads(samples: Sequence[Sample], measures: Iterable[str]) -> dict[str, float | None]:
    """The uncertainty of each mean, over the pairs that are in the mean."""
    spreads = {}
    for measure in measures:
        values = [value for s in samples if (value := getattr(s, measure)) is not None and math.isfinite(value)]
        found = (standard_error(values), *(interval(values) or (None, None)))
        spreads |= {f"{measure}_{spread}": number for spread, number in zip(SPREADS, found, strict=True)}
    return spreads


def _titles(measures: Iterable[str]) -> list[str]:
    return [COLUMNS[measure].title for measure in measures]


def _markdown(protocol: dict, table: str, intervals: str) -> str:
    lines = [f"- {key}: {plain(value)}" for key, value in protocol.items()]
    caption = "95 % intervals of the means, by resampling the pairs:"
    return "\n".join(["# Evaluation", "", *lines, "", table, "", caption, "", intervals, ""])


def _digits(key: str) -> int | None:
    """Of a column's numbers: those of its measure; None for what is no measure."""
    return next((digits for measure, digits in DIGITS.items() if key.startswith(measure)), None)


def _rounded(key: str, value: object) -> object:
    return value if value is None or (digits := _digits(key)) is None else round(value, digits)


def _fixed(key: str, value: object) -> str:
    if value is None or value == math.inf:
        return ""
    return str(value) if (digits := _digits(key)) is None else f"{value:.{digits}f}"


def _csv(columns: Sequence[str], rows: Iterable[dict]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows([_fixed(key, row[key]) for key in columns] for row in rows)
    return text.getvalue().encode("utf-8", "surrogateescape")  # file names that are no UTF-8 come back as they were
