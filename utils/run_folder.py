"""The folder of a training run, ``logs/<name>``: who may write there, and how an earlier run is moved aside.

One run at a time: it holds a lock on a file of the folder, which the system releases when the process ends, however it
ends. An earlier run is moved aside whole; a folder without a run's options is neither moved nor written to.
"""

import os
import time
from pathlib import Path

from filelock import FileLock, Timeout

from utils.errors import InputError
from utils.files import is_file, read_text, remove_leftovers

OPTIONS_FILE, LOG, METRICS, LOCK = "config.yaml", "train.log", "metrics.csv", ".train.lock"
CHECKPOINTS, SAMPLES = "checkpoints", "samples"

_TOLD_BY = ("model", "image_root", "image_size", "max_iters", "log_dir")  # keys that are in the options of every run


class RunFolder:
    """A run's hold on its folder, for as long as the context lasts.

    It is locked by ``begin``, and already on entering where an earlier run has left its lock, so that a user hears
    early of another run that is at work.

    Raises:
        InputError: another run is writing there.
    """

    def __init__(self, directory: str | os.PathLike):
        self.directory = Path(directory)
        self._locks: list[FileLock] = []

    def __enter__(self) -> "RunFolder":
        if is_file(self.directory / LOCK) and is_run(self.directory):
            self._lock()
        return self

    def __exit__(self, *_) -> None:
        for lock in self._locks:
            lock.release()

    def check_may_begin(self) -> None:
        """Raise InputError where the folder is neither new, empty, nor an earlier run's, or cannot be moved."""
        if problem := _problem(self.directory):
            raise InputError(
                f"--log_dir: expected a new folder, an empty one or an earlier run's, got {self.directory} {problem}; "
                f"choose another, as {self.directory / 'run'}"
            )

    def begin(self, is_new: bool) -> None:
        """Make and lock the folder, and remove what a killed run was writing; a new run moves an earlier one aside."""
        if is_new:
            self.check_may_begin()
        self.directory.mkdir(parents=True, exist_ok=True)
        if not self._locks:
            self._lock()
        if is_new and is_run(self.directory):
            self._move_aside()
        for folder in (self.directory, self.directory / CHECKPOINTS, self.directory / SAMPLES):
            remove_leftovers(folder)

    def _move_aside(self) -> None:
        folder = self.directory.resolve()  # of a link, what it leads to
        aside = folder.with_name(f"{folder.name}_before_{time.strftime('%Y%m%d_%H%M%S')}")
        os.rename(folder, aside)
        folder.mkdir(exist_ok=True)
        print(f"{self.directory} held an earlier run: moved to {aside} (to go on with one: --resume auto)")
        self._lock()  # the first lock went with the folder, and is held as well: another run may be waiting for it

    def _lock(self) -> None:
        path = self.directory / LOCK
        if path.is_symlink():
            raise InputError(f"{path}: expected a file to lock, got a link; remove it")
        lock = FileLock(path, timeout=1)  # seconds: the system may take a moment to free what a killed run held
        try:
            lock.acquire()
        except Timeout:
            raise InputError(
                f"--log_dir: another run is writing to {self.directory}; choose another folder, or stop that one"
            ) from None
        self._locks.append(lock)


def is_run(directory: str | os.PathLike) -> bool:
    """Whether a folder holds the options of a training run; another program's config.yaml has other keys."""
    try:
        lines = read_text(Path(directory) / OPTIONS_FILE, "the options of a run", 1 << 20).splitlines()
    except InputError:
        return False
    return {line.partition(":")[0] for line in lines}.issuperset(_TOLD_BY)


def _problem(directory: Path) -> str | None:
    """In words, why a new run may not begin in a folder; None where it may."""
    if not directory.is_dir() or not any(path.name != LOCK for path in directory.iterdir()):
        return None
    if Path.cwd().is_relative_to(directory.resolve()):  # a relative path would lead into the run that is moved
        return "which is the current folder or around it"
    return None if is_run(directory) else f"without the {OPTIONS_FILE} of a run"
