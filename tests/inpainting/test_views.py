"""What is shown beside a filled picture."""

import numpy as np
import pytest

from inpainting.views import LONGEST, for_viewing


@pytest.mark.parametrize("size", [(LONGEST + 1, 3), (3, 9 * LONGEST), (3 * LONGEST, 2 * LONGEST)])
def test_large_ones_are_shrunk_and_no_hole_is_lost(size):
    picture, hole = np.full([*size, 3], 77, np.uint8), np.zeros(size, bool)
    hole[size[0] // 2, size[1] // 3] = True
    seen, seen_hole, result = for_viewing(picture, hole, picture // 7)
    assert max(seen_hole.shape) == LONGEST and seen.shape == result.shape == (*seen_hole.shape, 3)
    assert seen_hole.any() and seen_hole.sum() <= 4 and (seen == 77).all() and (result == 11).all()
