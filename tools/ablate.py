"""Train presets alike but for one thing each, and table what that thing is worth: ``python -m tools.ablate``.

Each preset of configs/ablations is trained for the same number of iterations on the same pictures in the same order,
evaluated on the same pairs, and set against the baseline pair by pair. Stopped and started again it goes on: a run from
its last checkpoint, an evaluation from its last pair; what is finished is passed over.
"""

import argparse
import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from metrics.buckets import Sample, bucket_rows
from metrics.comparison import DIGITS, Difference, differences, overall_differences, read_protocol, read_samples
from metrics.curves import row_of_numbers
from metrics.report import SHOWN
from options import Parser, check_folder, parse_train, positive_int, setup_device
from options.train import CONFIGS
from utils.errors import InputError, naming, run_cleanly
from utils.files import atomic_path, read_table, read_text, sha256_of
from utils.run_folder import CHECKPOINTS, METRICS

BASELINE = CONFIGS / "ablations" / "baseline.yaml"
NAMES_ONLY = {"config", "log_dir", "resume"}  # of a run, not what it is
OWN = {"config", "log_dir", "resume", "dry_run", "max_iters", "weights"}  # not to be given behind --
PLAN = "ablation.json"  # what was begun, in the folder of it all
TABLE, FIGURES = "ablations.md", "ablations.json"
MEASURES = ("psnr", "ssim", "l1_percent")
CAUTION = (
    "Each preset was trained once. The 95 % intervals say what other pairs of pictures and masks would give with these "
    "very networks; how far another seed or a longer training would go is not in them. Figures are of a single pass "
    "(--scales 1)."
)


@dataclass(frozen=True)
class Ablation:
    """A preset, its options that are not the baseline's, and what training and evaluating it gave."""

    name: str
    differs: dict
    iterations: int
    seconds: float
    samples: list[Sample]


def build_parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="python -m tools.ablate",
        description="Train the presets of configs/ablations with equal budgets and set each against the baseline. "
        "What stands behind -- is given to each training (train.py --help). Started again it goes on.",
        epilog="example: python -m tools.ablate --images data/val --masks data/irregular_masks --size 64 -- "
        "--image_root data/train --image_size 64 --base_channels 16 --depth 5 --batch_size 4",
    )
    add = parser.add_argument
    add("--presets", nargs="+", metavar="FILE", help="presets; all of configs/ablations when not given")
    add("--baseline", default=str(BASELINE), metavar="FILE", help="the preset that they are set against")
    add("--max_iters", type=positive_int, default=2000, metavar="N", help="iterations of each training")
    add("--images", metavar="DIR", help="pictures to evaluate on; sample photos when not given")
    add("--masks", metavar="DIR", help="masks to evaluate with; generated when not given")
    add("--hole", choices=("white", "black"), default="white", help="colour of the hole in the files of --masks")
    add("--size", type=positive_int, metavar="N", help="side of the pictures evaluated; their own when not given")
    add("--limit", type=positive_int, metavar="N", help="pairs evaluated; all when not given")
    add("--output", default="logs/ablations", metavar="DIR", help="folder of the runs, the reports and the table")
    add("train", nargs=argparse.REMAINDER, metavar="-- OPTIONS", help="options of train.py for every preset")
    return parser


def main(arguments: Sequence[str] | None = None) -> None:
    options = build_parser().parse_args(arguments)
    given = [word for word in options.train if word != "--"]
    output = Path(options.output)
    check_folder("--output", output)
    presets = presets_of(options)
    refuse_own(given)
    differing = differing_options(presets, given)
    keep_plan(output, options, presets, given)
    setup_device(*device_of(options.baseline, given))
    found = []
    for name, preset in presets.items():
        run = train_one(output, name, preset, given, options.max_iters)
        iterations, seconds = training_time(run / METRICS)
        samples = evaluate_one(output, name, run, options)
        found.append(Ablation(name, differing[name], iterations, seconds, samples))
    table = markdown(found, described(options, given))
    _write(output / TABLE, table + "\n")
    _write(output / FIGURES, json.dumps(figures(found, described(options, given)), indent=2) + "\n")
    print(f"{table}\n\n{TABLE} and {FIGURES} are in {output}")


