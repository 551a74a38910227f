"""How far networks paint into a hole."""

import numpy as np
import pytest

from inpainting import Inpainter
from inpainting.reach import reached
from models import MODELS, build_model
from tests.conftest import small_options


@pytest.mark.parametrize("name", MODELS)
def test_what_is_out_of_reach_comes_back_without_a_pixel_painted(name):
    inpainter = Inpainter(build_model(name, **small_options(name, depth=2)))
    hole, painted = np.zeros([80, 80], bool), np.zeros([80, 80], bool)
    hole[4:76, 4:76] = True
    for seed in range(3):  # a painted pixel may be black by chance, not in every picture
        picture = np.random.default_rng(seed).integers(1, 256, [80, 80, 3], dtype=np.uint8)
        painted |= inpainter.raw(picture, hole).any(axis=2)
    assert inpainter.reaches(hole) == (name not in ("pconv_unet", "pconv_residual_unet"))
    assert not (painted & hole & ~reached(inpainter._mask_network, ~hole)).any()
