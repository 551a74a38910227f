"""What a part of the method is worth: ``python -m tools.ablate``.

Trains presets that differ from a baseline in one thing each, for the same number of iterations on the same pictures in
the same order, evaluates them on the same pairs, and compares them with the baseline pair by pair. Stopped and started
again it continues each run from its last checkpoint.
"""

import argparse
import math
from collections.abc import Sequence
from pathlib import Path

from metrics.buckets import Sample
from metrics.comparison import Difference, overall_differences, read_samples
from metrics.report import COLUMNS
from options import Parser, check_folder, parse_train, positive_int, setup_device, train_parser
from options.resumed import LEFT_OUT, options_of
from options.shared import adder
from options.train import CONFIGS
from utils.errors import InputError, naming, run_cleanly
from utils.files import atomic_path
from utils.run_folder import CHECKPOINTS, OPTIONS_FILE

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
    check_folder("--output", Path(options.output))
    given = [word for word in options.train if word != "--"]
    presets = presets_of(BASELINE)
    differing = differing_options(presets, given)
    first, _ = parse_train(["--config", str(BASELINE), *given])
    setup_device(first.device, first.threads)
    samples = {}
    for name, preset in presets.items():
        run = train_one(options, name, preset, given)
        samples[name] = evaluate_one(options, name, run)
    text = markdown(samples, differing, f"{options.max_iters} iterations each; `{' '.join(given)}`")
    with atomic_path(Path(options.output) / TABLE) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")
    print(f"{text}\n\n{TABLE} is in {options.output}")


def presets_of(baseline: Path) -> dict[str, Path]:
    """The presets of the baseline's folder by name, the baseline first."""
    return {path.stem: path for path in [baseline, *sorted(baseline.parent.glob("*.yaml"))]}


def differing_options(presets: dict[str, Path], given: Sequence[str]) -> dict[str, dict]:
    """By preset, the options in which its training differs from the baseline's (the first one's).

    Raises:
        InputError: a preset has none.
    """
    parsed = {name: trained_with(["--config", str(path), *given]) for name, path in presets.items()}
    baseline, *others = parsed
    differing = {
        name: {key: value for key, value in own.items() if value != parsed[baseline][key]}
        for name, own in parsed.items()
    }
    if same := [name for name in others if not differing[name]]:
        raise InputError(
            f"{same[0]}: expected a preset that differs from the baseline, got the same options; leave out behind -- "
            "what the presets are about"
        )
    return differing


def trained_with(words: Sequence[str]) -> dict:
    """The options of a training, without names of folders."""
    return {key: value for key, value in vars(parse_train(words)[0]).items() if key not in LEFT_OUT}


def train_one(options: argparse.Namespace, name: str, preset: Path, given: Sequence[str]) -> Path:
    """Train a preset, or what is left of it; returns the run's folder."""
    import train

    run = Path(options.output) / "runs" / name
    words = ["--config", str(preset), *given, "--max_iters", str(options.max_iters)]
    if (run / OPTIONS_FILE).is_file():
        wanted, begun = trained_with(words), options_of(train_parser(), run)
        if changed := [key for key, value in begun.items() if value != wanted[key] and key != "weights"]:
            raise InputError(f"--output: {run} was begun with another --{changed[0]}; choose another folder")
    print(f"{name}: training")
    train.main([*words, "--log_dir", str(run), "--resume", "auto"])
    return run


def evaluate_one(options: argparse.Namespace, name: str, run: Path) -> list[Sample]:
    """Evaluate a run's newest checkpoint on the pairs that all presets share."""
    import eval as evaluation

    print(f"{name}: evaluating")
    report = Path(options.output) / "reports" / name
    words = ["--weights", str(run / CHECKPOINTS / "latest"), "--scales", "1", "--num_workers", "0"]
    words += ["--hole", options.hole, "--output", str(report)]
    for key in ("images", "masks", "size", "limit"):
        words += [] if getattr(options, key) is None else [f"--{key}", str(getattr(options, key))]
    with naming(name):
        evaluation.main(words)
    return read_samples(report / "report.json")


def markdown(samples: dict[str, list[Sample]], differing: dict[str, dict], about: str) -> str:
    """Means over all pairs, and differences from the baseline, the first one."""
    baseline = next(iter(samples))
    head = ["preset", "differs in", *(f"{COLUMNS[m].title}{extra}" for m in MEASURES for extra in ("", ", difference"))]
    lines = [f"{len(samples[baseline])} pairs; {about}", "", _row(head), _row(["---"] * len(head))]
    for name, own in samples.items():
        cells = [name, ", ".join(f"{key} {value}" for key, value in differing[name].items()) or "–"]
        compared = {} if name == baseline else overall_differences(samples[baseline], own)
        for measure in MEASURES:
            digits, finite = COLUMNS[measure].shown, [v for s in own if math.isfinite(v := getattr(s, measure))]
            cells.append(f"{math.fsum(finite) / len(finite):.{digits}f}" if finite else "–")
            cells.append(_difference(compared.get(measure), digits + 1))
        lines.append(_row(cells))
    return "\n".join([*lines, "", CAUTION])


def _difference(difference: Difference | None, digits: int) -> str:
    """Mean and interval; bold where 0 lies outside."""
    if difference is None or difference.mean is None or difference.low is None:
        return "–"
    mean = f"{difference.mean:+.{digits}f}"
    is_sure = difference.low > 0 or difference.high < 0
    return f"{f'**{mean}**' if is_sure else mean} ({difference.low:+.{digits}f} to {difference.high:+.{digits}f})"


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    run_cleanly(main)
