"""Occlusion: the check of flows against a loop, and what is found against scenes whose occlusion is known."""

import cv2
import numpy as np

from datasets.occlusion import inconsistent, occlusion_mask
from tests.datasets.moving_scene import MOTIONS, moving_scene


def overlap(found, known):
    """Intersection over union."""
    return np.count_nonzero(found & known) / np.count_nonzero(found | known)


def by_loops(forward, backward):
    """Sundaram et al. 2010, pixel by pixel."""
    height, width = forward.shape[:2]
    found = np.zeros([height, width], bool)
    for y in range(height):
        for x in range(width):
            u, v = forward[y, x]
            to_x, to_y = x + u, y + v
            if not (0 <= to_x <= width - 1 and 0 <= to_y <= height - 1):
                continue
            left, top = min(int(to_x), width - 2), min(int(to_y), height - 2)
            a, b = to_x - left, to_y - top
            upper = (1 - a) * backward[top, left] + a * backward[top, left + 1]
            lower = (1 - a) * backward[top + 1, left] + a * backward[top + 1, left + 1]
            back = (1 - b) * upper + b * lower
            lengths = u * u + v * v + back[0] ** 2 + back[1] ** 2
            found[y, x] = (u + back[0]) ** 2 + (v + back[1]) ** 2 > 0.01 * lengths + 0.5
    return found


def test_the_check_is_its_formula():
    rng = np.random.default_rng(0)
    forward = rng.normal(0, 2, [20, 30, 2]).astype(np.float32)
    backward = cv2.GaussianBlur(-forward, (0, 0), 1) + rng.normal(0, 0.3, forward.shape).astype(np.float32)
    found, expected = inconsistent(forward, backward), by_loops(forward, backward)
    # OpenCV reads at 1/32 of a pixel, so that what is just at the limit may fall either way
    assert 0.1 < expected.mean() < 0.9 and np.mean(found != expected) < 0.02


def test_known_occlusion_of_moving_bodies_is_found():
    overlaps = []
    for seed, (bodies, background) in enumerate(MOTIONS):
        first, second, known = moving_scene(seed, bodies, background)
        overlaps.append(overlap(occlusion_mask(first, second) == 0, known))
    assert np.mean(overlaps) > 0.7 and min(overlaps) > 0.5, overlaps
