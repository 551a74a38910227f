"""The benchmark measures what it says, in turn."""

import pytest

from tools import benchmark

TINY = "--base_channels 4 --depth 2 --sizes 32 --repeats 1 --threads 1 --device cpu"


def test_contenders_are_asked_in_turn_and_the_first_turns_do_not_count(monkeypatch):
    asked = []
    monkeypatch.setattr(benchmark, "_seconds", lambda call: call() or float(len(asked) // 10))
    turns = {name: lambda name=name: asked.extend(name * 2) for name in "ab"}  # 10 for each turn of one
    assert benchmark.race(turns, repeats=3) == {"a": 6.0, "b": 7.0} and "".join(asked) == ("a" * 10 + "b" * 10) * 5


@pytest.mark.heavy
@pytest.mark.parametrize("what", ["network", "deepfill", "train"])
def test_a_tiny_run_prints_its_figures(what, capsys):
    benchmark.main([what, *TINY.split()])
    head, _, *rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("|")]
    found = [dict(zip(head.strip("| ").split(" | "), row.strip("| ").split(" | "), strict=False)) for row in rows]
    assert len(found) == len(benchmark.CONTENDERS[what])
    assert all(float(row["ms"]) > 0 and float(row["ratio"]) > 0 for row in found)
