"""Boxes around holes: each hole in one of them, wherever it stands in however large a picture."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from inpainting.boxes import hole_boxes


@given(st.integers(0, 10000), st.integers(1, 60))
@settings(max_examples=40, deadline=None)
def test_boxes_hold_every_hole_once(seed, count):
    rng = np.random.default_rng(seed)
    hole = np.zeros([300, 500], bool)
    for _ in range(count):
        top, left = rng.integers(0, 300), rng.integers(0, 500)
        hole[top : top + rng.integers(1, 9), left : left + rng.integers(1, 9)] = True
    times = np.zeros(hole.shape, int)
    for box, depth in hole_boxes(hole):
        times[box.slices] += 1
        assert depth == pytest.approx(cv2.distanceTransform(hole[box.slices].astype(np.uint8), cv2.DIST_L2, 5).max())
    assert (times[hole] == 1).all() and times.max() == 1
