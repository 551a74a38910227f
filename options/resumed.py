"""A run that goes on has the options that it had; what is typed goes before them, and each difference is told."""

import argparse
import os
from collections.abc import Collection, Iterator
from pathlib import Path

from options.shared import Parser, apply_preset, read_preset
from utils.errors import one_line
from utils.run_folder import CHECKPOINTS, OPTIONS

# Of where a run is and how it began, not of how it goes on.
LEFT_OUT = {"help", "config", "dry_run", "resume", "log_dir", "weights"}


def run_to_resume(resume: str | None, log_dir: str) -> Path | None:
    """The folder of the run that ``--resume`` means, where options and checkpoints of one are there.

    Args:
        resume: "auto" for the run in ``log_dir``; a run's folder, a checkpoint in it, or a file of one.
    """
    if resume is None:
        return None
    path = Path(os.path.realpath(log_dir if resume == "auto" else resume))  # resolve() raises of loops
    places = [path] if resume == "auto" else [path, *(p.parent for p in (path, *path.parents) if p.name == CHECKPOINTS)]
    return next((p for p in places if (p / OPTIONS).is_file() and any((p / CHECKPOINTS).glob("iter_*"))), None)


def options_of(parser: Parser, run: Path) -> dict:
    """The options that a run has had so far.

    Args:
        parser: of train.py, which is used up.
    Raises:
        InputError: they cannot be read.
    """
    apply_preset(parser, run / OPTIONS)
    names = {action.dest for action in parser._actions} - LEFT_OUT
    return {name: parser.get_default(name) for name in sorted(names)}


def differences(before: dict, options: argparse.Namespace) -> Iterator[str]:
    """A line for each option that is not what it was."""
    for name, value in before.items():
        if (now := getattr(options, name)) != value:
            yield f"--{name}: {_shown(value)} in the run so far, {_shown(now)} from here on"


def passed_over(before: dict, preset: str, parser: Parser, typed: Collection[str]) -> Iterator[str]:
    """A line for each option of a preset that the run so far goes before.

    Args:
        parser: has the preset's defaults.
        typed: options that are on the command line, which go before both.
    """
    for name in read_preset(preset):
        if name in before and name not in typed and (said := parser.get_default(name)) != before[name]:
            yield (
                f"--{name}: {_shown(before[name])} as in the run so far, not {_shown(said)} as {preset} says; give "
                f"--{name} to change it"
            )


def _shown(value: object) -> str:
    return "not given" if value is None else one_line(value, 200)
