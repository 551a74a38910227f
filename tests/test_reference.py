"""The usual way, in Paddle and in PyTorch, is the same network as ours: the benchmark compares equals."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import paddle
import pytest

from models import build_model
from tests.reference import ReferencePConvUNet

ROOT = Path(__file__).resolve().parent.parent
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


def test_the_usual_way_in_pytorch_is_the_same_network(tmp_path):
    """In a process of its own: two frameworks in one fight over the thread pool."""
    pytest.importorskip("torch")
    model = settled()
    model.eval()
    image, mask = paddle.rand([2, 3, 32, 48]), (paddle.rand([2, 1, 32, 48]) > 0.5).astype("float32")
    np.savez(tmp_path / "weights.npz", **{name: t.numpy() for name, t in model.state_dict().items()})
    np.savez(tmp_path / "inputs.npz", image=image.numpy(), mask=mask.numpy())
    code = (
        "import sys, numpy as np, torch\n"
        "from tests.reference_torch import TorchPConvUNet\n"
        "folder = sys.argv[1]\n"
        "network = TorchPConvUNet(np.load(folder + '/weights.npz'), 3).eval()\n"
        "image, mask = (torch.tensor(np.load(folder + '/inputs.npz')[name]) for name in ('image', 'mask'))\n"
        "np.save(folder + '/output.npy', network(image, mask).detach().numpy())\n"
    )
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, check=True)
    expected = model(image, mask).numpy()
    np.testing.assert_allclose(np.load(tmp_path / "output.npy"), expected, atol=1e-4 * np.abs(expected).max())
