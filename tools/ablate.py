"""What a part of the method is worth: ``python -m tools.ablate``.

Trains presets that differ from a baseline in one thing each, for the same number of iterations on the same pictures in
the same order, evaluates them on the same pairs, and compares them with the baseline pair by pair. Stopped and started
again it continues each run from its last checkpoint.
"""

import argparse
import math
import statistics
from collections.abc import Sequence
from pathlib import Path

from metrics.buckets import Sample
from metrics.comparison import Difference, overall_differences, read_samples
from metrics.report import COLUMNS
from options import Parser, parse_train, positive_int
from options.shared import adder
from options.train import CONFIGS
from utils.errors import naming, run_cleanly
from utils.files import atomic_path
from utils.run_folder import CHECKPOINTS

BASELINE = CONFIGS / "ablations" / "baseline.yaml"
TABLE = "ablations.md"
MEASURES = ("psnr", "ssim", "l1_percent")
CAUTION = (
    "Each preset was trained once. The 95 % intervals (bold: 0 lies outside) are over pairs of pictures and masks and "
    "do not include what another seed or a longer training would change. Single pass (--scales 1)."
)


def build_parser() -> Parser:
    parser = Parser(
        prog="python -m tools.ablate",
        description="Train the presets of configs/ablations with equal budgets and compare each with the baseline. "
        "Options behind -- go to each training (train.py --help).",
        epilog="example: python -m tools.ablate --images data/val --masks data/irregular_masks --size 64 -- "
        "--image_root data/train --image_size 64 --base_channels 16 --depth 5 --batch_size 4",
    )
    add = adder(parser)
    add("--max_iters", positive_int, "iterations of each training", 2000)
    add("--images", "DIR", "pictures to evaluate on; sample photos when not given")
    add("--masks", "DIR", "masks to evaluate with; generated when not given")
    add("--hole", ("white", "black"), "colour of the hole in the files of --masks", "white")
    add("--size", positive_int, "side of the pictures evaluated; their own when not given")
    add("--limit", positive_int, "pairs evaluated; all when not given")
    add("--output", "DIR", "folder of the runs, the reports and the table", "logs/ablations")
    parser.add_argument(
        "train", nargs=argparse.REMAINDER, metavar="-- OPTIONS", help="options of train.py for every preset"
    )
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    options = build_parser().parse_args(arguments)
    given = [word for word in options.train if word != "--"] + ["--max_iters", str(options.max_iters)]
    for preset in presets():
        parse_train(["--config", str(preset), *given])  # a mistake is reported before any is trained
    samples = {preset.stem: train_and_evaluate(preset, given, options) for preset in presets()}
    text = markdown(samples, f"each trained with `{' '.join(given)}`")
    with atomic_path(Path(options.output) / TABLE) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")
    print(f"{text}\n\n{TABLE} is in {options.output}")


def presets() -> list[Path]:
    """Those of the baseline's folder, the baseline first."""
    return sorted(BASELINE.parent.glob("*.yaml"), key=lambda path: (path != BASELINE, path.name))


def train_and_evaluate(preset: Path, given: Sequence[str], options: argparse.Namespace) -> list[Sample]:
    """Train a preset, or what is left of it, and evaluate its newest checkpoint; returns the pairs."""
    import eval as evaluation
    import train

    name = preset.stem
    run, report = (Path(options.output) / kind / name for kind in ("runs", "reports"))
    print(f"{name}: training")
    train.main(["--config", str(preset), *given, "--log_dir", str(run), "--resume", "auto"])
    print(f"{name}: evaluating")
    words = ["--weights", str(run / CHECKPOINTS / "latest"), "--scales", "1", "--num_workers", "0"]
    words += ["--hole", options.hole, "--output", str(report)]
    for key in ("images", "masks", "size", "limit"):
        words += [] if getattr(options, key) is None else [f"--{key}", str(getattr(options, key))]
    with naming(name):
        evaluation.main(words)
    return read_samples(report / "report.json")


def markdown(samples: dict[str, list[Sample]], about: str) -> str:
    """Means over all pairs, and differences from the baseline, the first one."""
    baseline = next(iter(samples.values()))
    columns = ["preset", *(f"{COLUMNS[m].title}{extra}" for m in MEASURES for extra in ("", ", difference"))]
    rows = [columns, ["---"] * len(columns)]
    for name, own in samples.items():
        differences = overall_differences(baseline, own)
        rows.append([name, *(cell for m in MEASURES for cell in _cells(m, own, differences[m]))])
    table = ["| " + " | ".join(row) + " |" for row in rows]
    return "\n".join([f"{len(baseline)} pairs; {about}", "", *table, "", CAUTION])


def _cells(measure: str, own: Sequence[Sample], difference: Difference) -> tuple[str, str]:
    """A mean, and the difference with its interval, bold where 0 lies outside."""
    digits = COLUMNS[measure].shown
    finite = [value for sample in own if math.isfinite(value := getattr(sample, measure))]
    mean = f"{statistics.fmean(finite):.{digits}f}" if finite else "–"
    if difference.low is None or difference.low == difference.high == 0:
        return mean, "–"
    bold = "**" if difference.low > 0 or difference.high < 0 else ""
    gained, low, high = (f"{value:+.{digits + 1}f}" for value in (difference.mean, difference.low, difference.high))
    return mean, f"{bold}{gained}{bold} ({low} to {high})"


if __name__ == "__main__":
    run_cleanly(main)
