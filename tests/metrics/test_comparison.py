"""Two evaluations of the same pairs, against plain sums."""

import dataclasses
import math

import numpy as np
import pytest

from metrics.buckets import Sample
from metrics.comparison import differences, read_samples
from metrics.report import SAMPLE_COLUMNS
from utils.errors import InputError

HEADER = ",".join(SAMPLE_COLUMNS)


def some_samples(seed, gain=0.0, count=40):
    rng = np.random.default_rng(0)
    noise = np.random.default_rng(seed)
    return [
        Sample(
            f"{i}.png", f"m{i}.png", "0.1-0.2", "NB"[i % 2], 0.15, 1.0, rng.normal(30, 5) + gain + noise.normal(), 0.9
        )
        for i in range(count)
    ]


def test_a_gain_far_below_the_spread_of_pictures_is_found():
    first, second = some_samples(1), some_samples(2, gain=1.0)
    found = next(d for d in differences(first, second) if (d.bucket, d.border, d.measure) == ("0.1-0.2", "all", "psnr"))
    gains = np.array([b.psnr - a.psnr for a, b in zip(first, second, strict=True)])
    assert math.isclose(found.mean, gains.mean())
    assert 0 < found.low < found.mean < found.high and found.high - found.low < 2
    assert (found.pairs, found.wins, found.losses) == (40, (gains > 0).sum(), (gains < 0).sum())


def test_realism_is_compared_where_both_have_it_and_sharpness_by_its_distance_from_one():
    first = [dataclasses.replace(s, style=0.5, sharpness=0.1) for s in some_samples(1, count=3)]
    first.append(some_samples(1, count=4)[3])  # without hole: no realism
    second = [dataclasses.replace(s, style=s.style and 0.25, sharpness=s.sharpness and 2.0) for s in first]
    found = {d.measure: d for d in differences(first, second) if d.bucket == "all"}
    assert (found["style"].mean, found["style"].wins, found["style"].losses) == (-0.25, 3, 0)
    assert (found["sharpness"].wins, found["sharpness"].losses) == (3, 0)  # double is nearer than a tenth
    assert "style" not in {d.measure for d in differences(first, some_samples(2, count=4))}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s[:-1], "40 and 39 with 39 in common"),
        (lambda s: [dataclasses.replace(s[0], bucket="0.2-0.3"), *s[1:]], "the same holes"),
    ],
)
def test_other_pairs_are_refused(change, message):
    samples = some_samples(1)
    with pytest.raises(InputError, match=message):
        differences(samples, change(samples))


@pytest.mark.parametrize(
    ("written", "message"),
    [
        (None, "samples.csv as eval.py writes it"),
        ("image,mask\n", "without bucket"),
        (f"{HEADER}\na,b,,N,x,1,1,1\n", "samples.csv, line 2: expected numbers"),
    ],
)
def test_what_is_no_report_is_named(tmp_path, written, message):
    if written is not None:
        (tmp_path / "samples.csv").write_text(written)
    with pytest.raises(InputError, match=message):
        read_samples(tmp_path / "report.json")
