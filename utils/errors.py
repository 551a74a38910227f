"""Mistakes of the user's, told in one line.

Everything that a user can get wrong (a path, a picture, an option, a weights file) is raised as ``InputError`` where
it is noticed, with what was expected, what came instead and what to do. The scripts call ``run_cleanly(main)``, which
prints that line and leaves with a status other than zero; so it does with what the system refuses (files, memory) and
with signals that end the process. A bug is anything else, and keeps its traceback.
"""

import contextlib
import errno
import os
import re
import select
import signal
import sys
from collections.abc import Callable, Iterator
from typing import TextIO

# What moves a terminal's cursor, recolours it or turns the reading direction: C0, C1, line separators, bidirectional.
_LONG_WORD = re.compile(r"(\S{300})\S{100,}(\S{200})")  # as no path that people have, and no terminal shows whole
_CONTROLS = re.compile("[\\x00-\\x1f\\x7f-\\x9f\\u2028\\u2029\\u202a-\\u202e\\u2066-\\u2069]")


class InputError(ValueError):
    """A mistake of the user's; the message is one line: expected, got, remedy."""


class Terminated(BaseException):
    """The process was asked to end by a signal: what is being written is cleaned up on the way out."""

    def __init__(self, signum: int):
        super().__init__(f"ended by {signal.Signals(signum).name}")
        self.signum = signum


@contextlib.contextmanager
def naming(option: str) -> Iterator[None]:
    """What is wrong with an option's files, or with their names, is told with the option's name.

    Example:
        >>> with naming("--input"):
        ...     raise InputError("no such file")
        Traceback (most recent call last):
        errors.InputError: --input: no such file
    """
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
    """The text on one line, control characters as spaces, at most ``limit`` characters of it: fit for a terminal.

    Of a word of 600 characters or more the middle is left out.

    Example:
        >>> one_line("two\\nlines, \\x1b[31mred", limit=16)
        'two lines, [31m…'
    """
    line = _LONG_WORD.sub(r"\1…\2", " ".join(_CONTROLS.sub(" ", str(text)).split()))
    return line if limit is None or len(line) <= limit else line[: limit - 1] + "…"


def describe_os_error(error: OSError, with_name: bool = True) -> str:
    """One line for what the operating system refused, with the file and, where there is a usual one, the remedy."""
    remedies = {
        errno.ENOSPC: "free some space or choose another folder; what was written before is whole",
        errno.EDQUOT: "your disk quota is used up: free some space; what was written before is whole",
        errno.EACCES: "check the permissions or choose another folder",
        errno.EROFS: "the file system is read-only: choose another folder",
        errno.ENAMETOOLONG: "expected a name of 255 bytes or less, and 4095 with its folders: choose a shorter one",
        errno.ELOOP: "expected a file or a folder, got a link that leads to itself: check the path",
        errno.ENOTDIR: "expected a folder, got a file on the way there: check the path",
        errno.ENOENT: "check the path",
        errno.EADDRINUSE: "the port is taken: choose another with --port",
    }
    where = f" ({error.filename})" if error.filename and with_name else ""
    remedy = remedies.get(error.errno)
    return f"{error.strerror or error}{where}" + (f": {remedy}" if remedy else "")


_OUT_OF_MEMORY = re.compile("out of memory|insufficient memory|bad_alloc|cannot allocate memory", re.IGNORECASE)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether there was too little memory: Python's own error, OpenCV's, or one of Paddle's.

    Example:
        >>> is_out_of_memory(MemoryError()), is_out_of_memory(ValueError("shapes"))
        (True, False)
    """
    if isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno == errno.ENOMEM):
        return True
    return type(error).__name__ in ("error", "RuntimeError") and _OUT_OF_MEMORY.search(str(error)) is not None


def run_cleanly(main: Callable[[], None]) -> None:
    """Call ``main`` and turn a mistake of the user's, or what the system refuses, into one line on stderr.

    Exit status: 2 for an ``InputError``, 1 for an error of the operating system or too little memory, 130 for Ctrl-C,
    128 + number for another signal, and for a reader of the output that went away (as in ``| head``) as for SIGPIPE.
    """
    _write_any_name()
    try:
        with _ended_by_signals():
            main()
            sys.stdout.flush()
    except SystemExit:
        _drop_what_nobody_reads()
        raise
    except InputError as error:
        sys.exit(_tell(f"error: {error}", status=2))
    except KeyboardInterrupt:
        sys.exit(_tell("interrupted", status=130))
    except Terminated as ended:
        sys.exit(_tell(str(ended), status=128 + ended.signum))
    except Exception as error:
        if is_out_of_memory(error):
            sys.exit(_tell(f"error: {LITTLE_MEMORY}", status=1))
        if not isinstance(error, OSError):
            raise
        if isinstance(error, BrokenPipeError) and _drop_what_nobody_reads():
            sys.exit(128 + signal.SIGPIPE)
        sys.exit(_tell(f"error: {describe_os_error(error)}", status=1))


LITTLE_MEMORY = (
    "expected more memory than the system could give: close other programs, or take smaller pictures, batches or "
    "networks"
)


def _tell(line: str, status: int) -> int:
    with contextlib.suppress(BrokenPipeError):
        print(one_line(line), file=sys.stderr, flush=True)
    _drop_what_nobody_reads()
    return status


def _drop_what_nobody_reads() -> bool:
    """Whether the output's reader, or the messages', went away: Python would complain of it at its end."""
    gone = [stream for stream in (sys.stdout, sys.stderr) if _is_unread(stream)]
    for stream in gone:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    return bool(gone)


def _is_unread(stream: TextIO) -> bool:
    try:
        stream.flush()
        poll = select.poll()
        poll.register(stream.fileno(), 0)
    except BrokenPipeError:
        return True
    except (OSError, ValueError, AttributeError):  # no file's stream, or no such call in this system
        return False
    return bool(poll.poll(0))  # a pipe without a reader tells so unasked


def _write_any_name() -> None:
    """A file's name that the terminal has no letters for is written with escapes; it ends no work."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


@contextlib.contextmanager
def _ended_by_signals() -> Iterator[None]:
    """While it lasts SIGTERM and SIGHUP raise ``Terminated``, unless someone else has taken them (nohup, a test)."""
    signals = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    ours = [signum for signum in signals if signal.getsignal(signum) is signal.SIG_DFL]

    def end(signum: int, _frame) -> None:
        signal.signal(signum, signal.SIG_IGN)  # a second one does not disturb the cleaning up
        raise Terminated(signum)

    for signum in ours:
        signal.signal(signum, end)
    try:
        yield
    finally:
        for signum in ours:
            signal.signal(signum, signal.SIG_DFL)
