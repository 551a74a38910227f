"""Pictures and masks brought to size: middle, random crop, flip, the authors' mask recipe."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from datasets.transforms import augment_mask, center_resize, center_window, random_crop, random_window


def test_center_resize_takes_the_largest_part_of_a_shape():
    picture = np.zeros([10, 30, 3], np.uint8)
    picture[:, 5:25] = 200
    assert np.array_equal(center_resize(picture, (5, 10)), np.full([5, 10, 3], 200, np.uint8))
    assert (center_resize(picture.transpose(1, 0, 2), (40, 20)) == 200).all()


def test_random_crop_at_full_scale_moves_along_the_longer_side_only():
    picture = np.arange(60, dtype=np.uint8)[None, :, None].repeat(20, axis=0).repeat(3, axis=2)
    lefts = set()
    for seed in range(300):
        crop = random_crop(picture, 20, np.random.default_rng(seed), scale=(1.0, 1.0))
        left = int(crop[0, 0, 0])
        assert np.array_equal(crop, picture[:, left : left + 20])
        lefts.add(left)
    assert {0, 40} <= lefts


def test_dilation_grows_the_hole_and_never_the_valid_part():
    mask = np.ones([512, 512], np.float32)
    mask[250:260, 100:400] = 0
    for seed in range(10):
        # The first number drawn is the kernel: skip it to give both the same view.
        plain_rng = np.random.default_rng(seed)
        plain_rng.integers(9, 49, endpoint=True)
        plain = augment_mask(mask, plain_rng, 256, dilate=False)
        grown = augment_mask(mask, np.random.default_rng(seed), 256)
        assert (grown <= plain).all() and (grown == 0).sum() > 1.3 * (plain == 0).sum()


@given(st.integers(20, 60), st.integers(20, 60), st.integers(0, 999))
def test_a_window_is_a_part_of_the_picture_as_it_is(height, width, seed):
    picture = np.arange(height * width * 3).reshape(height, width, 3).astype(np.int32)  # no pixel comes twice
    for window in (random_window(picture, 20, np.random.default_rng(seed)), center_window(picture, 20)):
        top, left = divmod(int(window[0, 0, 0]) // 3, width)
        np.testing.assert_array_equal(window, picture[top : top + 20, left : left + 20])
