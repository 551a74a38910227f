"""The hinge losses against sums over single cells."""

import numpy as np
import paddle
import pytest

from losses.hinge import critic_loss, feature_matching, generator_score, over_hole, share_of_hole


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    hole = np.zeros([2, 1, 8, 8], "float32")
    hole[0, :, 1:4, 2:3] = hole[1, :, 5:] = 1
    real, fake = rng.standard_normal([2, 2, 1, 4, 4]).astype("float32")
    return real, fake, hole


def touched(hole):
    return [(n, i, j) for n, i, j in np.ndindex(2, 4, 4) if hole[n, 0, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2].any()]


def test_losses_are_means_over_the_cells_that_touch_the_hole(data):
    real, fake, hole = data
    cells = touched(hole)
    expected = np.mean([max(0, 1 - real[n, 0, i, j]) + max(0, 1 + fake[n, 0, i, j]) for n, i, j in cells])
    real, fake, hole = map(paddle.to_tensor, data)
    assert float(critic_loss([real, real], [fake, fake], hole)) == pytest.approx(expected, rel=1e-5)
    expected = -np.mean([fake.numpy()[n, 0, i, j] for n, i, j in cells])
    assert float(generator_score([fake], hole)) == pytest.approx(expected, rel=1e-5)


def test_matching_is_relative_and_of_the_hole_alone(data):
    real, fake, hole = map(paddle.to_tensor, data)
    assert float(feature_matching([real], [real], hole)) == 0
    once, scaled = (float(feature_matching([real * k], [fake * k], hole)) for k in (1, 100))
    assert once == pytest.approx(scaled, rel=1e-5)
    outside = share_of_hole(hole, real) == 0
    assert float(feature_matching([real], [real + 9 * outside.astype("float32")], hole)) == 0


def test_without_a_hole_there_is_nothing_to_judge():
    assert float(over_hole(paddle.ones([1, 1, 4, 4]), paddle.zeros([1, 1, 8, 8]))) == 0
