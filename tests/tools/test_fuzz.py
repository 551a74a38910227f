"""The fuzz finds what is planted, and draws the same files each time; in earnest, it finds nothing in the readers."""

import contextlib
import subprocess
import sys
from pathlib import Path

import pytest

from tools.fuzz.__main__ import main
from tools.fuzz.readers import KINDS
from tools.fuzz.search import drawn
from utils.errors import InputError

ROOT = Path(__file__).resolve().parents[2]

# In a process of its own, since it forks, which one with Paddle's threads had better not do.
PLANTED = """
import os, sys, time
from utils.errors import InputError
from tools.fuzz import search
from tools.fuzz.readers import Kind

def refuse(path):
    raise InputError("no")

def run_away(path):
    until = time.process_time() + 0.6
    while time.process_time() < until: pass

readers = {
    "takes": lambda path: path.read_bytes(),
    "refuses": refuse,
    "raises": lambda path: {}["a"],
    "leaves": lambda path: sys.exit(0),
    "dies": lambda path: os.abort(),
    "hangs": lambda path: time.sleep(600),
    "runs away": run_away,
    "grows": lambda path: bytearray(99 << 20),
}
search.MEMORY, search.SECONDS = 64 << 20, 0.5
hanging = {"hangs": readers.pop("hangs")}
for search.STUCK, some in ((600, readers), (1, hanging)):
    kinds = {name: Kind("a", read, None) for name, read in some.items()}
    for outcome in search.search(kinds, {name: [b"seed"] for name in kinds}, 0, 0, lambda number: number == len(kinds)):
        print(outcome.kind, outcome.taken, outcome.problem, sep="|")
"""


def test_whatever_is_no_answer_is_found():
    done = subprocess.run([sys.executable, "-c", PLANTED], cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    rows = [line.split("|") for line in done.stdout.splitlines()]
    expected = {
        "takes": ("True", "None"),
        "refuses": ("False", "None"),
        "raises": ("False", "KeyError at"),
        "leaves": ("False", "SystemExit at"),
        "dies": ("False", "died of SIGABRT"),
        "hangs": ("False", "nothing heard of it"),
        "runs away": ("True", "of processor time"),
        "grows": ("True", "MiB"),
    }
    assert {kind for kind, *_ in rows} == set(expected)
    for kind, taken, problem in rows:
        assert taken == expected[kind][0] and expected[kind][1] in problem, (kind, problem)


def test_a_mutant_is_a_function_of_seed_and_number():
    kinds = {name: KINDS[name] for name in ("mask", "pickle", "npz", "preset", "manifest")}
    seeds = {name: kind.seeds() for name, kind in kinds.items()}
    files = [drawn(number, 3, kinds, seeds) for number in range(200)]
    assert [drawn(number, 3, kinds, seeds) for number in range(200)] == files
    assert [drawn(number, 4, kinds, seeds) for number in range(200)] != files
    assert len({content for *_, content in files}) > 180
    assert {kind for kind, *_ in files} == set(kinds)


def test_sound_files_are_taken(tmp_path):
    """Some of each kind: a reader that refused them all would be fuzzed no further."""
    for name, kind in KINDS.items():
        taken = 0
        for number, content in enumerate(kind.seeds()):
            path = tmp_path / f"{name}_{number}" / kind.name
            path.parent.mkdir()
            path.write_bytes(content)
            with contextlib.suppress(InputError):
                kind.read(path)
                taken += 1
        assert taken, name


def test_other_kinds_are_refused(capsys):
    with pytest.raises(SystemExit, match="2"):
        main(["--kinds", "films"])
    assert "argument --kinds" in capsys.readouterr().err


@pytest.mark.heavy
def test_readers_take_or_refuse_what_was_changed_at_random(tmp_path):
    """About a minute of processor time; python -m tools.fuzz --minutes 60 --seed 1 looks further."""
    command = [sys.executable, "-m", "tools.fuzz", "--count", "30000", "--output", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr[-2000:]