def presets_of(options: argparse.Namespace) -> dict[str, Path]:
    """By name, the baseline first."""
    others = options.presets or sorted(BASELINE.parent.glob("*.yaml"))
    paths = [Path(options.baseline), *(path for path in map(Path, others) if path != Path(options.baseline))]
    presets = {path.stem: path for path in paths}
    if len(presets) < len(paths):
        raise InputError(f"--presets: expected names that differ, got {', '.join(path.stem for path in paths)}")
    return presets


def differing_options(presets: dict[str, Path], given: Sequence[str]) -> dict[str, dict]:
    """By preset, the options in which its training is not the baseline's (the first one's), with its values.

    Raises:
        InputError: a preset has none.
    """
    parsed = {name: vars(parse_train(["--config", str(path), *given])[0]) for name, path in presets.items()}
    baseline, *others = parsed
    differing = {
        name: {key: value for key, value in own.items() if value != parsed[baseline][key] and key not in NAMES_ONLY}
        for name, own in parsed.items()
    }
    if same := [name for name in others if not differing[name]]:
        raise InputError(
            f"{same[0]}: expected a preset that differs from the baseline, got none of its options; leave out of what "
            "stands behind -- what the presets are about"
        )
    return differing


def refuse_own(given: Sequence[str]) -> None:
    """What stands behind -- is of every training, and sets nothing that is set here."""
    typed = {word.lstrip("-").partition("=")[0] for word in given if word.startswith("--")}
    if own := sorted(typed & OWN):
        raise InputError(f"--{own[0]} behind --: expected options of every training, got one that is set here")


def keep_plan(output: Path, options: argparse.Namespace, presets: dict[str, Path], given: Sequence[str]) -> None:
    """Note what is begun, or refuse to go on with something else.

    Raises:
        InputError: the folder holds what was begun with other options.
    """
    plan = {**described(options, given), "presets": {name: sha256_of(path) for name, path in presets.items()}}
    path = output / PLAN
    if path.is_file():
        try:
            earlier = json.loads(read_text(path, "the plan of an ablation"))
        except (ValueError, RecursionError):
            earlier = None
        if earlier != plan:
            raise InputError(
                f"--output: {output} was begun with other options or presets ({PLAN} in it); choose another folder, or "
                "give them again"
            )
        return
    _write(path, json.dumps(plan, indent=2) + "\n")


def described(options: argparse.Namespace, given: Sequence[str]) -> dict:
    """All that decides the figures, beside the presets."""
    kept = ("max_iters", "images", "masks", "hole", "size", "limit")
    return {**{key: getattr(options, key) for key in kept}, "train": list(given)}


def device_of(preset: str, given: Sequence[str]) -> tuple[str, int | None]:
    """Device and threads, which are settled before Paddle is imported."""
    options, _ = parse_train(["--config", preset, *given])
    return options.device, options.threads


def newest_of(run: Path) -> tuple[Path | None, int]:
    """The newest whole checkpoint of a run and its iteration; None and 0 where there is none."""
    from engine.training_state import CheckpointFolder
    from inpainting.checkpoint import read_meta

    newest = CheckpointFolder(run / CHECKPOINTS).newest()
    return newest, int(read_meta(newest).get("iter", 0)) if newest else 0


def train_one(output: Path, name: str, preset: Path, given: Sequence[str], max_iters: int) -> Path:
    """Train a preset, or what is left of it; returns the run's folder."""
    import train

    run = output / "runs" / name
    if newest_of(run)[1] >= max_iters:
        print(f"{name}: trained already")
        return run
    print(f"{name}: training")
    here = ["--config", str(preset), "--log_dir", str(run), "--max_iters", str(max_iters), "--resume", "auto"]
    train.main([*here, *given])
    return run


def training_time(path: Path) -> tuple[int, float]:
    """Iterations and seconds of a run, from its metrics.csv; validations are not counted."""
    seconds, done = 0.0, 0
    for _, row in read_table(path, "the curves of a run", ("iter", "batch_cost")):
        numbers = row_of_numbers(row) or {}
        if "batch_cost" in numbers:
            seconds += numbers["batch_cost"] * (numbers["iter"] - done)
            done = int(numbers["iter"])
    return done, seconds


