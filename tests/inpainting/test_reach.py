"""What is told of holes too large for a network."""

import numpy as np
import pytest

from inpainting import Inpainter
from inpainting.reach import mask_network, reach_warning
from models import MODELS, build_model
from tests.conftest import small_options


def square_hole(size, side):
    hole = np.zeros([size, size], bool)
    start = (size - side) // 2
    hole[start : start + side, start : start + side] = True
    return hole


@pytest.mark.parametrize("name", MODELS)
def test_the_share_is_that_of_what_comes_back_without_a_pixel_painted(name):
    model = build_model(name, **small_options(name, depth=2))
    hole = square_hole(80, 72)
    painted = np.full([80, 80], False)
    for seed in range(3):  # a painted pixel may be black by chance, not in every picture
        picture = np.random.default_rng(seed).integers(1, 256, [80, 80, 3], dtype=np.uint8)
        painted |= Inpainter(model).raw(picture, hole).any(axis=2)
    share = Inpainter(model).unreached(hole)
    assert (share > 0.1) == (name in ("pconv_unet", "pconv_residual_unet"))
    assert share <= (~painted[hole]).mean()
    assert share > 0 or (mask_network(model) is None and reach_warning(share) is None)
