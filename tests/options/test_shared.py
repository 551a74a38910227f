"""Numbers and their bounds. Paddle imported: its remarks are dropped, what is logged later is not; memory is kept."""

import argparse
import subprocess
import sys
from pathlib import Path

import pytest

from options.export import export_parser
from options.shared import integer, number

ROOT = Path(__file__).resolve().parents[2]
CHILD = """
import logging
from options import setup_device
setup_device("cpu", threads=2)
logging.getLogger("paddle_pconv").warning("of ours")
logging.getLogger("paddle_pconv").info("not asked for")
logging.getLogger("paddle.base.backward").warning("of Paddle's")
"""


@pytest.fixture(scope="module")
def done():
    return subprocess.run([sys.executable, "-c", CHILD], cwd=ROOT, capture_output=True, text=True)


def test_what_is_logged_after_paddle_came_is_told_once(done):
    lines = done.stderr.splitlines()
    assert done.returncode == 0 and [line for line in lines if "of ours" in line] == ["of ours"]
    assert len(lines) == 2 and "of Paddle's" in lines[1], done.stderr


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


def test_an_empty_value_as_of_an_unset_variable_is_refused(capsys):
    with pytest.raises(SystemExit, match="2"):
        export_parser().parse_args(["--weights", ""])
    assert "argument --weights: expected a value" in capsys.readouterr().err
