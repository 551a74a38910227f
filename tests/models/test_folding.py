"""A network folded for inference gives the same pictures."""

import numpy as np
import paddle
import pytest

from models import MODELS, build_model
from models.folding import fold_for_inference
from tests.conftest import small_options


def trained_a_little(name):
    """A network whose running statistics and affine are none of their initial values."""
    paddle.seed(0)
    model = build_model(name, **small_options(name, base_channels=6))
    model.train()
    for norm in (layer for layer in model.sublayers() if isinstance(layer, paddle.nn.BatchNorm2D)):
        norm.weight.set_value(paddle.rand(norm.weight.shape) + 0.5)
        norm.bias.set_value(paddle.randn(norm.bias.shape))
    for _ in range(3):
        model(paddle.rand([2, 3, 32, 32]), (paddle.rand([2, 1, 32, 32]) > 0.4).astype("float32"))
    model.eval()
    return model


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("valid", [0.02, 0.5, 1.0])
def test_folding_changes_no_picture(name, valid):
    model = trained_a_little(name)
    image = paddle.rand([2, 3, 24, 40])
    mask = (paddle.rand([2, 1, 24, 40]) <= valid).astype("float32")
    expected = model(image, mask).numpy()
    folded = fold_for_inference(model)
    np.testing.assert_allclose(folded(image, mask).numpy(), expected, atol=1e-4 * np.abs(expected).max())
