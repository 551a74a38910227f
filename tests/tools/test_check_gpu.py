"""The check of a GPU, as far as a CPU can try it."""

import re

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


SUBJECTS = check_gpu.subjects()


@pytest.mark.parametrize("subject", SUBJECTS)
def test_every_subject_agrees_with_itself(subject):
    assert check_gpu.same_on_both(*SUBJECTS[subject], "cpu").startswith("ok")


def test_a_difference_fails(monkeypatch):
    real, calls = check_gpu.outputs_and_gradients, []

    def off_at_the_second(*given):
        calls.append(None)
        return [array * (1 + 0.01 * (len(calls) == 2)) for array in real(*given)]

    monkeypatch.setattr(check_gpu, "outputs_and_gradients", off_at_the_second)
    with pytest.raises(ValueError, match="differ by"):
        check_gpu.same_on_both(*SUBJECTS["PartialConv2D"], "cpu")


@pytest.mark.heavy
@pytest.mark.parametrize("words", [check_gpu.PAPER, "--critic patch --image_size 64"])
def test_a_training_run(words):
    assert re.fullmatch(r"ok, loss [\d.]+ to [\d.]+, [\d.]+ s a step, 0 skipped", check_gpu.train(words, "cpu"))
