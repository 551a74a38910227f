"""What automatic mixed precision does on a GPU, imitated: convolutions see and give float16, masks stay float32.

Paddle has no automatic mixed precision on a CPU, so each convolution outside ``_no_amp`` is rounded to float16 here.
"""

import contextlib

import numpy as np
import paddle
import pytest

from datasets.images import sample_face, to_float
from losses import InpaintingLoss, VGG16Features
from models import build_model, partial_conv


@pytest.fixture
def half(monkeypatch):
    """Round what convolutions see and give to float16, unless mixed precision is switched off around them."""
    state = {"off": False, "rounded": 0}

    @contextlib.contextmanager
    def no_amp():
        state["off"] = True
        yield
        state["off"] = False

    def imitate(convolve):
        def convolve_in_half(x, weight, *arguments, **options):
            if state["off"]:
                return convolve(x, weight, *arguments, **options)
            state["rounded"] += 1
            return _round(convolve(_round(x), _round(weight), *arguments, **options))

        return convolve_in_half

    monkeypatch.setattr(partial_conv, "_no_amp", no_amp)
    for name in ("conv2d", "conv2d_transpose"):
        monkeypatch.setattr(partial_conv.F, name, imitate(getattr(partial_conv.F, name)))
    return state


def _round(x):
    return x.astype("float16").astype("float32")


@pytest.mark.parametrize("valid", [0.0, 0.01, 0.5, 1.0])
def test_no_overflow_and_no_nan_whatever_the_holes(half, valid):
    paddle.seed(0)
    model = build_model("pconv_unet", base_channels=32, depth=4)
    image = paddle.rand([2, 3, 32, 32])
    mask = (paddle.rand([2, 1, 32, 32]) < valid).astype("float32")
    mask[0] = 0  # a picture that is all hole
    output = model(image, mask)
    terms = InpaintingLoss(weights={"perceptual": 0, "style": 0})(output, image, mask)
    sum(terms.values()).backward()
    assert half["rounded"] > 0
    assert all(t.dtype == paddle.float32 and np.isfinite(float(t)) for t in terms.values())
    assert all(np.isfinite(p.grad.numpy()).all() for p in model.parameters() if p.grad is not None)


def halve(network):
    """VGG16 as a GPU runs it: convolutions see, hold and give float16, and so do their gradients."""
    for layer in network.convolutions.values():
        layer.weight.set_value(_round(layer.weight))
        layer.bias.set_value(_round(layer.bias))
        layer.register_forward_pre_hook(lambda _, given: tuple(map(_round, given)))
        layer.register_forward_post_hook(lambda _, __, x: _round(x))
    return network


def test_vgg_in_half_precision_leads_the_same_way():
    """Loss and gradient of a painted face, at the gradient scale that a step of six 512×512 pictures would have.

    Gradients are means over all values, so those of 96 times as many are 96 times smaller; Paddle scales by 2¹⁶.
    """
    scale = 2.0**16 / 96
    face = paddle.to_tensor(to_float(sample_face())[None])
    mask = paddle.ones([1, 1, 128, 128])
    mask[:, :, 30:90, 40:100] = 0
    paddle.seed(0)
    start = face + 0.1 * paddle.randn(face.shape) * (1 - mask)
    results = []
    for features in (VGG16Features(), halve(VGG16Features())):
        criterion = InpaintingLoss(features, {"valid": 0, "hole": 0, "tv": 0})
        output = start.clone().detach()
        output.stop_gradient = False
        total = criterion.total(criterion(output, face, mask))
        (total * scale).backward()
        results.append((total.item(), output.grad.numpy().ravel() / scale))
    (exact, right), (rounded, ours) = results
    assert rounded == pytest.approx(exact, rel=1e-2)
    cosine = ours @ right / np.linalg.norm(ours) / np.linalg.norm(right)
    assert 0.999 < cosine < 0.9999999


def test_counts_that_float16_cannot_hold_are_exact(half):
    """4,097 valid values in a window: float16 has no such number."""
    layer = partial_conv.PartialConv2D(4097, 1, 1, bias_attr=False)
    layer.weight.set_value(paddle.full(layer.weight.shape, 2.0**-12))
    mask = paddle.ones([1, 4097, 1, 1])
    mask[0, 0] = 0
    out, _ = layer(paddle.ones([1, 4097, 1, 1]), mask)
    assert out.item() == pytest.approx(4097 / 4096, rel=1e-3)
    count = partial_conv._valid_channels(mask, 4097)
    ratio, _ = partial_conv._window_ratio(count, paddle.ones([1, 1, 1, 1]), 4097, {})
    assert ratio.item() == pytest.approx(4097 / 4096, rel=1e-6)


def test_the_bias_gets_its_gradient_in_float32(half):
    """A sum over all pixels at the first loss scale: 2^16 · 64² / 2^10 is beyond float16's 65,504."""
    layer = partial_conv.PartialConv2D(1, 1, 1)
    out, _ = layer(paddle.ones([1, 1, 64, 64]), paddle.ones([1, 1, 64, 64]))
    (out.sum() * 2.0**16 / 2**10).backward()
    assert layer.bias.grad.item() == 64**2 * 64
