"""The layers against independent oracles: a naive loop, and the multi-channel formula under autograd."""

import itertools

import numpy as np
import paddle
import paddle.nn.functional as F
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models import PartialConv2D, PartialUpConv2D
from tests.reference import reference_partial_conv, reference_up_conv

GEOMETRIES = [  # kernel, stride, padding, dilation
    (3, 1, 1, 1),
    (3, 2, 1, 1),
    (7, 2, 3, 1),
    (5, 2, 0, 1),
    (3, 1, 2, 2),
    (1, 1, 0, 1),
    ((3, 5), (2, 1), (1, 2), (1, 1)),
]


def naive_partial_conv(x, mask, weight, bias, kernel, stride, padding, dilation):
    """Eq. 1 and 2 read literally: one window at a time, in float64, with a mask of every channel."""
    (kh, kw), (sh, sw), (ph, pw), (dh, dw) = (
        v if isinstance(v, tuple) else (v, v) for v in (kernel, stride, padding, dilation)
    )
    mask = np.broadcast_to(mask, x.shape)
    pad = [(0, 0), (0, 0), (ph, ph), (pw, pw)]
    x, mask = np.pad(x.astype("float64"), pad), np.pad(mask.astype("float64"), pad)
    rows = (x.shape[2] - dh * (kh - 1) - 1) // sh + 1
    columns = (x.shape[3] - dw * (kw - 1) - 1) // sw + 1
    out, new_mask = np.zeros([x.shape[0], weight.shape[0], rows, columns]), np.zeros([x.shape[0], 1, rows, columns])
    for n, i, j in itertools.product(range(x.shape[0]), range(rows), range(columns)):
        window = (
            n,
            slice(None),
            slice(i * sh, i * sh + dh * (kh - 1) + 1, dh),
            slice(j * sw, j * sw + dw * (kw - 1) + 1, dw),
        )
        valid = mask[window].sum()
        if valid > 0:
            new_mask[n, 0, i, j] = 1
            product = (weight * (x[window] * mask[window])[None]).sum(axis=(1, 2, 3))
            out[n, :, i, j] = product * mask[window].size / valid + bias
    return out, new_mask


def random_mask(shape, valid=0.35, seed=0):
    mask = (np.random.default_rng(seed).random(shape) < valid).astype("float32")
    mask[..., :5, :5] = 0  # some windows see no valid pixel
    return mask


def set_random_bias(layer):
    layer.bias.set_value(paddle.randn(layer.bias.shape))


@st.composite
def layers_and_inputs(draw):
    """Any layer, any size that gives it one window or more, and a mask from all hole to all valid."""
    sides = st.tuples(st.integers(1, 5), st.integers(1, 5))
    kernel, stride, padding, dilation = (
        draw(st.tuples(*[st.integers(*bounds)] * 2)) for bounds in ((1, 4), (1, 3), (0, 3), (1, 3))
    )
    least = [max(1, d * (k - 1) + 1 - 2 * p) for k, p, d in zip(kernel, padding, dilation, strict=True)]
    size = [low + more for low, more in zip(least, draw(sides), strict=True)]
    channels = [draw(st.integers(1, 4)) for _ in range(2)]
    paddle.seed(draw(st.integers(0, 999)))
    layer = PartialConv2D(*channels, kernel, stride, padding, dilation)
    set_random_bias(layer)
    rng, batch = np.random.default_rng(draw(st.integers(0, 999))), draw(st.integers(1, 2))
    mask_shape = [batch, draw(st.sampled_from([1, channels[0]])), *size]
    mask = (rng.random(mask_shape) < draw(st.sampled_from([0, 0.02, 0.3, 0.9, 1]))).astype("float32")
    x = rng.standard_normal([batch, channels[0], *size]).astype("float32")
    return layer, x, mask, (kernel, stride, padding, dilation)


@given(layers_and_inputs())
@settings(max_examples=50)
def test_any_layer_agrees_with_a_naive_loop_and_sees_no_hole(case):
    layer, x, mask, how = case
    out, new_mask = layer(paddle.to_tensor(x), paddle.to_tensor(mask))
    expected, expected_mask = naive_partial_conv(x, mask, layer.weight.numpy(), layer.bias.numpy(), *how)
    assert set(np.unique(new_mask.numpy())) <= {0, 1}
    np.testing.assert_array_equal(new_mask.numpy(), expected_mask)
    np.testing.assert_allclose(out.numpy(), expected, atol=1e-5 * max(1, np.abs(expected).max()))
    np.testing.assert_array_equal(out.numpy() * (1 - expected_mask), 0)
    elsewhere = np.where(mask > 0, x, 1e6).astype("float32")
    np.testing.assert_array_equal(layer(paddle.to_tensor(elsewhere), paddle.to_tensor(mask))[0].numpy(), out.numpy())


@pytest.mark.parametrize("mask_channels", [1, 4])
@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_gradients_agree_with_the_multi_channel_formula(geometry, mask_channels):
    paddle.seed(2)
    _, stride, padding, dilation = geometry
    layer = PartialConv2D(4, 6, *geometry)
    set_random_bias(layer)
    mask = paddle.to_tensor(random_mask([2, mask_channels, 11, 13]))
    start = paddle.randn([2, 4, 11, 13])
    probe, results = None, []
    for forward in (
        lambda x: layer(x, mask)[0],
        lambda x: reference_partial_conv(
            x, mask, layer.weight, layer.bias, stride=stride, padding=padding, dilation=dilation
        )[0],
    ):
        x = start.clone().detach()
        x.stop_gradient = False
        out = forward(x)
        probe = paddle.randn(out.shape) if probe is None else probe
        results.append([out, *paddle.grad((out * probe).sum(), [x, layer.weight, layer.bias])])
    for ours, theirs in zip(*results, strict=True):
        scale = max(1.0, float(theirs.abs().max()))
        np.testing.assert_allclose(ours.numpy() / scale, theirs.numpy() / scale, atol=1e-5)


