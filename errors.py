"""Mistakes of the user's, told in one line.

Everything that a user can get wrong (a path, a picture, an option, a weights file) is raised as ``InputError`` where
it is noticed, with what was expected, what came instead and what to do. The scripts call ``run_cleanly(main)``, which
prints that line and leaves with a status other than zero. A bug is anything else, and keeps its traceback.
"""

import errno
import re
import sys
from collections.abc import Callable

# What moves a terminal's cursor, recolours it or turns the reading direction: C0, C1, line separators, bidirectional.
_CONTROLS = re.compile("[\\x00-\\x1f\\x7f-\\x9f\\u2028\\u2029\\u202a-\\u202e\\u2066-\\u2069]")


class InputError(ValueError):
    """A mistake of the user's; the message is one line: expected, got, remedy."""


def one_line(text: object, limit: int | None = None) -> str:
    """The text on one line, control characters as spaces, at most ``limit`` characters of it: fit for a terminal.

    Example:
        >>> one_line("two\\nlines, \\x1b[31mred", limit=16)
        'two lines, [31m…'
    """
    line = " ".join(_CONTROLS.sub(" ", str(text)).split())
    return line if limit is None or len(line) <= limit else line[: limit - 1] + "…"


def describe_os_error(error: OSError) -> str:
    """One line for what the operating system refused, with the remedy where there is a usual one."""
    remedies = {
        errno.ENOSPC: "free some space or choose another folder; what was written before is whole",
        errno.EDQUOT: "your disk quota is used up: free some space; what was written before is whole",
        errno.EACCES: "check the permissions or choose another folder",
        errno.EROFS: "the file system is read-only: choose another folder",
        errno.EADDRINUSE: "the port is taken: choose another with --port",
    }
    where = f" ({error.filename})" if error.filename else ""
    remedy = remedies.get(error.errno)
    return f"{error.strerror or error}{where}" + (f": {remedy}" if remedy else "")


def run_cleanly(main: Callable[[], None]) -> None:
    """Call ``main`` and turn a mistake of the user's into one line on stderr.

    Exit status: 2 for an ``InputError``, 1 for an error of the operating system, 130 for Ctrl-C.
    """
    try:
        main()
    except InputError as error:
        sys.exit(_tell(f"error: {error}", status=2))
    except OSError as error:
        sys.exit(_tell(f"error: {describe_os_error(error)}", status=1))
    except KeyboardInterrupt:
        sys.exit(_tell("interrupted", status=130))


def _tell(line: str, status: int) -> int:
    print(one_line(line), file=sys.stderr)
    return status
