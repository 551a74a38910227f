"""The benchmark measures what it says, in turn, and tells what it could not measure."""

import json

import pytest

from errors import InputError
from models import build_model
from tools import benchmark
from tools.contenders import Contender, Work, multiply_adds


def test_contenders_are_asked_in_turn_and_the_first_turns_do_not_count():
    asked = []
    turns = {name: lambda name=name: asked.append(name) or float(len(asked)) for name in "ab"}
    times = benchmark.in_turn(turns, repeats=2, warm_up=1)
    assert asked == list("ababab") and times == {"a": [3.0, 5.0], "b": [4.0, 6.0]}


def test_multiply_adds_are_those_counted_by_hand():
    model = build_model("pconv_unet", base_channels=2, depth=2)
    encoder = 7 * 7 * 3 * 2 * (4 * 4) + 5 * 5 * 2 * 4 * (2 * 2)
    decoder = (16 * 4 * 2 * (2 * 2) + 9 * 2 * 2 * (4 * 4)) + (16 * 2 * 3 * (4 * 4) + 9 * 3 * 3 * (8 * 8))
    assert multiply_adds(model, 8, 8) == encoder + decoder


def test_a_table_has_three_digits():
    assert benchmark.markdown([{"a": "x", "b": 1234.5}, {"a": "y", "b": 0.12345}]).splitlines() == [
        "| a | b |",
        "| --- | --- |",
        "| x | 1.23e+03 |",
        "| y | 0.123 |",
    ]


TINY = "--base_channels 4 --depth 2 --sizes 32 --repeats 1 --threads 1 --device cpu"


@pytest.mark.parametrize(
    ("what", "contenders", "ratio"),
    [
        ("network", "exported pconv_unet,the usual way", "to the floor"),
        ("train", "pconv_unet,conv_unet", "to conv_unet"),
    ],
)
def test_a_tiny_run_writes_its_figures(tmp_path, what, contenders, ratio, capsys):
    benchmark.main([what, *TINY.split(), "--contenders", contenders, "--json", str(tmp_path / "a.json")])
    rows = json.loads((tmp_path / "a.json").read_text())["rows"]
    assert [row["contender"] for row in rows][:2] == contenders.split(",")
    assert all(row["ms"] > 0 and row[ratio] > 0 for row in rows) and rows[0]["peak MiB"] > 0
    assert ratio in capsys.readouterr().out


def test_a_contender_that_fails_says_why():
    contender = Contender(Work("forward_dygraph", base_channels=0, device="cpu", threads=1))
    with pytest.raises(RuntimeError, match="base_channels: expected 1 or more"):
        contender.turn()


def test_an_unknown_contender_is_told():
    with pytest.raises(InputError, match="expected names among"):
        benchmark.main(["train", *TINY.split(), "--contenders", "magic"])
