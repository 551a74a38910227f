"""What is kept of an evaluation that was stopped."""

import math
import os
from dataclasses import replace

import numpy as np
import pytest

from metrics.buckets import Sample
from metrics.manifest import Pair
from metrics.partial import NAME, PartialSamples, stamp_of
from metrics.realism import FeatureSums

EVALUATION = {"method": "telea", "size": None, "versions": {"numpy": "1"}}
SAMPLES = [
    Sample("a.png", "m.png", "0.1-0.2", "N", 0.1 + 0.2, 1 / 3, math.inf, 1.0),
    Sample("caf\u00e9 \udce9.png", "n.png", None, "B", 1e-17, 2.5, 30.123456789012345, 0.1),
    Sample("b.png", "m.png", "0.1-0.2", "N", 0.15, 1.0, 20.0, 0.5),
]
PAIRS = [Pair(sample.image, sample.mask) for sample in SAMPLES]


def stop(folder, samples=SAMPLES):
    """An evaluation that was stopped after these."""
    with pytest.raises(KeyboardInterrupt), PartialSamples(folder, EVALUATION) as partial:
        for sample in samples:
            partial.add(sample)
        raise KeyboardInterrupt


def known(folder, evaluation=EVALUATION):
    return PartialSamples(folder, evaluation).known


def test_every_figure_comes_back_bit_for_bit(tmp_path):
    stop(tmp_path / "new")
    assert known(tmp_path / "new") == dict(zip(PAIRS, SAMPLES, strict=True))
    assert known(tmp_path / "new", {**EVALUATION, "size": 8}) == {}


def test_what_the_distance_of_the_set_needs_comes_back(tmp_path):
    fill, truth = np.random.default_rng(0).normal([[[0.0]], [[1.0]]], 1, [2, 4, 50])
    features = FeatureSums.of(fill, truth)
    stop(tmp_path, [replace(SAMPLES[2], style=0.5, sharpness=1.0, features=features)])
    assert known(tmp_path)[PAIRS[2]].features.frechet(1) == features.frechet(1) > 0


def test_a_line_cut_off_anywhere_costs_that_line_and_no_more(tmp_path):
    stop(tmp_path)
    whole = (tmp_path / NAME).read_bytes()
    lines = whole.splitlines(keepends=True)
    for length in range(0, len(whole), 7):
        (tmp_path / NAME).write_bytes(whole[:length])
        finished = sum(length >= sum(map(len, lines[: i + 1])) - 1 for i in range(1, 4))  # the end of line may be cut
        assert list(known(tmp_path)) == PAIRS[:finished], length
    (tmp_path / NAME).write_bytes(whole[:-9])
    stop(tmp_path, SAMPLES[2:])
    assert list(known(tmp_path)) == PAIRS


def test_a_changed_file_changes_the_stamp(tmp_path):
    (tmp_path / "a.png").write_bytes(b"1")
    first = stamp_of([tmp_path / "a.png"])
    assert stamp_of([tmp_path / "a.png"]) == first
    os.utime(tmp_path / "a.png", ns=(0, 1))
    assert stamp_of([tmp_path / "a.png"]) != first
