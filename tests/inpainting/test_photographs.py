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


@pytest.mark.parametrize(("colour", "is_grey"), [((0, 0, 0), True), ((1, 1, 1), True), ((1, 1, 0), False)])
def test_a_picture_without_colour_gets_none_from_the_network_whatever_its_file_says(colour, is_grey):
    pixels = np.full([20, 30, 3], 100, np.uint8)
    pixels[3, 4] += np.array(colour, np.uint8)  # one pixel is enough
    hole = np.zeros([20, 30], bool)
    hole[5:9, 6:20] = True
    pixels[hole] = 255, 255, 0  # what is hidden tells nothing
    blue = np.array([90, 100, 190], np.uint8)
    result = fill_photograph(lambda *_: np.where(hole[..., None], blue, pixels), Photograph(pixels), hole)
    assert (result.pixels[hole] == (107 if is_grey else blue)).all()
    assert np.array_equal(result.pixels[~hole], pixels[~hole])
