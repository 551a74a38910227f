"""Evaluations beside each other."""

import pytest

from metrics.buckets import Sample
from metrics.manifest import Pair
from metrics.methods import Method, limited_to
from utils.errors import InputError

PROTOCOL = {"protocol": "composite", "size": 64, "hole": "white"}


def samples(*images):
    return [Sample(image, "m", "0.1-0.2", "N", 0.15, 1.0, 30.0, 0.9) for image in images]


def test_an_earlier_evaluation_is_brought_to_the_pairs_in_their_order():
    earlier = Method("a", PROTOCOL, samples("1", "2", "3"))
    limited = limited_to([Pair("3", "m"), Pair("1", "m")], "a/report.json", earlier, {**PROTOCOL, "limit": 2})
    assert [s.image for s in limited.samples] == ["3", "1"] and limited.rows[0]["count"] == 2
    with pytest.raises(InputError, match=r"none of 4 with m \(1 of 2 are missing\)"):
        limited_to([Pair("4", "m"), Pair("1", "m")], "a/report.json", earlier, PROTOCOL)
    with pytest.raises(InputError, match=r"size 64 in a/report\.json and 32"):
        limited_to([Pair("1", "m")], "a/report.json", earlier, {**PROTOCOL, "size": 32})
