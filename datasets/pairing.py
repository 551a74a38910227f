"""Which mask belongs to which picture: the one with its name, whatever the suffix."""

import os
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from utils.errors import InputError, one_line

NAMED = 10  # names that a message gives at most


def by_name(paths: Sequence[Path], root: str | os.PathLike) -> dict[str, list[Path]]:
    """Files by their path below ``root`` without suffix; several where they differ in it alone."""
    found = defaultdict(list)
    for path in paths:
        name = path.relative_to(root) if path.is_relative_to(root) else Path(path.name)
        found[name.with_suffix("").as_posix()].append(path)
    return found


def pair_by_name(names: Sequence[str], masks: Sequence[Path], root: str | os.PathLike) -> list[Path]:
    """The mask of each picture.

    Args:
        names: of the pictures, without suffix, below their folder.
        masks: files below the folder ``root``.
    Raises:
        InputError: pictures without a mask, or with two.
    """
    found = by_name(masks, root)
    if missing := [name for name in names if name not in found]:
        raise InputError(
            f"expected a mask of each picture's name in {root}, got none for {len(missing)} of {len(names)} pictures: "
            f"{_some(missing)}; add them, or give one mask file for all"
        )
    for name in names:
        if len(found[name]) > 1:
            raise InputError(
                f"expected one mask for the picture {one_line(name, 100)}, got {_some(found[name])}; "
                "move all but one away"
            )
    return [found[name][0] for name in names]


def _some(names: Sequence[object]) -> str:
    shown = ", ".join(one_line(name, 100) for name in names[:NAMED])
    return shown + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")
