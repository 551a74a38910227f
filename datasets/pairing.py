"""Files that belong together by their names, whatever the suffix."""

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


def pair_by_name(
    names: Sequence[str], files: Sequence[Path], root: str | os.PathLike, kind: str = "mask", remedy: str = "add them"
) -> list[Path]:
    """The file of each name.

    Args:
        names: of the pictures (of the masks for ``kind`` picture), without suffix.
        files: below the folder ``root``.
        kind, remedy: for messages.
    """
    found, other = by_name(files, root), "picture" if kind == "mask" else "mask"
    if missing := [name for name in names if name not in found]:
        raise InputError(
            f"expected a {kind} of each {other}'s name{root and f' in {root}'}, got none for {len(missing)} of "
            f"{len(names)} {other}s: {some(missing)}; {remedy}"
        )
    for name in names:
        if len(found[name]) > 1:
            raise InputError(
                f"expected one {kind} for the {other} {one_line(name, 100)}, got {some(found[name])}; "
                "move all but one away"
            )
    return [found[name][0] for name in names]


def some(names: Sequence[object]) -> str:
    """The first ten names, and how many more there are."""
    shown = ", ".join(one_line(name, 100) for name in names[:NAMED])
    return shown + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")
