"""The models that a client may choose from, by name: those under ``weights/``, and what runs in ``logs/`` left."""

import os
from pathlib import Path

from inpainting.checkpoint import META, weights_directory
from utils.errors import InputError
from utils.run_folder import CHECKPOINTS


def find_models(root: Path, own: str | os.PathLike | None = None) -> dict[str, Path]:
    """Names, as a person knows them, to weights directories; the first is the default.

    Args:
        root: of the repository.
        own: weights named on the command line; they come first, then ``weights/general``.
    Raises:
        InputError: nothing there under ``own``, or no model at all.
    """
    models = {}
    if own is not None:
        directory = weights_directory(own, exported=True)
        models[_name_of(directory, root)] = directory
    shipped = sorted((root / "weights").glob("*/"), key=lambda folder: (folder.name != "general", folder.name))
    for folder in (*shipped, *(folder.parent for folder in sorted((root / "logs").glob(f"*/{CHECKPOINTS}/")))):
        if (directory := _held_by(folder)) and directory.resolve() not in {d.resolve() for d in models.values()}:
            models.setdefault(_name_of(directory, root), directory)
    if not models:
        raise InputError(f"expected a model under {root / 'weights'}, got none; name one with --weights")
    return models


def _held_by(folder: Path) -> Path | None:
    """The weights directory in a folder, None where there is none."""
    try:
        directory = weights_directory(folder, exported=True)
    except InputError:
        return None
    return directory if (directory / META).is_file() else None


def _name_of(directory: Path, root: Path) -> str:
    """general, logs/Celeba, or the last part of a path elsewhere."""
    directory, root = Path(os.path.abspath(directory)), Path(os.path.abspath(root))
    if directory.parent == root / "weights":
        return directory.name
    run = directory.parent.parent if directory.parent.name == CHECKPOINTS else directory
    return f"logs/{run.name}" if run.parent == root / "logs" else run.name
