"""The folder of a training run, ``logs/<name>``: what is in it, how it is told from others, and who may write there.

One run at a time: it holds a lock on a file of the folder, which the system takes back from a process that ends,
however it ends. A folder with anything else in it is neither moved nor written to.
"""

import errno
import os
import re
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from utils.errors import InputError, one_line
from utils.files import is_file, open_own, read_text, refuse_folder_or_pipe

try:
    import fcntl
except ImportError:  # not POSIX
    fcntl = None

OPTIONS, LOG, METRICS, LOCK = "config.yaml", "train.log", "metrics.csv", ".train.lock"
CHECKPOINTS, SAMPLES, GRAPH = "checkpoints", "samples", "vdlgraph.log"

_WRITING = r"\..+\.pconv_tmp(\..*)?"  # see files.temporary_beside
_HIDDEN = re.compile(rf"\.train\.lock|{_WRITING}")
_FILES = re.compile(r"config\.yaml|train\.log|metrics(_damaged)?\.csv|vdlrecords\.[0-9]+\.log|vdlgraph\.log")
_FOLDERS = {
    CHECKPOINTS: re.compile(rf"iter_[0-9]+|latest|best|{_WRITING}"),
    SAMPLES: re.compile(rf"iter_[0-9]+\.png|{_WRITING}"),
}
_TOLD_BY = ("model", "image_root", "image_size", "max_iters", "log_dir")  # keys that are in the options of every run


class RunFolder:
    """A run's hold on its folder, for as long as the context lasts.

    It is locked by ``begin``, and already on entering where an earlier run has left its lock, so that the one that is
    at work is told early.

    Raises:
        InputError: another run is writing there.
    """

    def __init__(self, directory: str | os.PathLike):
        self.directory = Path(directory)
        self._lock: TextIO | None = None

    def __enter__(self) -> "RunFolder":
        if is_file(self.directory / LOCK) and _has_options(self.directory):
            self._lock = _locked(self.directory)
        return self

    def __exit__(self, *_) -> None:
        if self._lock:
            self._lock.close()

    def refuse_others(self) -> None:
        """Raise InputError where the folder holds anything but an earlier run, which alone a new one may move aside."""
        if not (found := _stranger(self.directory)):
            return
        raise InputError(
            f"--log_dir: expected a new folder, an empty one or an earlier run's, got {self.directory} {found}; choose "
            f"another, as {self.directory / 'run'}"
        )

    def begin(self, is_new: bool) -> None:
        """Make the folder, a new run's after moving an earlier one aside, and see to it that it is locked."""
        if is_new:
            self.refuse_others()
        self.directory.mkdir(parents=True, exist_ok=True)
        self._lock = self._lock or _locked(self.directory)
        if is_new and is_run(self.directory):
            self._move_aside()
        self._lock.truncate(0)
        print(f"process {os.getpid()} on {socket.gethostname()}", file=self._lock, flush=True)

    def _move_aside(self) -> None:
        folder = self.directory.resolve()  # of a link, what it leads to
        aside = _free_name(folder.with_name(f"{folder.name}_before_{time.strftime('%Y%m%d_%H%M%S')}"))
        os.rename(folder, aside)
        folder.mkdir(exist_ok=True)
        print(f"{self.directory} held an earlier run: moved to {aside} (to go on with one: --resume auto)")
        self._lock.close()  # it went with the folder
        self._lock = _locked(self.directory)


def is_run(directory: str | os.PathLike) -> bool:
    """Whether a folder holds a training run of this program, and nothing else."""
    directory = Path(directory)
    return directory.is_dir() and next(_entries(directory), None) is not None and not _stranger(directory)


def _stranger(directory: Path) -> str | None:
    """In words, what makes a folder no run's, if not empty; None where it is a run's, empty, or not there."""
    if not directory.is_dir() or next(_entries(directory), None) is None:
        return None
    if Path.cwd().is_relative_to(directory.resolve()):
        return "which is the current folder or around it"
    if other := next(filter(None, (_other_than_a_runs(path) for path in _entries(directory))), None):
        return f"with {one_line(other, 80)} in it"
    return None if _has_options(directory) else f"without the {OPTIONS} of a run"


def _entries(directory: Path) -> Iterator[Path]:
    """What is in a folder, but for the lock and what a run was writing when it was killed."""
    return (path for path in sorted(directory.iterdir()) if not _HIDDEN.fullmatch(path.name))


def _other_than_a_runs(path: Path) -> str | None:
    """Of an entry of the folder, the name of what no run leaves there."""
    if path.is_dir():
        known = _FOLDERS.get(path.name)
        names = sorted(inner.name for inner in path.iterdir()) if known else []
        other = next((name for name in names if not known.fullmatch(name)), None)
        return None if known and not other else "/".join(filter(None, (path.name, other)))
    return None if _FILES.fullmatch(path.name) else path.name


def _has_options(directory: Path) -> bool:
    """Whether the options of a run are there: another program's config.yaml has other keys."""
    try:
        lines = read_text(directory / OPTIONS, "the options of a run", 1 << 20).splitlines()
    except InputError:
        return False
    return {line.partition(":")[0] for line in lines}.issuperset(_TOLD_BY)


def _free_name(path: Path) -> Path:
    """The path, or it with a number where there is such a file already."""
    number, free = 1, path
    while os.path.lexists(free):
        number += 1
        free = path.with_name(f"{path.name}_{number}")
    return free


def _locked(directory: Path) -> TextIO:
    """The folder's lock, held as long as it is open by this process; of the processes that it forks none holds it."""
    refuse_folder_or_pipe(directory / LOCK)
    file = open_own(directory / LOCK, "a+")
    try:
        if fcntl:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EAGAIN):
            file.seek(0)
            holder = one_line(file.read(200)) or "unknown"
            file.close()
            raise InputError(
                f"--log_dir: another run is writing to {directory} ({holder}); choose another folder, or stop that one"
            ) from None
        print(f"warning: {directory} cannot be locked here: start no second run in it", file=sys.stderr)
    if not _is_at(file, directory / LOCK):  # moved aside by another run, meanwhile
        file.close()
        return _locked(directory)
    return file


def _is_at(file: TextIO, path: Path) -> bool:
    """Whether an open file is the one of that name."""
    return path.exists() and os.path.samestat(os.fstat(file.fileno()), path.stat())
