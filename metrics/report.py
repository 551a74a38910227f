"""The files of an evaluation: report.json, report.csv, report.md, samples.csv and the manifest.

Numbers have a fixed number of digits and nothing in them depends on the time or the machine's paths: the same
evaluation writes the same bytes.
"""

import csv
import hashlib
import json
import math
import os
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import PIL
import skimage

from metrics.buckets import Sample, bucket_rows, grouped
from metrics.uncertainty import interval, standard_error
from utils.files import atomic_path

DIGITS = {"hole_ratio": 6, "l1_percent": 4, "psnr": 4, "ssim": 5, "vgg_distance": 5}
MEASURES = ("l1_percent", "psnr", "ssim")
DISTANCE = "vgg_distance"  # a fourth, where it was asked for
SHOWN = {"l1_percent": ("l1 %", 2), "psnr": ("PSNR dB", 2), "ssim": ("SSIM", 3), DISTANCE: ("VGG16 distance", 4)}
SPREADS = ("se", "low", "high")  # standard error of the mean, its 95 % interval
ROW_COLUMNS = ("bucket", "border", "count", *MEASURES, "identical")
SAMPLE_COLUMNS = ("image", "mask", "bucket", "border", "hole_ratio", "l1_percent", "psnr", "ssim")
MANIFEST_COLUMNS = ("image", "mask", "bucket", "border", "hole_ratio")
PAPER_TABLE = Path(__file__).with_name("paper_table1.csv")  # Liu et al. 2018, Table 1
CAUTION = (
    "Paper: PConv in Table 1 of Liu et al. 2018, Places2 at 512x512. Pictures, size and masks differ from this "
    "evaluation unless you made them the same, and the paper's SSIM is not matched by any common SSIM: "
    "read its column on its own, never against ours."
)


def write_report(
    folder: str | os.PathLike, protocol: dict, rows: list[dict], samples: list[Sample], table: str
) -> None:
    """Write the five files of an evaluation into ``folder``; each appears whole or not at all.

    Args:
        rows: from ``rows_with_spread``.
    """
    folder = Path(folder)
    measures = measures_of(samples)
    columns = [*ROW_COLUMNS, *measures[len(MEASURES) :]]
    columns += [f"{measure}_{spread}" for measure in measures for spread in SPREADS]
    report = {"protocol": protocol, "rows": [{key: _rounded(key, row[key]) for key in columns} for row in rows]}
    _write_text(folder / "report.json", json.dumps(report, indent=2, ensure_ascii=False, allow_nan=False) + "\n")
    _write_csv(folder / "report.csv", columns, rows)
    _write_text(folder / "report.md", _markdown(protocol, table, interval_table(rows)))
    _write_csv(
        folder / "samples.csv", [*SAMPLE_COLUMNS, *measures[len(MEASURES) :]], [vars(sample) for sample in samples]
    )
    write_manifest(folder / "manifest.csv", samples)


def measures_of(samples: Sequence[Sample]) -> tuple[str, ...]:
    """``MEASURES``, and the distance where every sample has it."""
    return (*MEASURES, DISTANCE) if samples and all(s.vgg_distance is not None for s in samples) else MEASURES


def rows_with_spread(samples: Sequence[Sample]) -> list[dict]:
    """``metrics.buckets.bucket_rows`` with standard error and interval of each mean."""
    rows = zip(bucket_rows(samples), grouped(samples), strict=True)
    return [{**row, **_spreads(chosen)} for row, (_, _, chosen) in rows]


def write_manifest(path: str | os.PathLike, samples: Sequence[Sample]) -> None:
    """Write the pairs for ``metrics.manifest.read_manifest``, with what was found of each mask as information."""
    _write_csv(Path(path), MANIFEST_COLUMNS, [vars(sample) for sample in samples])


def describe_pairs(samples: Sequence[Sample], unreadable: int = 0) -> dict:
    """What the protocol block says of the pairs: how many there are of what, and a digest of their names in order.

    Args:
        unreadable: pairs beside these that were passed over.
    """
    names = "".join(f"{sample.image}\t{sample.mask}\n" for sample in samples)
    return {
        "pairs": len(samples),
        "unreadable": unreadable,
        "pictures": len({sample.image for sample in samples}),
        "masks": len({sample.mask for sample in samples}),
        "outside_buckets": sum(sample.bucket is None for sample in samples),
        "without_hole": sum(sample.hole_ratio == 0 for sample in samples),
        "pairs_sha256": hashlib.sha256(names.encode("utf-8", "surrogateescape")).hexdigest(),
    }


def outside_note(pairs: dict) -> str | None:
    """A line on the pairs that no row counts, if there are any; ``pairs`` is from ``describe_pairs``."""
    outside, empty = pairs["outside_buckets"], pairs["without_hole"]
    if not outside:
        return None
    return (
        f"{outside} of {pairs['pairs']} pairs lie outside the buckets (hole of 1 % or less, or above 60 %)"
        f"{f', {empty} of them have no hole at all' if empty else ''}: they are in samples.csv only"
    )


