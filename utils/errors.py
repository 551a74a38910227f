"""User mistakes in one line.

What a user can get wrong (a path, a picture, an option, a weights file) is raised as ``InputError`` where it is
noticed, with what was expected, what came instead and what to do. The scripts call ``run_cleanly(main)``, which prints
that line and exits with a status other than zero. Errors of the operating system (files, memory) and signals are
handled in the same way. Anything else is a bug and keeps its traceback.
"""

import contextlib
import errno
import os
import re
import signal
import sys
from collections.abc import Callable, Iterator
from typing import Any, TextIO

# Characters that move a terminal's cursor, colour it or turn the reading direction: C0, C1, separators, bidirectional.
_CONTROLS = re.compile("[\\x00-\\x1f\\x7f-\\x9f\\u2028\\u2029\\u202a-\\u202e\\u2066-\\u2069]")


class InputError(ValueError):
    """A mistake of the user; the message is one line: what was expected, what came, what to do."""


class Terminated(BaseException):
    """A signal asked the process to end; temporary files are removed on the way out."""

    def __init__(self, signum: int):
        super().__init__(f"ended by {signal.Signals(signum).name}")
        self.signum = signum


@contextlib.contextmanager
def naming(option: str) -> Iterator[None]:
    """Put the option's name before errors about its files."""
    try:
        yield
    except InputError as error:
        if str(error).startswith("--"):
            raise
        raise type(error)(f"{option}: {error}") from None
    except OSError as error:
        if error.errno not in _OF_NAMES:
            raise
        raise InputError(f"{option}: {describe_os_error(error)}") from None


_OF_NAMES = {errno.ENAMETOOLONG, errno.ELOOP, errno.ENOTDIR, errno.ENOENT, errno.EISDIR, errno.EACCES, errno.ENXIO}


def one_line(text: object, limit: int | None = None) -> str:
    """The text on one line, with spaces for control characters and at most ``limit`` characters, for a terminal.

    Example:
        >>> one_line("two\\nlines, \\x1b[31mred", limit=16)
        'two lines, [31m…'
    """
    line = " ".join(_CONTROLS.sub(" ", str(text)).split())
    return line if limit is None or len(line) <= limit else line[: limit - 1] + "…"


def describe_os_error(error: OSError, with_name: bool = True) -> str:
    """One line for an error of the operating system, with the file and, where there is a usual one, what to do."""
    remedies = {
        errno.ENOSPC: "free some space or choose another folder; what was written before is whole",
        errno.EDQUOT: "your disk quota is used up: free some space; what was written before is whole",
        errno.EACCES: "check the permissions or choose another folder",
        errno.ENAMETOOLONG: "expected a name of 255 bytes or less, and 4095 with its folders: choose a shorter one",
        errno.ENOENT: "check the path",
        errno.EADDRINUSE: "the port is taken: choose another with --port",
    }
    where = f" ({error.filename})" if error.filename and with_name else ""
    remedy = remedies.get(error.errno)
    return f"{error.strerror or error}{where}" + (f": {remedy}" if remedy else "")


_OUT_OF_MEMORY = re.compile("out of memory|insufficient memory|bad_alloc|cannot allocate memory", re.IGNORECASE)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error of Python, OpenCV or Paddle means too little memory."""
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
        return True
    return type(error).__name__ in ("error", "RuntimeError") and _OUT_OF_MEMORY.search(str(error)) is not None


def run_cleanly(main: Callable[[], None]) -> None:
    """Call ``main``; user mistakes and errors of the operating system become one line on stderr.

    Exit status: 2 for an ``InputError``, 1 for an error of the operating system or too little memory, 130 for Ctrl-C,
    128 + number for another signal; as for SIGPIPE where the reader of the output went away (``| head``).
    """
    _write_any_name()
    try:
        with _ended_by_signals():
            main()
            sys.stdout.flush()
    except (Exception, KeyboardInterrupt, Terminated) as error:
        if (known := _status_and_line(error)) is None:
            raise
        status, line = known
        with contextlib.suppress(BrokenPipeError):
            print(one_line(line), end="\n" if line else "", file=sys.stderr, flush=True)
        sys.exit(status)
    finally:
        _drop_unread_output()


LITTLE_MEMORY = (
    "expected more memory than the system could give: close other programs, or take smaller pictures, batches or "
    "networks"
)


def _status_and_line(error: BaseException) -> tuple[int, str] | None:
    """The exit status for an error, and what is said of it; None for a bug."""
    if isinstance(error, InputError):
        return 2, f"error: {error}"
    if isinstance(error, KeyboardInterrupt):
        return 130, "interrupted"
    if isinstance(error, Terminated):
        return 128 + error.signum, str(error)
    if isinstance(error, BrokenPipeError):
        return 128 + signal.SIGPIPE, ""
    if is_out_of_memory(error):
        return 1, f"error: {LITTLE_MEMORY}"
    if isinstance(error, OSError):
        return 1, f"error: {describe_os_error(error)}"
    return None


class Steady:
    """A text stream that is written to while it can be: after a closed terminal or ``| head`` the rest is dropped."""

    def __init__(self, stream: TextIO):
        self._stream = stream

    def write(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except OSError:
            _redirect_to_null(self._stream)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


def _redirect_to_null(stream: TextIO) -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _drop_unread_output() -> None:
    """Drop output that cannot be written any more (no reader, disk full): Python would report it at exit."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            _redirect_to_null(stream)


def _write_any_name() -> None:
    """Write names that the terminal cannot show with escapes, so that they raise no error."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


@contextlib.contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Within the block SIGTERM and SIGHUP raise ``Terminated``, unless they are handled or ignored already (nohup)."""
    signals = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    ours = [signum for signum in signals if signal.getsignal(signum) is signal.SIG_DFL]

    def end(signum: int, _frame) -> None:
        signal.signal(signum, signal.SIG_IGN)  # a second one must not interrupt the clean-up
        raise Terminated(signum)

    for signum in ours:
        signal.signal(signum, end)
    try:
        yield
    finally:
        for signum in ours:
            signal.signal(signum, signal.SIG_DFL)
