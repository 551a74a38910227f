"""Numbers and their bounds. Paddle imported: its remarks are dropped, what is logged later is not; memory is kept."""

import argparse
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from options import parse_train
from options.export import export_parser
from options.shared import integer, number
from utils.errors import InputError

ROOT = Path(__file__).resolve().parents[2]
CHILD = """
import logging
import resource
from options import setup_device
setup_device("cpu", threads=2)
logging.getLogger("paddle_pconv").warning("of ours")
logging.getLogger("paddle_pconv").info("not asked for")
logging.getLogger("paddle.base.backward").warning("of Paddle's")
import numpy as np
for _ in range(2):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    np.ones(100 << 20, np.uint8)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.fixture(scope="module")
def done():
    return subprocess.run([sys.executable, "-c", CHILD], cwd=ROOT, capture_output=True, text=True)


def test_what_is_logged_after_paddle_came_is_told_once(done):
    lines = done.stderr.splitlines()
    assert done.returncode == 0 and [line for line in lines if "of ours" in line] == ["of ours"]
    assert len(lines) == 2 and "of Paddle's" in lines[1], done.stderr


@pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc" or tuple(map(int, platform.libc_ver()[1].split("."))) < (2, 35),
    reason="memory is kept with glibc 2.35 or later",
)
def test_the_pages_of_a_large_array_are_there_for_the_next(done):
    first, second = map(int, done.stdout.split())
    assert second < first / 4


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        (integer(1, 64), ["1", "64"], ["0", "65", "-1", "1.5", "x", "", "9" * 5000]),
        (number(0, 1, open_below=True), ["1", "1e-9"], ["0", "1.1", "nan", "inf", "x"]),
        (number(0, 1e6), ["0", "1000000"], ["-1", "nan", "inf"]),
    ],
)
def test_numbers_have_bounds(kind, good, bad):
    assert [kind(text) for text in good] == list(map(float, good))
    for text in bad:
        with pytest.raises(argparse.ArgumentTypeError, match="expected a"):
            kind(text)


def test_a_number_out_of_bounds_is_one_line(capsys):
    with pytest.raises(SystemExit, match="2"):
        export_parser().parse_args(["--threads", "9999"])
    error = capsys.readouterr().err
    assert "argument --threads: expected a whole number from 1 to 1024, got '9999'" in error and error.count("\n") == 1


def test_a_preset_is_held_to_the_same_bounds(tmp_path):
    (tmp_path / "a.yaml").write_text("lr: 1\nbatch_size: 1000000")
    with pytest.raises(InputError, match=r"a.yaml, batch_size: argument --batch_size: expected a whole number from 1"):
        parse_train(["--config", str(tmp_path / "a.yaml")])


def test_an_empty_value_as_of_an_unset_variable_is_refused(capsys):
    with pytest.raises(SystemExit, match="2"):
        export_parser().parse_args(["--weights", ""])
    assert "argument --weights: expected a value" in capsys.readouterr().err
