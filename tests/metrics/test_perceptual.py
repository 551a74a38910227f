"""The distance in VGG16's features."""

import cv2
import numpy as np
import paddle
import pytest

from datasets.images import sample_face, to_float
from losses.vgg import VGG16Features
from metrics.perceptual import VGGDistance


@pytest.fixture(scope="module")
def distance():
    return VGGDistance()


@pytest.fixture
def face():
    return cv2.resize(sample_face(), (48, 40), interpolation=cv2.INTER_AREA)


def test_it_is_the_sum_of_the_mean_differences_of_the_taps(distance, face):
    blurred = cv2.GaussianBlur(face, None, 2)
    with paddle.no_grad():
        taps = [VGG16Features()(paddle.to_tensor(to_float(p)[None])) for p in (face, blurred)]
    expected = sum(np.abs(a.numpy() - b.numpy()).mean() for a, b in zip(*taps, strict=True))
    assert distance(face, blurred) == pytest.approx(expected, rel=1e-5)


def test_equal_is_nought_it_is_symmetric_and_grows(distance, face):
    assert distance(face, face) == 0
    blurred = [cv2.GaussianBlur(face, None, sigma) for sigma in (0.7, 1.5, 3)]
    found = [distance(face, picture) for picture in blurred]
    assert 0 < found[0] < found[1] < found[2]
    assert distance(blurred[2], face) == pytest.approx(found[2], rel=1e-5)
