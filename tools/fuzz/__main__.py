"""Give the readers of users' files what was changed at random: ``python -m tools.fuzz --minutes 60 --seed 1``."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from tqdm import tqdm

from options import Parser, check_folder, count_int, positive_int, setup_device
from options.shared import positive_float
from tools.fuzz.readers import KINDS
from tools.fuzz.search import MEMORY, SECONDS, Outcome, drawn, search
from utils.errors import InputError, one_line, run_cleanly


def build_parser() -> Parser:
    parser = Parser(
        prog="python -m tools.fuzz",
        description="Give the readers of pictures, masks, weights, manifests and presets files that were changed at "
        "random. A reader may take a file or refuse it in one line; anything else, more than "
        f"{SECONDS} seconds or more than {MEMORY >> 30} GiB is a finding. The same seed gives the same files.",
        epilog="example: python -m tools.fuzz --minutes 60 --seed 1",
    )
    parser.add_argument("--count", metavar="N", type=positive_int, default=3000, help="files to try")
    parser.add_argument("--minutes", metavar="M", type=positive_float, help="go on for so long instead of --count")
    parser.add_argument("--seed", metavar="N", type=count_int, default=0, help="of the random changes")
    parser.add_argument("--first", metavar="N", type=count_int, default=0, help="number of the first file")
    parser.add_argument(
        "--kinds", metavar="KIND", nargs="+", choices=tuple(KINDS), help=f"of {', '.join(KINDS)}; all when not given"
    )
    parser.add_argument("--output", metavar="DIR", default="logs/fuzz", help="folder for files that are findings")
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    options = build_parser().parse_args(argv)
    check_folder("--output", Path(options.output))
    setup_device("cpu", 1)
    kinds = {name: KINDS[name] for name in options.kinds or KINDS}
    seeds = {name: kind.seeds() for name, kind in kinds.items()}
    outcomes = search(kinds, seeds, options.seed, options.first, _end(options))
    counts, problems = Counter(), {}
    for outcome in tqdm(outcomes, total=None if options.minutes else options.count, unit="file"):
        counts[outcome.kind, "taken" if outcome.taken else "refused"] += 1
        if outcome.problem:
            counts[outcome.kind, "findings"] += 1
            _keep(outcome, drawn(outcome.number, options.seed, kinds, seeds), Path(options.output), problems)
    _tell(kinds, counts, problems)


def _end(options) -> Callable[[int], bool]:
    if options.minutes:
        until = time.monotonic() + 60 * options.minutes
        return lambda number: time.monotonic() > until
    return lambda number: number >= options.first + options.count


def _keep(outcome: Outcome, file: tuple[str, str, bytes], output: Path, problems: dict[str, Path]) -> None:
    """The first file of each problem is kept."""
    problem = f"{outcome.kind}: {one_line(outcome.problem, 200)}"
    known = problem.split(": ")[:2] if " at " in problem else problem
    if str(known) in problems:
        return
    path = problems[str(known)] = output / f"{outcome.kind}_{outcome.number}" / file[1]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(file[2])
    tqdm.write(f"{path}: {problem}")


def _tell(kinds, counts: Counter, problems: dict[str, Path]) -> None:
    for kind in kinds:
        taken, refused, findings = (counts[kind, what] for what in ("taken", "refused", "findings"))
        print(
            f"{kind:<12} {taken + refused:>8} files: {taken} taken, {refused - findings} refused, {findings} findings"
        )
    if problems:
        raise InputError(f"{len(problems)} kinds of findings: {', '.join(map(str, problems.values()))}")


if __name__ == "__main__":
    run_cleanly(main)
