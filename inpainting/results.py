"""The files that filling pictures leaves in a folder, which take the place of nothing that is not their own.

Which files there will be is planned before the first picture. One that stands in the way is replaced only where it was
written here before and is as it was written: the folder keeps a list of the SHA-256 of its results (``LEDGER``, as
``sha256sum`` writes it). Anything else wants to be told (``overwrite``), and pictures and masks that are read are never
written over.
"""

import contextlib
import os
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from utils.errors import InputError
from utils.files import atomic_path, open_own, read_text, sha256_of

LEDGER = ".results.sha256"


class Results:
    """A folder of results.

    Args:
        folder: made with the first of them.
        overwrite: whether files of others may be replaced, too.
    """

    def __init__(self, folder: str | os.PathLike, overwrite: bool = False):
        self.folder, self.overwrite = Path(folder), overwrite
        self._known = self._read_ledger()

    def plan(self, files: Iterable[tuple[str, str]], read: Iterable[Path]) -> None:
        """Refuse, before there is a first, what would be lost.

        Args:
            files: names of results, each with the picture that it is of, as a person knows it.
            read: pictures and masks.
        Raises:
            InputError: two results of one name, one in place of what is read, of a folder, or of a file of others'.
        """
        names = _distinct(files)
        sources = {_identity(path): path for path in read}
        for name in names:
            if source := sources.get(_identity(self.folder / name)):
                raise InputError(
                    f"--output: the result {self.folder / name} would overwrite the input {source}; choose another "
                    "folder"
                )
        self._refuse_folders(names)
        if not self.overwrite:
            self._refuse_files_of_others(names)

    @contextlib.contextmanager
    def new(self, name: str) -> Iterator[Path]:
        """The path to write a result to; it is in its place, and in the list, when the block ends well."""
        with atomic_path(self.folder / name) as temporary:
            yield temporary
            self._note(sha256_of(temporary), name)

    def _refuse_folders(self, names: Iterable[str]) -> None:
        for name in names:
            if os.path.isdir(self.folder / name):
                raise InputError(
                    f"--output: expected to write the file {self.folder / name}, got a folder of that name; choose "
                    "another folder for the results"
                )

    def _refuse_files_of_others(self, names: Iterable[str]) -> None:
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
        """Without a list that can be read nothing is known as one's own."""
        try:
            lines = read_text(self.folder / LEDGER, "a list of results", errors="surrogateescape").split("\n")
        except InputError:
            return set()
        return {(line[:64], line[66:]) for line in lines if line[64:66] == "  "}

    def _note(self, digest: str, name: str) -> None:
        """Ahead of the file itself: killed between the two, the list has a line too many, which does no harm."""
        if (digest, name) in self._known:
            return
        self._known.add((digest, name))
        with open_own(self.folder / LEDGER, "a") as ledger:
            ledger.write(f"{digest}  {name}\n")


def _distinct(files: Iterable[tuple[str, str]]) -> Collection[str]:
    """The names, where no two are the same and none is another's folder."""
    owners: dict[str, str] = {}
    for name, picture in files:
        if name in owners:
            raise InputError(f"--input: {owners[name]} and {picture} would both be written to {name}; rename one")
        owners[name] = picture
    for name, picture in owners.items():
        for folder in Path(name).parents:
            if other := owners.get(folder.as_posix()):
                raise InputError(
                    f"--input: {other} would be written to {folder}, the folder of {picture}'s result; rename one"
                )
    return owners.keys()


def _identity(path: Path) -> tuple:
    """Alike for two names of one file."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return (os.path.realpath(path),)
    return found.st_dev, found.st_ino
