"""Holes in flat colour get that colour; others are left."""

import numpy as np

from inpainting.flat import fill_flat


def red_sign():
    picture = np.random.default_rng(0).integers(0, 256, [60, 90, 3], dtype=np.uint8)
    picture[10:50, 10:80] = (255, 0, 0)
    hole = np.zeros([60, 90], bool)
    hole[20:30, 20:24] = hole[20:30, 30:34] = True
    return picture, hole


def test_text_on_a_plain_ground_gets_exactly_its_colour():
    picture, hole = red_sign()
    truth = picture.copy()
    picture[hole] = (246, 9, 4)
    assert np.array_equal(fill_flat(picture, hole), hole)
    np.testing.assert_array_equal(picture, truth)


def test_a_hole_that_leaves_the_ground_is_not_changed():
    picture, hole = red_sign()
    hole[:, 45:55] = True
    picture[hole] = (246, 9, 4)
    before = picture.copy()
    flat = fill_flat(picture, hole)
    assert flat[:, 20:34].any() and not flat[:, 45:55].any()
    np.testing.assert_array_equal(picture[~flat], before[~flat])
