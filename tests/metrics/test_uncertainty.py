"""Intervals cover what they say, and standard errors are what NumPy makes of them."""

import numpy as np

from metrics.uncertainty import interval, standard_error


def test_an_interval_shrinks_with_the_root_of_the_pairs_and_is_as_wide_as_the_normal_one():
    values = np.random.default_rng(1).normal(30, 4, 400)
    low, high = interval(values)
    assert abs((high - low) / (2 * 1.96 * standard_error(values)) - 1) < 0.1
    few = interval(values[:100])
    assert 1.6 < (few[1] - few[0]) / (high - low) < 2.5
