"""The scripts' way of telling mistakes."""

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from utils.errors import InputError, Terminated, run_cleanly

ROOT = Path(__file__).resolve().parent.parent.parent


def raising(error):
    def main():
        raise error

    return main


def opencv_without_memory():
    cv2.copyMakeBorder(np.zeros([1, 1], np.uint8), 0, 2**31 - 2, 0, 2**31 - 2, cv2.BORDER_CONSTANT)


@pytest.mark.parametrize(
    ("main", "status", "words"),
    [
        (raising(InputError("expected\na, got b")), 2, "error: expected a, got b"),
        (raising(FileNotFoundError(errno.ENOENT, "No such file", "a.txt")), 1, "error: No such file (a.txt)"),
        (raising(MemoryError()), 1, "error: expected more memory"),
        (
            raising(RuntimeError("ResourceExhaustedError:\n\nOut of memory error on CPU")),
            1,
            "error: expected more memory",
        ),
        (opencv_without_memory, 1, "error: expected more memory"),
        (lambda: np.empty([2**20, 2**23]), 1, "error: expected more memory"),
        (raising(KeyboardInterrupt()), 130, "interrupted"),
        (raising(Terminated(signal.SIGTERM)), 143, "ended by SIGTERM"),
        (raising(ChildProcessError("a worker was killed")), 1, "error: a worker was killed"),
    ],
)
def test_what_the_user_or_the_system_did_is_one_line_with_a_status(main, status, words, capsys):
    with pytest.raises(SystemExit) as caught:
        run_cleanly(main)
    err = capsys.readouterr().err
    assert caught.value.code == status and err.startswith(words) and err.count("\n") == 1


@pytest.mark.parametrize("error", [RuntimeError("shapes differ"), ValueError("x"), TypeError("y")])
def test_a_bug_keeps_its_traceback(error):
    with pytest.raises(type(error), match=str(error)):
        run_cleanly(raising(error))


def test_signals_that_someone_else_has_taken_stay_theirs():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        run_cleanly(lambda: os.kill(os.getpid(), signal.SIGHUP))
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


MAIN = """
import os, sys
from utils.errors import InputError, run_cleanly
def main():
    print("x" * {length})
    {end}
run_cleanly(main)
"""


@pytest.mark.parametrize(
    ("length", "end", "status", "told"),
    [
        (100_000, "", 128 + signal.SIGPIPE, b""),
        (10, "sys.exit(1)", 1, b""),
        (10, "raise InputError('expected a, got b')", 2, b"error: expected a, got b\n"),
    ],
)
def test_a_reader_of_the_output_that_goes_away_ends_it_quietly(length, end, status, told):
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-c", MAIN.format(length=length, end=end)]
    buffered = {**os.environ, "PYTHONUNBUFFERED": ""}
    done = subprocess.run(command, cwd=ROOT, env=buffered, stdout=writing, stderr=subprocess.PIPE)
    assert (done.returncode, done.stderr) == (status, told)
    both = subprocess.run(command, cwd=ROOT, env=buffered, stdout=writing, stderr=writing)
    assert both.returncode == status
    os.close(writing)
