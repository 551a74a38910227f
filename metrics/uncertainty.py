"""Uncertainty of a mean over pairs: standard errors, and intervals by resampling the pairs.

An interval says what other pairs of the same kind would give with the same method.
"""

import math
from collections.abc import Sequence

import numpy as np
from scipy.stats import bootstrap

RESAMPLES, LEVEL = 2000, 0.95


def standard_error(values: Sequence[float]) -> float | None:
    """Of the mean of values; None for fewer than two.

    Example:
        >>> standard_error([1.0, 3.0])
        1.0
    """
    return float(np.std(values, ddof=1)) / math.sqrt(len(values)) if len(values) > 1 else None


def interval(values: Sequence[float]) -> tuple[float, float] | None:
    """The bootstrap's 95 % percentile interval of the mean; None for fewer than two values.

    The values are sorted first and the draws are always the same: the order of the pairs changes no digit.

    Source:
        Efron 1979, Bootstrap Methods: Another Look at the Jackknife.
    """
    if len(values) < 2:
        return None
    values = np.sort(np.asarray(values, float))
    rng = np.random.default_rng(0)
    found = bootstrap(
        (values,), np.mean, n_resamples=RESAMPLES, confidence_level=LEVEL, method="percentile", random_state=rng
    ).confidence_interval
    return float(found.low), float(found.high)