def library_versions() -> dict[str, str]:
    """Of what reads, fills and measures without Paddle."""
    return {
        "numpy": np.__version__,
        "opencv": cv2.__version__,
        "pillow": PIL.__version__,
        "scikit-image": skimage.__version__,
    }


def markdown_table(rows: list[dict], paper: dict | None = None) -> str:
    """The rows as a Markdown table, with the paper's figures beside ours when ``paper`` is given.

    Args:
        rows: from ``metrics.buckets.bucket_rows``.
        paper: from ``paper_rows``.
    Example:
        >>> row = dict(bucket="0.1-0.2", border="N", count=2, l1_percent=1.0, psnr=None, ssim=1.0, identical=2)
        >>> print(markdown_table([row]).splitlines()[-1])
        | (0.1, 0.2] | N | 2 | 1.00 | – | 1.000 | 2 |
    """
    shown = _shown(rows)
    header = ["hole", "border", "pairs", *(SHOWN[key][0] for key in shown), "identical"]
    header += ["paper l1 %", "paper PSNR dB", "paper SSIM"] if paper is not None else []
    lines = [header, ["---"] * len(header)]
    for row in rows:
        line = ["({}, {}]".format(*row["bucket"].split("-")), row["border"], str(row["count"])]
        line += [*_measures(row, shown), str(row["identical"])]
        line += _measures(paper.get((row["bucket"], row["border"]), {}), MEASURES) if paper is not None else []
        lines.append(line)
    table = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    return f"{table}\n\n{CAUTION}" if paper is not None else table


def interval_table(rows: list[dict]) -> str:
    """The means' 95 % intervals as a Markdown table; rows as they are in report.json."""
    shown = _shown(rows)
    lines = [["hole", "border", *(SHOWN[key][0] for key in shown)], ["---"] * (2 + len(shown))]
    for row in rows:
        ends = [_measures({key: row[f"{key}_{end}"] for key in shown}, shown) for end in ("low", "high")]
        between = [low if low == "–" else f"{low} to {high}" for low, high in zip(*ends, strict=True)]
        lines.append(["({}, {}]".format(*row["bucket"].split("-")), row["border"], *between])
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _spreads(samples: Sequence[Sample]) -> dict[str, float | None]:
    """The uncertainty of each mean; of PSNR's that of the pairs which are not identical, as its mean is."""
    spreads = {}
    for measure in measures_of(samples):
        values = [value for sample in samples if math.isfinite(value := getattr(sample, measure))]
        found = (standard_error(values), *(interval(values) or (None, None)))
        spreads |= {f"{measure}_{spread}": number for spread, number in zip(SPREADS, found, strict=True)}
    return spreads


def paper_rows(method: str = "PConv") -> dict[tuple[str, str], dict]:
    """The paper's figures by (bucket, border): l1_percent, psnr in dB, ssim.

    Source:
        Liu et al. 2018, arXiv:1804.07723, Table 1.
    Example:
        >>> paper_rows()["0.1-0.2", "N"]
        {'l1_percent': 1.18, 'psnr': 27.71, 'ssim': 0.867}
    """
    with open(PAPER_TABLE, newline="", encoding="utf-8") as file:
        return {
            (row["bucket"], row["border"]): {key: float(row[key]) for key in ("l1_percent", "psnr", "ssim")}
            for row in csv.DictReader(file)
            if row["method"] == method
        }


def _shown(rows: Sequence[dict]) -> list[str]:
    """The measures of a table's columns."""
    return [*MEASURES, *([DISTANCE] if rows and all(DISTANCE in row for row in rows) else [])]


def _measures(row: dict, shown: Sequence[str]) -> list[str]:
    return ["–" if row.get(key) is None else f"{row[key]:.{SHOWN[key][1]}f}" for key in shown]


def _markdown(protocol: dict, table: str, intervals: str) -> str:
    lines = [f"- {key}: {plain(value)}" for key, value in protocol.items()]
    caption = "95 % intervals of the means, by resampling the pairs:"
    return "\n".join(["# Evaluation", "", *lines, "", table, "", caption, "", intervals, ""])


def plain(value: object) -> str:
    """A value of the protocol block as text."""
    if isinstance(value, dict):
        return ", ".join(f"{key} {entry}" for key, entry in value.items())
    return "–" if value is None else str(value)


def _digits(key: str) -> int | None:
    """Of a column's numbers: those of its measure; None for what is no measure."""
    return next((digits for measure, digits in DIGITS.items() if key.startswith(measure)), None)


def _rounded(key: str, value: object) -> object:
    return value if value is None or (digits := _digits(key)) is None else round(value, digits)


def _fixed(key: str, value: object) -> str:
    if value is None or value == math.inf:
        return ""
    return str(value) if (digits := _digits(key)) is None else f"{value:.{digits}f}"


def _write_csv(path: Path, columns: Sequence[str], rows: Sequence[dict]) -> None:
    with (
        atomic_path(path) as temporary,
        # surrogateescape: file names that are no UTF-8 come back as they were
        open(temporary, "w", newline="", encoding="utf-8", errors="surrogateescape") as file,
    ):
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([_fixed(key, row[key]) for key in columns] for row in rows)


def _write_text(path: Path, text: str) -> None:
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="\n")
