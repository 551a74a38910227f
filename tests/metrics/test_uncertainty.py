"""Intervals cover what they say, and standard errors are what NumPy makes of them."""

import numpy as np

from metrics.uncertainty import interval, standard_error


def test_intervals_cover_a_known_mean_as_often_as_they_say():
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(300):
        low, high = interval(rng.exponential(2.0, 60))
        covered += low <= 2.0 <= high
    assert 0.90 <= covered / 300 <= 0.98  # 95 % in the limit; a skewed sample of 60 gives a little less


def test_an_interval_shrinks_with_the_root_of_the_pairs_and_is_as_wide_as_the_normal_one():
    values = np.random.default_rng(1).normal(30, 4, 400)
    low, high = interval(values)
    assert abs((high - low) / (2 * 1.96 * standard_error(values)) - 1) < 0.1
    few = interval(values[:100])
    assert 1.6 < (few[1] - few[0]) / (high - low) < 2.5
