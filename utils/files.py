"""Files: written whole or not at all; read only if they are regular files of a plausible size."""

import contextlib
import csv
import hashlib
import io
import os
import re
import secrets
import shutil
import stat
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import BinaryIO

from utils.errors import InputError, describe_os_error, is_out_of_memory, one_line

MAX_TEXT = 64 << 20  # bytes; lists, tables and presets are far smaller


# Of a write that is not done. Its number is drawn: processes of two containers on one volume may share theirs.
_TEMPORARY = re.compile(r"\..{0,40}\.[0-9a-f]{16}\.pconv_tmp(\..*)?", re.DOTALL)


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike) -> Iterator[Path]:
    """A temporary path beside ``path``, renamed to it at the end of the block, or removed if the block raises.

    The suffix is kept, since writers choose their format by it. Missing folders are made.
    """
    temporary = temporary_beside(path)
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def temporary_beside(path: str | os.PathLike) -> Path:
    """A free name beside ``path``, with its suffix; the folder is made if missing."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.with_name(f".{path.stem[:40]}.{secrets.token_hex(8)}.pconv_tmp{path.suffix[:16]}")


def remove_leftovers(folder: Path) -> None:
    """Remove temporary files and folders of killed runs from a folder in which nobody else writes."""
    for path in folder.glob(".*.pconv_tmp*"):
        if _TEMPORARY.fullmatch(path.name):
            remove(path)


def replace_folder(temporary: Path, final: Path) -> None:
    """Rename a folder to ``final``; a folder of that name is removed after that."""
    before = temporary_beside(final)
    if os.path.lexists(final):
        os.rename(final, before)
    os.rename(temporary, final)
    remove(before)


def remove(path: Path) -> None:
    """Remove a file, a link or a folder with its content; errors are ignored."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink()


def kind_of(path: str | os.PathLike) -> str | None:
    """ "file", "folder", or "pipe or a device"; None where there is nothing, or nothing can be, of that name."""
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):
        return None
    return "folder" if stat.S_ISDIR(mode) else "file" if stat.S_ISREG(mode) else "pipe or a device"


def is_file(path: str | os.PathLike) -> bool:
    """Whether there is a regular file; False for names that no file can have."""
    return kind_of(path) == "file"


def open_regular(path: str | os.PathLike, what: str = "a file") -> BinaryIO:
    """Open a regular file for reading; a pipe would block, and a device never end.

    Args:
        what: what is expected there, for the message.
    Raises:
        InputError: nothing there, a folder, a pipe or a device.
    """
    if (kind := kind_of(path)) not in ("file", None):
        raise InputError(f"{path}: expected {what}, got a {kind}; give a file")
    try:
        return open(path, "rb")
    except FileNotFoundError:
        raise InputError(f"{path}: expected {what}, got no such file; check the path") from None
    except OSError as error:
        if error.errno is None or is_out_of_memory(error):
            raise
        raise InputError(f"{path}: expected {what}, got: {describe_os_error(error, with_name=False)}") from None
    except ValueError:  # a zero byte in the name
        raise InputError(f"expected {what}, got a name that no file can have: {one_line(path, 200)!r}") from None


def read_text(path: str | os.PathLike, what: str, limit: int = MAX_TEXT, errors: str = "strict") -> str:
    """The content of a UTF-8 text file, with or without a byte order mark.

    Args:
        what: what is expected there, for the message.
        limit: bytes that it may have.
    Raises:
        InputError: as ``open_regular``; larger than ``limit``; or no text.
    """
    with open_regular(path, what) as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise InputError(f"{path}: expected {what}, got more than {limit >> 10} KiB; is it the right file?")
    try:
        return content.decode("utf-8-sig", errors)
    except UnicodeDecodeError:
        raise InputError(f"{path}: expected {what}, got bytes that are no text; is it the right file?") from None


def read_table(path: str | os.PathLike, what: str, columns: Collection[str]) -> Iterator[tuple[int, dict]]:
    """The rows of a CSV file, each with the number of its last line; a cell that is missing is None.

    File names that are not UTF-8 are kept as they are.

    Args:
        what: what is expected there, for the message.
        columns: that its first line must name, among others.
    Raises:
        InputError: as ``read_text``; a column is missing; or no CSV from some line on.
    """
    rows = csv.DictReader(io.StringIO(read_text(path, what, errors="surrogateescape"), newline=""))
    try:
        if missing := [name for name in columns if name not in (rows.fieldnames or ())]:
            raise InputError(
                f"{path}: expected {what}, got a first line without {', '.join(missing)}; is it the right file?"
            )
        for row in rows:
            yield rows.line_num, row
    except csv.Error as error:
        raise InputError(
            f"{path}, line {rows.line_num + 1}: expected {what}, got a line that is none ({error})"
        ) from None


def sha256_of(path: str | os.PathLike) -> str:
    """The file's SHA-256, in hexadecimal; raises as ``open_regular``."""
    digest = hashlib.sha256()
    with open_regular(path) as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