def test_all_hole_gives_zero_and_finite_gradients_even_with_bias():
    layer = PartialConv2D(3, 5, 3, padding=1)
    set_random_bias(layer)
    out, new_mask = layer(paddle.randn([1, 3, 8, 8]), paddle.zeros([1, 1, 8, 8]))
    out.sum().backward()
    assert float(out.abs().max()) == 0 and float(new_mask.max()) == 0
    assert bool(paddle.isfinite(layer.weight.grad).all()) and float(layer.bias.grad.abs().max()) == 0


def test_mask_arithmetic_is_float32_and_exact_for_wide_features():
    layer = PartialConv2D(1024, 2, 3, padding=1).to(dtype="float64")
    mask = random_mask([1, 1, 8, 8])
    x = paddle.randn([1, 1024, 8, 8]).astype("float64")
    out, new_mask = layer(x, paddle.to_tensor(mask).astype("float64"))
    expected, _ = naive_partial_conv(x.numpy(), mask, layer.weight.numpy(), layer.bias.numpy(), 3, 1, 1, 1)
    assert new_mask.dtype == paddle.float32 and out.dtype == paddle.float64
    np.testing.assert_allclose(out.numpy(), expected, rtol=1e-6, atol=1e-6 * np.abs(expected).max())


@pytest.mark.parametrize("error", [1e-3, -1e-3])
def test_the_mask_is_exact_where_a_convolution_is_not(error, monkeypatch):
    """Fast algorithms of convolution, which a GPU may choose, leave small numbers where the sum is 0."""
    layer = PartialConv2D(4, 2, 3, padding=1)
    x, mask = paddle.randn([2, 4, 16, 16]), paddle.to_tensor(random_mask([2, 1, 16, 16], valid=0.05))
    expected, expected_mask = layer(x, mask)
    assert 0 < float(expected_mask.mean()) < 1
    convolve = F.conv2d
    monkeypatch.setattr(F, "conv2d", lambda *a, **k: convolve(*a, **k) + error)
    out, new_mask = layer(x, mask)
    np.testing.assert_array_equal(new_mask.numpy(), expected_mask.numpy())
    np.testing.assert_allclose(out.numpy(), expected.numpy(), atol=0.05)  # 1e-3 times a ratio of up to 9


@pytest.mark.parametrize("shape", [[2, 1, 8, 9], [3, 1, 8, 8], [2, 2, 8, 8], [2, 8, 8]])
def test_a_mask_that_does_not_fit_is_refused(shape):
    with pytest.raises(ValueError, match=r"expected \[2, 1, 8, 8\] or \[2, 3, 8, 8\].*got"):
        PartialConv2D(3, 5, 3, padding=1)(paddle.randn([2, 3, 8, 8]), paddle.ones(shape))


@pytest.mark.parametrize("channels", [(8, 4, 6), (5, 3, 3), (2, 7, 1)])
@pytest.mark.parametrize("size", [(4, 4), (1, 1), (3, 7)])
def test_up_convolution_agrees_with_upsample_concatenate_convolve(channels, size):
    paddle.seed(3)
    (up, skip_channels, _), (h, w) = channels, size
    layer = PartialUpConv2D(*channels)
    set_random_bias(layer)
    start = paddle.randn([2, up, h, w]), paddle.randn([2, skip_channels, 2 * h, 2 * w])
    mask = paddle.to_tensor((np.random.default_rng(1).random([2, 1, h, w]) < 0.5).astype("float32"))
    skip_mask = paddle.to_tensor((np.random.default_rng(2).random([2, 1, 2 * h, 2 * w]) < 0.3).astype("float32"))
    probe, results = None, []
    for forward in (layer, lambda *inputs: reference_up_conv(*inputs, layer.weight, layer.bias)):
        x, skip = (t.clone().detach() for t in start)
        x.stop_gradient = skip.stop_gradient = False
        out, new_mask = forward(x, mask, skip, skip_mask)
        probe = paddle.randn(out.shape) if probe is None else probe
        results.append([out, new_mask[:, :1], *paddle.grad((out * probe).sum(), [x, skip, layer.weight, layer.bias])])
    for ours, theirs in zip(*results, strict=True):
        scale = max(1.0, float(theirs.abs().max()))
        np.testing.assert_allclose(ours.numpy() / scale, theirs.numpy() / scale, atol=1e-5)


def test_up_convolution_takes_masks_of_every_channel():
    layer = PartialUpConv2D(4, 3, 5)
    x, skip = paddle.randn([1, 4, 4, 4]), paddle.randn([1, 3, 8, 8])
    mask, skip_mask = (paddle.to_tensor(random_mask(t.shape, valid=0.6, seed=i)) for i, t in enumerate((x, skip)))
    out, new_mask = layer(x, mask, skip, skip_mask)
    expected, expected_mask = reference_up_conv(x, mask, skip, skip_mask, layer.weight, layer.bias)
    np.testing.assert_allclose(out.numpy(), expected.numpy(), atol=1e-4)
    np.testing.assert_array_equal(new_mask.numpy(), expected_mask[:, :1].numpy())
