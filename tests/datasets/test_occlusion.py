"""Occlusion: flows there and back, and what is found in scenes whose occlusion is known."""

import numpy as np
import pytest

from datasets.occlusion import inconsistent, occlusion_mask
from tests.datasets.moving_scene import MOTIONS, moving_scene


def overlap(found, known):
    """Intersection over union."""
    return np.count_nonzero(found & known) / np.count_nonzero(found | known)


@pytest.mark.parametrize(("back", "occluded"), [((-3, 2), False), ((-3, 2.5), False), ((-3, 3), True), ((3, -2), True)])
def test_flows_that_do_not_cancel_are_occlusion_inside_the_picture(back, occluded):
    forward, backward = (np.full([20, 30, 2], flow, np.float32) for flow in ((3, -2), back))
    expected = np.zeros([20, 30], bool)
    expected[2:, :27] = occluded  # elsewhere the flow leaves the picture
    assert np.array_equal(inconsistent(forward, backward), expected)


def test_known_occlusion_of_moving_bodies_is_found():
    overlaps = []
    for seed, (bodies, background) in enumerate(MOTIONS):
        first, second, known = moving_scene(seed, bodies, background)
        overlaps.append(overlap(occlusion_mask(first, second) == 0, known))
    assert np.mean(overlaps) > 0.7 and min(overlaps) > 0.5, overlaps
