"""The benchmark measures what it says, in turn, and tells what it could not measure."""

import multiprocessing

import pytest

from models import build_model
from tools import benchmark
from tools.benchmark import Contender, Work, multiply_adds


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


TINY = "--base_channels 4 --depth 2 --sizes 32 --repeats 1 --threads 1 --device cpu"


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("what", "contender", "ratio"),
    [
        ("network", "exported pconv_unet", "to the floor"),
        ("deepfill", "exported deepfill_v1", "to the last"),
        ("train", "pconv_unet", "to conv_unet"),
    ],
)
def test_a_tiny_run_prints_its_figures(what, contender, ratio, capsys, monkeypatch):
    monkeypatch.setattr(benchmark, "MATRIX", 128)
    monkeypatch.setattr(benchmark, "torch_is_there", lambda: False)
    benchmark.main([what, *TINY.split()])
    head, _, first = [line for line in capsys.readouterr().out.splitlines() if line.startswith("|")][:3]
    row = dict(zip(head.split(" | "), first.strip("| ").split(" | "), strict=True))
    assert first.startswith(f"| {contender} |") and float(row["ms"]) > 0 and float(row["peak MiB"]) > 0
    assert ratio in head


def test_a_contender_that_fails_says_why_and_the_others_go_on(capsys):
    shared = {"device": "cpu", "threads": 1}
    works = {
        "sound": Work("product_dygraph", size=64, **shared),
        "broken": Work("forward_dygraph", base_channels=0, **shared),
    }
    times, peaks = benchmark.race(works, repeats=2)
    assert list(times) == list(peaks) == ["sound"] and len(times["sound"]) == 2
    assert "broken is left out: ValueError: base_channels: expected 1 or more, got 0\n" in capsys.readouterr().out


def test_a_contender_that_is_killed_is_told_as_such():
    contender = Contender(Work("product_dygraph", size=64, device="cpu", threads=1))
    [process] = multiprocessing.active_children()
    process.kill()
    with pytest.raises(RuntimeError, match="ended with status -9: out of memory"):
        contender.turn()
