"""Draw a run's curves into one picture: ``python -m tools.plot_metrics logs/Celeba --output curves.png``."""

import math
import re
import statistics
from collections.abc import Sequence
from pathlib import Path

import matplotlib

from metrics.curves import row_of_numbers
from options import Parser, check_file
from utils.errors import InputError, one_line, run_cleanly
from utils.files import atomic_path, is_file, read_table
from utils.run_folder import METRICS

matplotlib.use("Agg")
from matplotlib import pyplot as plt

PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".tif", ".tiff", ".svg", ".pdf")
LARGEST = 3.4e38
MOST_COLUMNS = 200  # a run has some forty
_COLUMN = re.compile(r"[A-Za-z0-9_.-]{1,80}")
PSNR = "val_psnr_"


def main(argv: Sequence[str] | None = None) -> None:
    options = build_parser().parse_args(argv)
    check_file("--output", options.output, PICTURES)
    draw([read_rows(Path(run)) for run in options.runs], Path(options.output))
    print(f"written: {options.output}")


def build_parser() -> Parser:
    parser = Parser(prog="python -m tools.plot_metrics", description="Draw the curves of a run, from its metrics.csv.")
    parser.add_argument("runs", nargs="+", metavar="DIR", help="folder of a run; several are drawn one after another")
    parser.add_argument("--output", default="logs/curves.png", metavar="FILE", help="picture to write")
    return parser


def read_rows(run: Path) -> list[dict[str, float]]:
    """The rows of a run's metrics.csv, without their empty cells."""
    path = run / METRICS
    if not is_file(path):
        raise InputError(f"expected the folder of a run with {METRICS} in it, got {run}; train.py writes such folders")
    rows = []
    for line, row in read_table(path, "the curves of a run", ("iter",)):
        if not rows:
            _refuse_strange_columns(path, [name for name in row if name is not None])
        if (numbers := row_of_numbers(row)) is None:
            raise InputError(f"{path}, line {line}: expected a number for each column, got another; remove the line")
        rows.append(numbers)
        if any(LARGEST < abs(number) < math.inf for number in numbers.values()):
            raise InputError(
                f"{path}, line {line}: expected numbers that float32 holds, got larger ones; remove the line"
            )
    if not rows:
        raise InputError(f"{path}: expected rows, got none; the run has not logged yet")
    return rows


def _refuse_strange_columns(path: Path, names: list[str]) -> None:
    """What no font has letters for, or is mathematics to the one who draws; or far more than can be told apart."""
    if strange := next((name for name in names if not _COLUMN.fullmatch(name)), None):
        raise InputError(
            f"{path}, line 1: expected names of columns in letters, digits, - and _, got {one_line(strange, 80)!r}; "
            "is it the right file?"
        )
    if len(names) > MOST_COLUMNS:
        raise InputError(
            f"{path}, line 1: expected {MOST_COLUMNS} columns at most, got {len(names)}; is it the right file?"
        )


def draw(runs: list[list[dict[str, float]]], output: Path) -> None:
    """Loss terms and validation PSNR by hole area, over the iterations of all runs.

    Raw terms are on a logarithmic scale; those mostly below 0, as critics' scores are, in a part of their own.
    """
    terms = list(dict.fromkeys(term for rows in runs for row in rows for term in _terms(row)))
    values = {term: [row[term] for rows in runs for row in rows if term in row] for term in terms}
    signed = [term for term in terms if statistics.median(values[term]) <= 0]
    figure, all_axes = plt.subplots(1, 2 + bool(signed), figsize=(12 + 6 * bool(signed), 4.5), layout="constrained")
    loss_axes, psnr_axes = all_axes[0], all_axes[-1]
    first = 0
    for number, rows in enumerate(runs):
        for i, term in enumerate(terms):
            _curve(all_axes[1] if term in signed else loss_axes, rows, term, first, f"C{i}", label=term)
        for i, key in enumerate(sorted({key for row in rows for key in row if key.startswith(PSNR)})):
            _curve(psnr_axes, rows, key, first, f"C{i}", label=key.removeprefix(PSNR), marker="o")
        first += int(rows[-1]["iter"])
        if number + 1 < len(runs):
            for axes in all_axes:
                axes.axvline(first, color="grey", linestyle=":")
    if signed:
        all_axes[1].set(xlabel="iteration", ylabel="raw term")
    loss_axes.set(yscale="log", xlabel="iteration", ylabel="raw loss term")
    psnr_axes.set(xlabel="iteration", ylabel="validation PSNR (dB) by hole area")
    for axes in all_axes:
        axes.grid(alpha=0.3)
        handles, labels = axes.get_legend_handles_labels()
        by_label = dict(zip(labels, handles, strict=True))
        axes.legend(by_label.values(), by_label.keys(), fontsize="small", loc="upper left", bbox_to_anchor=(1, 1))
    with atomic_path(output) as temporary:
        figure.savefig(temporary, dpi=110)
    plt.close(figure)


def _terms(row: dict[str, float]) -> list[str]:
    """The loss terms of a training row: what stands between the loss and the costs (``engine.logger.columns``)."""
    names = list(row)
    return names[names.index("loss") + 1 : names.index("reader_cost")] if {"loss", "reader_cost"} <= row.keys() else []


def _curve(axes, rows: list[dict[str, float]], key: str, first: int, color: str, **style) -> None:
    points = [(first + row["iter"], row[key]) for row in rows if key in row]
    if points:
        axes.plot(*zip(*points, strict=True), color=color, linewidth=1.2, markersize=3, **style)


if __name__ == "__main__":
    run_cleanly(main)
