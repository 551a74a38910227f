"""A photograph filled: what is known stays, and what is not shown to the network is not."""

import numpy as np
import pytest

from datasets.photographs import Encoding, Photograph
from inpainting.photographs import fill_photograph


@pytest.fixture
def photograph():
    pixels = np.random.default_rng(0).integers(0, 256, [20, 30, 3], np.uint8)
    return Photograph(pixels, icc=b"profile", exif=b"Exif", encoding=Encoding("webp"))


def test_what_is_under_transparency_is_not_shown_and_not_changed(photograph):
    alpha = np.full([20, 30], 255, np.uint8)
    alpha[:, :8], alpha[:, 8:10] = 0, 128
    hole = np.zeros([20, 30], bool)
    hole[5:9, 6:20] = True
    shown = []

    def fill(picture, unseen):
        shown.append(unseen)
        return np.where(unseen[..., None], 7, picture).astype(np.uint8)

    result = fill_photograph(fill, Photograph(photograph.pixels, alpha), hole)
    assert np.array_equal(shown[0], hole | (alpha == 0))
    assert (result.pixels[hole] == 7).all() and np.array_equal(result.pixels[~hole], photograph.pixels[~hole])
    assert np.array_equal(result.alpha, alpha)
