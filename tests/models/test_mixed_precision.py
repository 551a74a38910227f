"""What automatic mixed precision does on a GPU, imitated: convolutions see and give float16, masks stay float32.

Paddle has no automatic mixed precision on a CPU, so each convolution outside ``_no_amp`` is rounded to float16 here.
"""

import contextlib

import numpy as np
import paddle
import pytest

from losses import InpaintingLoss
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
