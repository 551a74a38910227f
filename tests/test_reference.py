"""The usual way is the same network as ours: the benchmark compares equals."""

import numpy as np
import paddle
import pytest

from models import build_model
from tests.reference import ReferencePConvUNet

SMALL = {"base_channels": 4, "depth": 3}


def settled():
    paddle.seed(0)
    model = build_model("pconv_unet", **SMALL)
    model.train()
    for _ in range(3):
        model(paddle.rand([2, 3, 32, 32]), (paddle.rand([2, 1, 32, 32]) > 0.4).astype("float32"))
    return model


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("valid", [0.02, 0.5, 1.0])
def test_the_usual_way_in_paddle_is_the_same_network(training, valid):
    model, usual = settled(), ReferencePConvUNet(**SMALL)
    assert set(usual.state_dict()) == set(model.state_dict())
    usual.set_state_dict(model.state_dict())
    image, mask = paddle.rand([2, 3, 32, 48]), (paddle.rand([2, 1, 32, 48]) <= valid).astype("float32")
    for network in (model, usual):
        network.train() if training else network.eval()
    expected = model(image * mask, mask).numpy()
    np.testing.assert_allclose(usual(image * mask, mask).numpy(), expected, atol=1e-4 * np.abs(expected).max())
