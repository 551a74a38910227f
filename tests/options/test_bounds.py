"""Numbers on the command line: each has its bounds, whichever command it is of."""

import argparse
import contextlib

import pytest

from options import bounds, fill_parser, parse_train
from tests.hostile.table import PARSERS
from utils.errors import InputError


def takes_numbers(action):
    """Whether the option turns text into a number, or into several."""
    with contextlib.suppress(argparse.ArgumentTypeError, ValueError, TypeError):
        value = action.type("1")
        return type(value[0] if isinstance(value, tuple) else value) in (int, float)
    with contextlib.suppress(argparse.ArgumentTypeError, ValueError, TypeError):
        return isinstance(action.type("0.5"), float)
    return False


@pytest.mark.parametrize("command", PARSERS)
def test_every_number_has_bounds_and_its_default_lies_within(command):
    for action in PARSERS[command]()._actions:
        if takes_numbers(action):
            assert action.dest in bounds.BOUNDS, f"{action.dest}: give it bounds in options/bounds.py"
            assert bounds.beyond(action.dest, action.default) is None


def test_a_number_beyond_them_is_told_with_the_reason(capsys):
    with pytest.raises(SystemExit, match="2"):
        fill_parser().parse_args(["--threads", "9999"])
    assert "argument --threads: expected 1 to 1024 (no machine has as many cores), got 9999" in capsys.readouterr().err


def test_a_preset_is_held_to_them_too(tmp_path):
    (tmp_path / "a.yaml").write_text("lr: 1\nbatch_size: 1000000")
    with pytest.raises(InputError, match=r"a.yaml, line 2: argument --batch_size: expected 1 to 4096"):
        parse_train(["--config", str(tmp_path / "a.yaml")])


@pytest.mark.parametrize("text", ["", "  ", "a\0b"])
def test_a_text_that_can_be_no_name_is_refused(text, capsys):
    with pytest.raises(SystemExit, match="2"):
        fill_parser().parse_args(["--input", text])
    assert "argument --input: expected a " in capsys.readouterr().err
