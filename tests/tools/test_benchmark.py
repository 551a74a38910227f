"""The benchmark measures what it says, in turn."""

import pytest

from tools import benchmark

TINY = "--base_channels 4 --depth 2 --sizes 32 --repeats 1 --threads 1 --device cpu"


def test_contenders_are_asked_in_turn_and_the_first_turns_do_not_count(monkeypatch):
    monkeypatch.setattr(benchmark, "PAUSE", 0)
    asked = []
    turns = {name: lambda name=name: asked.append(name) or float(len(asked)) for name in "ab"}
    assert benchmark.race(turns, repeats=3) == {"a": 7.0, "b": 8.0} and asked == list("ababababab")


@pytest.mark.heavy
@pytest.mark.parametrize("what", ["network", "deepfill", "train"])
def test_a_tiny_run_prints_its_figures(what, capsys):
    benchmark.main([what, *TINY.split()])
    head, _, *rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    found = [dict(zip(head.strip("| ").split(" | "), row.strip("| ").split(" | "), strict=False)) for row in rows]
    assert len(found) == len(benchmark.CONTENDERS[what])
    assert all(float(row["ms"]) > 0 and float(row["ratio"]) > 0 for row in found)
