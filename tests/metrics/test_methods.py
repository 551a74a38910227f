"""Evaluations beside each other."""

import math

import numpy as np
import pytest

from metrics.buckets import Sample
from metrics.manifest import Pair
from metrics.methods import Method, limited_to, side_by_side
from metrics.pictures import Strip
from utils.errors import InputError

PROTOCOL = {"protocol": "composite", "size": 64, "hole": "white"}


def samples(*images):
    return [Sample(image, "m", "0.1-0.2", "N", 0.15, 1.0, 30.0, 0.9) for image in images]


def strip(image, value, psnr=20.0):
    names = ("input", "output", "truth", "error")
    panels = {name: np.full([4, 4, 3], value + i, np.uint8) for i, name in enumerate(names)}
    return Strip(image, "m", "0.1-0.2", "best", psnr, panels)


def test_an_earlier_evaluation_is_brought_to_the_pairs_in_their_order():
    earlier = Method("a", PROTOCOL, samples("1", "2", "3"))
    limited = limited_to([Pair("3", "m"), Pair("1", "m")], "a/report.json", earlier, {**PROTOCOL, "limit": 2})
    assert [s.image for s in limited.samples] == ["3", "1"] and limited.rows[0]["count"] == 2
    with pytest.raises(InputError, match=r"none of 4 with m \(1 of 2 are missing\)"):
        limited_to([Pair("4", "m"), Pair("1", "m")], "a/report.json", earlier, PROTOCOL)
    with pytest.raises(InputError, match=r"size 64 in a/report\.json and 32"):
        limited_to([Pair("1", "m")], "a/report.json", earlier, {**PROTOCOL, "size": 32})


def test_strips_of_the_same_pair_are_joined():
    one = Method("a", PROTOCOL, samples("1", "2"), [strip("1", 10), strip("2", 20)])
    two = Method("b", PROTOCOL, samples("1", "2"), [strip("1", 30, math.inf)])
    joined = side_by_side([one, two])
    assert list(joined[0].panels) == [
        "input",
        "truth",
        "a, 20.00 dB: output",
        "a, 20.00 dB: error",
        "b, identical: output",
        "b, identical: error",
    ]
    assert [int(panel[0, 0, 0]) for panel in joined[0].panels.values()] == [10, 12, 11, 13, 31, 33]
    assert len(joined[1].panels) == 4
    assert side_by_side([one]) == list(one.strips)
