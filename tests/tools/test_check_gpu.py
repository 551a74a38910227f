"""The check of a GPU, as far as a CPU can try it."""

import pytest

from tools import check_gpu
from utils.errors import InputError


def test_each_check_is_a_row_and_a_failure_does_not_end_it(monkeypatch, capsys):
    def broken():
        raise ValueError("two\nlines")

    monkeypatch.setattr(check_gpu, "checks", lambda options: {"first": broken, "second": lambda: "ok"})
    with pytest.raises(InputError, match="1 checks failed"):
        check_gpu.main(["--device", "cpu"])
    out = capsys.readouterr().out
    assert "| first | FAILED: ValueError: two lines |" in out and "| second | ok |" in out


@pytest.mark.parametrize("subject", check_gpu.SUBJECTS)
def test_every_subject_agrees_with_itself(subject):
    assert check_gpu.same_on_both(check_gpu.SUBJECTS[subject], "cpu").startswith("ok")


def test_a_difference_fails(monkeypatch):
    real, calls = check_gpu.outputs_and_gradients, []

    def off_at_the_second(*given):
        calls.append(None)
        return [array * (1 + 0.01 * (len(calls) == 2)) for array in real(*given)]

    monkeypatch.setattr(check_gpu, "outputs_and_gradients", off_at_the_second)
    with pytest.raises(ValueError, match="differ by"):
        check_gpu.same_on_both(check_gpu.partial_convolution, "cpu")


@pytest.mark.heavy
def test_a_step_and_a_training_run():
    options = check_gpu.build_parser().parse_args(["--device", "cpu"])
    assert check_gpu.step_time("float32", options).startswith("ok, ")
    assert check_gpu.train("--critic projected", options).startswith("ok, loss: ")
