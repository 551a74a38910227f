"""The critics: the paper's layers, and scores and gradient penalty against matrices written out in NumPy."""

import numpy as np
import paddle
import pytest

from losses.wgan import gradient_penalty
from models.critics import Critic, Critics, crop_and_resize, crop_boxes


@pytest.mark.parametrize(
    ("name", "size", "widths", "total"),
    [("global", 256, [64, 128, 256, 256], 2_733_441), ("local", 128, [64, 128, 256, 512], 4_339_329)],
)
def test_layers_are_the_papers(name, size, widths, total):
    critic = Critics().by_name()[name]
    assert critic.size == [size, size]
    assert [conv.weight.shape for conv in critic.convs] == [
        [c_out, c_in, 5, 5] for c_in, c_out in zip([3, *widths], widths, strict=False)
    ]
    assert all(list(conv._stride) == [2, 2] for conv in critic.convs)
    assert list(critic.linear.weight.shape) == [widths[-1] * (size // 16) ** 2, 1]
    assert sum(p.size for p in critic.parameters()) == total  # summed by hand from the table


def matrix_of(conv, c_in, h, w):
    """A 5×5 convolution of stride 2 and padding 2 as a matrix over flat features, with its bias; and the new size."""
    weight, bias = conv.weight.numpy().astype("float64"), conv.bias.numpy().astype("float64")
    c_out, new_h, new_w = len(weight), -(-h // 2), -(-w // 2)
    matrix = np.zeros([c_out, new_h, new_w, c_in, h, w])
    for i, j, a, b in np.ndindex(new_h, new_w, 5, 5):
        y, x = 2 * i + a - 2, 2 * j + b - 2
        if 0 <= y < h and 0 <= x < w:
            matrix[:, i, j, :, y, x] = weight[:, :, a, b]
    return matrix.reshape(c_out * new_h * new_w, -1), np.repeat(bias, new_h * new_w), (c_out, new_h, new_w)


def score_and_gradient(critic, picture):
    """Of one picture in [0, 1]: D, and its gradient by the picture in [−1, 1]."""
    x, shape = 2 * picture.astype("float64").ravel() - 1, picture.shape
    slopes = np.eye(x.size)
    for conv in critic.convs:
        matrix, bias, shape = matrix_of(conv, *shape)
        x = matrix @ x + bias
        slope = np.where(x > 0, 1, 0.2)
        x, slopes = x * slope, slope[:, None] * (matrix @ slopes)
    weight = critic.linear.weight.numpy().astype("float64")[:, 0]
    return weight @ x + critic.linear.bias.numpy()[0], (weight @ slopes).reshape(picture.shape)


@pytest.fixture
def critic():
    paddle.seed(3)
    critic = Critic((9, 12), (3, 4))
    for conv in critic.convs:
        conv.bias.set_value(paddle.randn(conv.bias.shape) * 0.1)
    return critic


@pytest.fixture
def batch():
    rng = np.random.default_rng(0)
    mask = np.ones([2, 1, 9, 12], "float32")
    mask[0, :, 2:7, 3:9] = 0
    mask[1, :, :4, 8:] = 0
    return rng.random([2, 3, 9, 12]).astype("float32"), rng.random([2, 3, 9, 12]).astype("float32"), mask


def test_scores_are_those_of_the_matrices(critic, batch):
    expected = [score_and_gradient(critic, picture)[0] for picture in batch[0]]
    got = critic(paddle.to_tensor(batch[0]))
    assert list(got.shape) == [2, 1]
    np.testing.assert_allclose(got.numpy()[:, 0], expected, rtol=1e-4, atol=1e-6)


def penalty_of(critic, real, fake, mask, at):
    between = real + at * (fake - real)
    norms = [
        np.sqrt(((score_and_gradient(critic, x)[1] * (1 - m)) ** 2).sum()) for x, m in zip(between, mask, strict=True)
    ]
    return ((np.array(norms) - 1) ** 2).mean()


def test_penalty_has_the_right_value_and_a_gradient_by_every_weight(critic, batch):
    """The second derivative through convolution and LeakyReLU, against differences of the matrices' penalty."""
    at = np.array([0.3, 0.8], "float32").reshape(2, 1, 1, 1)
    penalty = gradient_penalty(critic, *map(paddle.to_tensor, (*batch, at)))
    assert float(penalty) == pytest.approx(penalty_of(critic, *batch, at), rel=1e-4)
    penalty.backward()
    rng = np.random.default_rng(1)
    for layer in (*critic.convs, critic.linear):
        gradient, before = layer.weight.grad.numpy(), layer.weight.numpy()
        direction = rng.standard_normal(before.shape).astype("float32")
        sides = []
        for step in (1e-3, -1e-3):
            layer.weight.set_value(before + step * direction)
            sides.append(penalty_of(critic, *batch, at))
        layer.weight.set_value(before)
        assert (gradient * direction).sum() == pytest.approx((sides[0] - sides[1]) / 2e-3, rel=0.02, abs=1e-4)
        assert np.abs(gradient).max() > 1e-4


@pytest.mark.parametrize(
    ("hole", "window"),
    [
        ((4, 8, 10, 12), (2, 7, 8, 8)),  # in the middle of its window
        ((0, 3, 18, 20), (0, 12, 8, 8)),  # which stays inside the picture
        ((2, 14, 3, 6), (2, 0, 12, 8)),  # and grows with a larger hole
        ((0, 16, 0, 20), (0, 0, 16, 20)),
        (None, (4, 6, 8, 8)),
    ],
)
def test_windows_hold_the_hole_in_their_middle(hole, window):
    mask = np.ones([1, 1, 16, 20], "float32")
    if hole:
        top, bottom, left, right = hole
        mask[0, 0, top, left] = mask[0, 0, bottom - 1, right - 1] = 0
    for flipped, expected in ((mask, window), (mask.swapaxes(2, 3), [window[i] for i in (1, 0, 3, 2)])):
        assert crop_boxes(paddle.to_tensor(flipped), 8).tolist() == [list(expected)]


@pytest.mark.parametrize("mode", ["bilinear", "nearest"])
def test_windows_are_what_interpolation_of_the_cut_gives(mode):
    windows = [(0, 0, 8, 8), (3, 5, 11, 15), (1, 7, 8, 13), (0, 0, 16, 20), (5, 2, 9, 8)]
    picture = paddle.rand([len(windows), 3, 16, 20])
    cut = crop_and_resize(picture, paddle.to_tensor(windows, "int32"), 8, mode)
    for i, (top, left, height, width) in enumerate(windows):
        part = picture[i : i + 1, :, top : top + height, left : left + width]
        expected = paddle.nn.functional.interpolate(part, [8, 8], mode=mode)
        np.testing.assert_allclose(cut[i : i + 1].numpy(), expected.numpy(), atol=1e-6)
