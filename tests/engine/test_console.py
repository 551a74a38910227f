"""A terminal that goes away while something is still being written to it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TALKATIVE = """
import sys
from tqdm import tqdm
from engine.console import steady_console
with steady_console():
    for i in tqdm(range(3), mininterval=0):
        print("x" * 100_000)
        print("y", file=sys.stderr)
    print("held back")
print("afterwards")
open(sys.argv[1], "w").write("done")
"""


def run(tmp_path, out, err):
    command, buffered = [sys.executable, "-c", TALKATIVE, tmp_path / "end"], {**os.environ, "PYTHONUNBUFFERED": ""}
    done = subprocess.run(command, cwd=ROOT, env=buffered, stdout=out, stderr=err)
    return done.returncode, (tmp_path / "end").exists(), done.stderr


def unread_pipe():
    reading, writing = os.pipe()
    os.close(reading)
    return writing


def closed_terminal():
    terminal, program = os.openpty()
    os.close(terminal)
    return program


@pytest.mark.parametrize("stream", [unread_pipe, closed_terminal])
def test_what_nobody_reads_is_dropped_and_the_work_goes_on(tmp_path, stream):
    gone = stream()
    assert run(tmp_path, gone, gone)[:2] == (0, True)
    status, ended, err = run(tmp_path, gone, subprocess.PIPE)
    assert (status, ended) == (0, True) and b"Broken" not in err and b"Traceback" not in err and err.count(b"y") == 3
    os.close(gone)


def test_a_full_disk_is_another_matter(tmp_path):
    with open("/dev/full", "w") as full:
        status, ended, err = run(tmp_path, full, subprocess.PIPE)
    assert status != 0 and not ended and b"No space left" in err
