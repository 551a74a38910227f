"""The folder of results, in which no file of the user is overwritten.

All file names are checked before the first picture. An existing file is replaced only if it is an unchanged result of
an earlier run: the folder keeps a list of the SHA-256 of its results (``LEDGER``, as ``sha256sum`` writes it). Other
files need ``overwrite``, and input pictures and masks are never replaced.
"""

import contextlib
import os
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from utils.errors import InputError
from utils.files import atomic_path, read_text, sha256_of

LEDGER = ".results.sha256"


class Results:
    """A folder of results.

    Args:
        folder: made with the first result.
        overwrite: whether other files may be replaced, too.
    """

    def __init__(self, folder: str | os.PathLike, overwrite: bool = False):
        self.folder, self.overwrite = Path(folder), overwrite
        self._known = self._read_ledger()

    def plan(self, files: Iterable[tuple[str, str]], read: Iterable[Path]) -> None:
        """Check all results before the first is written.

        Args:
            files: names of results, each with its picture's path or name.
            read: input pictures and masks.
        Raises:
            InputError: two results of one name, or one that would replace an input or another file.
        """
        names = _distinct(files)
        sources = {_identity(path): path for path in read}
        for name in names:
            if source := sources.get(_identity(self.folder / name)):
                raise InputError(
                    f"--output: the result {self.folder / name} would overwrite the input {source}; choose another "
                    "folder"
                )
        if not self.overwrite:
            self._refuse_other_files(names)

    @contextlib.contextmanager
    def new(self, name: str) -> Iterator[Path]:
        """A temporary path for a result, which is renamed and added to the list at the end of the block."""
        with atomic_path(self.folder / name) as temporary:
            yield temporary
            self._note(sha256_of(temporary), name)

    def _refuse_other_files(self, names: Iterable[str]) -> None:
        found = [name for name in names if os.path.lexists(self.folder / name) and not self._is_own(name)]
        if found:
            more = f" and {len(found) - 1} more" if len(found) > 1 else ""
            raise InputError(
                f"--output: {self.folder / found[0]}{more} would be replaced, and was not written by this program or "
                "was changed since; choose another folder, or add --overwrite"
            )

    def _is_own(self, name: str) -> bool:
        path = self.folder / name
        return path.is_file() and not path.is_symlink() and (sha256_of(path), name) in self._known

    def _read_ledger(self) -> set[tuple[str, str]]:
        """Digest and name of earlier results; none without a readable list."""
        try:
            lines = read_text(self.folder / LEDGER, "a list of results", errors="surrogateescape").split("\n")
        except InputError:
            return set()
        return {(line[:64], line[66:]) for line in lines if line[64:66] == "  "}

    def _note(self, digest: str, name: str) -> None:
        """Called before the file is renamed; if killed in between, an unused line in the list does no harm."""
        if (digest, name) in self._known:
            return
        self._known.add((digest, name))
        with open(self.folder / LEDGER, "a", encoding="utf-8", errors="surrogateescape", newline="\n") as ledger:
            ledger.write(f"{digest}  {name}\n")


def _distinct(files: Iterable[tuple[str, str]]) -> Collection[str]:
    """The names; InputError if two are equal."""
    owners: dict[str, str] = {}
    for name, picture in files:
        if name in owners:
            raise InputError(f"--input: {owners[name]} and {picture} would both be written to {name}; rename one")
        owners[name] = picture
    return owners.keys()


def _identity(path: Path) -> tuple:
    """Equal for two names of one file."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return (os.path.realpath(path),)
    return found.st_dev, found.st_ino
