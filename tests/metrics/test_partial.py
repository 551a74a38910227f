"""What is kept of an evaluation that was stopped."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from metrics.buckets import Sample
from metrics.manifest import Pair
from metrics.partial import NAME, PartialSamples
from metrics.realism import FeatureSums

EVALUATION = {"method": "telea", "size": None, "versions": {"numpy": "1"}}
SAMPLES = [
    Sample("a.png", "m.png", "0.1-0.2", "N", 0.1 + 0.2, 1 / 3, math.inf, 1.0),
    Sample("caf\u00e9 \udce9.png", "n.png", None, "B", 1e-17, 2.5, 30.123456789012345, 0.1),
    Sample("b.png", "m.png", "0.1-0.2", "N", 0.15, 1.0, 20.0, 0.5),
]
PAIRS = [Pair(sample.image, sample.mask) for sample in SAMPLES]


def stamp(pair):
    return [[len(pair.image), 7]]


def stop(folder, samples=SAMPLES, evaluation=EVALUATION):
    """An evaluation that was stopped after these."""
    with pytest.raises(KeyboardInterrupt), PartialSamples(folder, evaluation, stamp) as partial:
        for sample in samples:
            partial.add(sample)
        raise KeyboardInterrupt


def known(folder, evaluation=EVALUATION, stamp=stamp):
    return PartialSamples(folder, evaluation, stamp).known


def test_every_figure_comes_back_bit_for_bit(tmp_path):
    stop(tmp_path / "new")
    assert known(tmp_path / "new") == dict(zip(PAIRS, SAMPLES, strict=True))


def test_what_the_distance_of_the_set_needs_comes_back(tmp_path):
    fill, truth = np.random.default_rng(0).normal([[[0.0]], [[1.0]]], 1, [2, 4, 50])
    features = FeatureSums.of(fill, truth)
    stop(tmp_path, [replace(SAMPLES[2], style=0.5, sharpness=1.0, features=features)])
    assert known(tmp_path)[PAIRS[2]].features.frechet(1) == features.frechet(1) > 0


@pytest.mark.parametrize("line", ["[]", "[" * 100_000, "9" * 5000, "a" * (2 << 20)])
def test_behind_a_line_that_is_none_nothing_is_taken(tmp_path, line):
    stop(tmp_path, SAMPLES[:1])
    with open(tmp_path / NAME, "a") as file:
        file.write(line + "\n" + json.dumps(vars(SAMPLES[1]) | {"stamp": stamp(PAIRS[1])}) + "\n")
    assert list(known(tmp_path)) == PAIRS[:1]


def test_a_pair_whose_files_changed_is_not_taken(tmp_path):
    stop(tmp_path)
    assert list(known(tmp_path, stamp=lambda pair: stamp(pair) if pair.image == "b.png" else None)) == PAIRS[2:]


def test_a_line_cut_off_anywhere_costs_that_line_and_no_more(tmp_path):
    stop(tmp_path)
    whole = (tmp_path / NAME).read_bytes()
    lines = whole.splitlines(keepends=True)
    for length in range(0, len(whole), 7):
        (tmp_path / NAME).write_bytes(whole[:length])
        finished = sum(length >= sum(map(len, lines[: i + 1])) - 1 for i in range(1, 4))  # the end of line may be cut
        assert list(known(tmp_path)) == PAIRS[:finished], length
    (tmp_path / NAME).write_bytes(b"".join(lines[:2]) + b"\0" * 50 + lines[3])
    assert list(known(tmp_path)) == PAIRS[:1]
    stop(tmp_path, SAMPLES[1:2])
    assert [json.loads(line).get("image") for line in (tmp_path / NAME).read_text().splitlines()] == [
        None,
        *(pair.image for pair in PAIRS[:2]),
    ]
