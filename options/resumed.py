"""A resumed run keeps its options; typed ones override them, and each difference is printed."""

import argparse
import os
from collections.abc import Iterator
from pathlib import Path

from options.shared import Parser, apply_preset, read_preset
from utils.errors import InputError, one_line
from utils.run_folder import CHECKPOINTS, OPTIONS_FILE, is_run

LEFT_OUT = {"help", "config", "dry_run", "resume", "log_dir"}  # where a run is, not how it goes on


def run_to_resume(resume: str | None, log_dir: str) -> Path | None:
    """The folder of the run that ``--resume`` means; None without one.

    Args:
        resume: "auto" for the run in ``log_dir``, also one that was killed before its first checkpoint; or a run's
            folder, a checkpoint in it, or a file of one.
    """
    if resume is None:
        return None
    path = Path(os.path.realpath(log_dir if resume == "auto" else resume))  # resolve() raises of loops
    if resume == "auto":
        return path if _has_checkpoint(path) or is_run(path) else None
    places = [path, *(p.parent for p in (path, *path.parents) if p.name == CHECKPOINTS)]
    return next(filter(_has_checkpoint, places), None)


def _has_checkpoint(path: Path) -> bool:
    return (path / OPTIONS_FILE).is_file() and any((path / CHECKPOINTS).glob("iter_*"))


def options_of(parser: Parser, run: Path) -> dict:
    """The options of a run.

    ``weights``, where a run starts, are kept only while there is no checkpoint.

    Args:
        parser: of train.py, which is changed.
    Raises:
        InputError: they cannot be read.
    """
    apply_preset(parser, run / OPTIONS_FILE)
    options = {
        action.dest: parser.get_default(action.dest) for action in parser._actions if action.dest not in LEFT_OUT
    }
    return options | ({"weights": None} if _has_checkpoint(run) else {})


def preset_of(run: Path, typed: str | None) -> str | None:
    """The preset that a run was begun with; None where its options do not say, as those of version 0.1.0.

    Presets are told apart by file name: the project may lie in another place by now.

    Args:
        typed: the value of --config.
    Raises:
        InputError: another preset is typed.
    """
    preset = read_preset(run / OPTIONS_FILE).get("config")
    if preset and typed and Path(typed).name != Path(preset).name:
        raise InputError(
            f"--config: expected {preset}, the preset of the run in {os.path.relpath(run)}, got {typed}; leave it out "
            "to go on with that run; for a new one, move that folder aside or give another --log_dir"
        )
    return preset


def differences(before: dict, options: argparse.Namespace) -> Iterator[str]:
    """A line for each option that changes."""
    for name, value in before.items():
        if (now := getattr(options, name)) != value:
            yield f"--{name}: {_shown(value)} in the run so far, {_shown(now)} from here on"


def _shown(value: object) -> str:
    return "not given" if value is None else one_line(value, 200)