def evaluate_one(output: Path, name: str, run: Path, options: argparse.Namespace) -> list[Sample]:
    """Evaluate a run's newest checkpoint on the pairs that all have, unless its report is there."""
    import eval as evaluation
    from inpainting.checkpoint import weights_file

    (newest, _), report = newest_of(run), output / "reports" / name / "report.json"
    if newest is None:
        raise InputError(f"{run}: expected a whole checkpoint, got none; remove the folder to train it anew")
    if report.is_file() and read_protocol(report).get("weights_sha256") == sha256_of(weights_file(newest)):
        print(f"{name}: evaluated already")
        return read_samples(report)
    print(f"{name}: evaluating")
    words = ["--weights", str(newest), "--scales", "1", "--num_workers", "0", "--hole", options.hole]
    for key in ("images", "masks", "size", "limit"):
        words += [] if getattr(options, key) is None else [f"--{key}", str(getattr(options, key))]
    with naming(name):
        evaluation.main([*words, "--output", str(report.parent)])
    return read_samples(report)


def markdown(found: Sequence[Ablation], about: dict) -> str:
    """The tables: over all pairs against the baseline, and PSNR by hole area."""
    baseline = found[0]
    lines = [f"{len(baseline.samples)} pairs; {about['max_iters']} iterations each; `{' '.join(about['train'])}`", ""]
    head = ["preset", "differs in", "s", *(f"{SHOWN[m][0]}{extra}" for m in MEASURES for extra in ("", ", difference"))]
    rows = [_row(ablation, baseline) for ablation in found]
    lines += _table(head, rows)
    areas = [row["bucket"] for row in _by_area(baseline.samples)]
    lines += ["", "PSNR (dB) by hole area", ""]
    lines += _table(
        ["preset", *("({}, {}]".format(*area.split("-")) for area in areas)],
        [[a.name, *(_shown("psnr", row["psnr"]) for row in _by_area(a.samples))] for a in found],
    )
    return "\n".join([*lines, "", CAUTION])


def figures(found: Sequence[Ablation], about: dict) -> dict:
    """The same and more for programs: differences by hole area too."""
    baseline = found[0]
    entries = []
    for ablation in found:
        entry = {"name": ablation.name, "differs": ablation.differs, "iterations": ablation.iterations}
        entry |= {"seconds": round(ablation.seconds, 1), "pairs": len(ablation.samples)}
        entry |= {measure: _mean(ablation.samples, measure) for measure in MEASURES}
        if ablation is not baseline:
            compared = [*overall_differences(baseline.samples, ablation.samples).values()]
            compared += differences(baseline.samples, ablation.samples)
            entry["differences"] = [asdict(difference) for difference in compared]
        entries.append(entry)
    return {**about, "baseline": baseline.name, "presets": entries}


def _row(ablation: Ablation, baseline: Ablation) -> list[str]:
    differs = ", ".join(f"{key} {value}" for key, value in ablation.differs.items()) or "–"
    cells = [ablation.name, differs, f"{ablation.seconds:.0f}"]
    compared = {} if ablation is baseline else overall_differences(baseline.samples, ablation.samples)
    for measure in MEASURES:
        cells += [_shown(measure, _mean(ablation.samples, measure)), _between(measure, compared.get(measure))]
    return cells


def _between(measure: str, difference: Difference | None) -> str:
    """Mean and interval; marked where the interval leaves 0 out."""
    if difference is None or difference.mean is None:
        return "–"
    digits = DIGITS[measure]
    mean = f"{difference.mean:+.{digits}f}"
    if difference.low is None:
        return mean
    sure = difference.low > 0 or difference.high < 0
    return f"{f'**{mean}**' if sure else mean} ({difference.low:+.{digits}f} to {difference.high:+.{digits}f})"


def _by_area(samples: Sequence[Sample]) -> list[dict]:
    return [row for row in bucket_rows(samples) if row["border"] == "all"]


def _mean(samples: Sequence[Sample], measure: str) -> float | None:
    finite = [value for sample in samples if math.isfinite(value := getattr(sample, measure))]
    return math.fsum(finite) / len(finite) if finite else None


def _shown(measure: str, value: float | None) -> str:
    return "–" if value is None else f"{value:.{SHOWN[measure][1]}f}"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return ["| " + " | ".join(cells) + " |" for cells in (head, ["---"] * len(head), *rows)]


def _write(path: Path, text: str) -> None:
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    run_cleanly(main)
