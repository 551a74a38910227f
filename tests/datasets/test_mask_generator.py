"""Generated masks: always in their bucket, always on their side of the border, always the same for a seed."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datasets.mask_generator import SILHOUETTE, WIDE, generate_box, generate_mask, generate_silhouette, generate_wide
from datasets.masks import BUCKETS, border_kind, bucket_name, bucket_of, hole_ratio


@given(st.integers(16, 300), st.integers(16, 300), st.sampled_from(BUCKETS), st.booleans(), st.integers(0, 2**32 - 1))
@settings(max_examples=40)
def test_bucket_and_border_are_met_at_any_size(height, width, bucket, border, seed):
    mask = generate_mask(np.random.default_rng(seed), height, width, bucket, border)
    assert mask.shape == (height, width) and set(np.unique(mask)) == {0, 1}
    assert bucket_of(hole_ratio(mask)) == bucket_name(bucket) and border_kind(mask) == ("B" if border else "N")


@pytest.mark.parametrize(("height", "width"), [(256, 256), (64, 96), (16, 17)])
def test_boxes_are_one_rectangle_of_the_authors_sides(height, width):
    seen = set()
    for seed in range(300):
        hole = generate_box(np.random.default_rng(seed), height, width) == 0
        rows, columns = np.flatnonzero(hole.any(axis=1)), np.flatnonzero(hole.any(axis=0))
        assert hole[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].all()
        seen |= {len(rows), len(columns)}
    half = min(height, width) // 2
    assert (min(seen), max(seen)) == (half - half // 4, half)


@pytest.mark.parametrize(("draw", "share"), [(generate_silhouette, SILHOUETTE), (generate_wide, WIDE)])
@pytest.mark.parametrize(("height", "width"), [(16, 16), (40, 90), (512, 512)])
def test_silhouettes_and_wide_holes_keep_their_share(draw, share, height, width):
    for seed in range(20):
        mask = draw(np.random.default_rng(seed), height, width)
        assert mask.shape == (height, width) and mask.dtype == np.float32 and set(np.unique(mask)) == {0, 1}
        assert share[0] <= hole_ratio(mask) <= share[1]
    again, other = (draw(np.random.default_rng(seed), height, width) for seed in (19, 20))
    assert np.array_equal(mask, again) and not np.array_equal(mask, other)
