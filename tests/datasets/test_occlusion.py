"""Occlusion: the check of flows against a loop, and what is found against scenes whose occlusion is known."""

from importlib import resources

import cv2
import numpy as np
import pytest

from datasets.images import sample_photo
from datasets.occlusion import cleaned, dense_flow, inconsistent, occlusion_mask
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


def test_where_all_moves_alike_nothing_is_hidden_and_what_leaves_the_picture_is_no_hole():
    forward = np.tile(np.float32([7, -3]), [40, 50, 1])
    assert not inconsistent(forward, -forward).any()
    assert inconsistent(forward, forward).any()


def test_known_occlusion_of_moving_bodies_is_found():
    overlaps = []
    for seed, (bodies, background) in enumerate(MOTIONS):
        first, second, known = moving_scene(seed, bodies, background)
        overlaps.append(overlap(occlusion_mask(first, second) == 0, known))
    assert np.mean(overlaps) > 0.7 and min(overlaps) > 0.5, overlaps


def test_two_real_views_of_one_scene():
    """A stereo pair with its measured disparity, 7 to 60 px: a wide step for a flow, so the floor is a low one."""
    with resources.as_file(resources.files("skimage.data") / "motorcycle_disp.npz") as path, np.load(path) as file:
        disparity = file[file.files[0]]
    known, told = hidden_by(disparity), np.isfinite(disparity)
    left, right = (cv2.cvtColor(sample_photo(f"motorcycle_{side}"), cv2.COLOR_RGB2GRAY) for side in ("left", "right"))
    found = cleaned(inconsistent(dense_flow(left, right), dense_flow(right, left)))
    assert overlap(found & told, known) > 0.25
    assert np.mean(found[known]) > 8 * np.mean(known) and np.mean(known[found & told]) > 8 * np.mean(known)


def hidden_by(disparity):
    """What of the left view the right one hides: where something nearer lands on the same pixel."""
    height, width = disparity.shape
    hidden = np.zeros([height, width], bool)
    for y, row in enumerate(disparity):
        there = np.flatnonzero(np.isfinite(row) & (np.arange(width) >= row))
        landing = np.rint(there - row[there]).astype(int)
        nearest = np.zeros(width)
        np.maximum.at(nearest, landing, row[there])
        hidden[y, there] = nearest[landing] > row[there] + 1
    return hidden


def test_specks_go_and_regions_stay():
    found = np.zeros([200, 200], bool)
    found[20:22, 20:22] = True
    found[100:140, 100:104] = True
    left = cleaned(found)
    assert not left[:50].any() and 0.9 < left.sum() / found[100:140].sum() <= 1.1


@pytest.mark.parametrize("shape", [(31, 64), (64, 65)])
def test_frames_that_do_not_fit_are_refused(shape):
    with pytest.raises(ValueError, match="32 px or more"):
        occlusion_mask(np.zeros(shape, np.uint8), np.zeros([64, 64] if 65 in shape else shape, np.uint8))
