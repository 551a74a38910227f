"""Printing that survives its reader: a training goes on when its terminal is closed or its pipe ends (``| head``)."""

import contextlib
import errno
import os
import sys
from collections.abc import Callable, Iterator
from typing import Any, TextIO

_GONE = (errno.EPIPE, errno.EIO, errno.ENXIO)  # nobody reads from the pipe; the terminal was closed


class SteadyStream:
    """A text stream that drops what is written once nobody reads it, instead of raising."""

    def __init__(self, stream: TextIO):
        self._stream = stream

    def write(self, text: str) -> int:
        self._attempt(self._stream.write, text)
        return len(text)

    def flush(self) -> None:
        self._attempt(self._stream.flush)

    def _attempt(self, do: Callable, *arguments: Any) -> None:
        try:
            do(*arguments)
        except OSError as error:
            if error.errno not in _GONE:
                raise
            self._redirect_to_null()

    def _redirect_to_null(self) -> None:
        """Drop what is still in the buffer, and what others write to the same file descriptor."""
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._stream.fileno())
        os.close(nowhere)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


@contextlib.contextmanager
def steady_console() -> Iterator[None]:
    """Inside the block, print and progress bars do not fail when the terminal is gone."""
    out, err = SteadyStream(sys.stdout), SteadyStream(sys.stderr)
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            yield
        finally:
            out.flush()
            err.flush()
