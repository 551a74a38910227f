"""The pairs that a report shows: which, as what, and back from the file."""

import math
import random

import numpy as np
import pytest

from metrics.buckets import Sample
from metrics.pictures import Strip, choose, panels_of, read_strips, strips_png


def sample(image, psnr, bucket="0.1-0.2"):
    return Sample(image, "m.png", bucket, "N", 0.15, 1.0, psnr, 0.9)


def test_best_median_and_worst_whatever_the_order():
    pairs = [sample(f"{i}.png", psnr) for i, psnr in enumerate((20, math.inf, 30, 25, 21))]
    expected = [("best", "1.png"), ("median", "3.png"), ("worst", "0.png")]
    for seed in range(5):
        random.Random(seed).shuffle(pairs)
        assert [(rank, s.image) for rank, s in choose(pairs)] == expected


def test_panels_show_what_they_are_named_after():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 128, [12, 20, 3], dtype=np.uint8)
    hole = np.zeros([12, 20], bool)
    hole[3:6, 4:9] = True
    result = np.where(hole[..., None], truth + np.uint8(64), truth)
    panels = panels_of(truth, hole, result)
    assert list(panels) == ["input", "output", "truth", "error"]
    assert (panels["input"][hole] == 255).all() and np.array_equal(panels["input"][~hole], truth[~hole])
    assert np.array_equal(panels["output"], result) and np.array_equal(panels["truth"], truth)
    assert (panels["error"][~hole] == 0).all() and (panels["error"][hole] == 255).all()
    half = panels_of(truth, hole, np.where(hole[..., None], truth + np.uint8(16), truth))["error"][4, 5].astype(int)
    assert half[0] > half[2]  # red before it turns white


@pytest.fixture
def strips():
    rng = np.random.default_rng(1)

    def strip(i, bucket, rank, psnr, *shape):
        panels = {name: rng.integers(0, 256, [*shape, 3], dtype=np.uint8) for name in ("input", "output")}
        return Strip(f"sub/{i}ü\udcff.png", "m.png", bucket, rank, psnr, panels)

    return [
        strip(0, "0.01-0.1", "best", math.inf, 30, 50),
        strip(1, "0.01-0.1", "median", 30.25, 64, 20),
        strip(2, "0.01-0.1", "worst", 20.5, 9, 200),
        strip(3, "0.5-0.6", "only", 15.125, 40, 40),
    ]


def test_what_is_written_comes_back(tmp_path, strips):
    assert strips_png(strips) == strips_png(strips)
    (tmp_path / "a.png").write_bytes(strips_png(strips))
    back = read_strips(tmp_path / "a.png")
    assert [(s.image, s.mask, s.bucket, s.rank, s.psnr) for s in back] == [
        (s.image, s.mask, s.bucket, s.rank, s.psnr) for s in strips
    ]
    for one, other in zip(strips, back, strict=True):
        assert list(one.panels) == list(other.panels)
        assert all(np.array_equal(one.panels[name], other.panels[name]) for name in one.panels)
