"""The twin in PyTorch is the project's network: same surfaces, same output, arrays that go over as they are."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import paddle
import pytest

from experiments.torch_twin.publish import as_project, main
from models.unet import PRIOR_STEPS, smooth_surfaces

ROOT = Path(__file__).resolve().parent.parent.parent

RUN_THE_TWIN = """
import sys, numpy as np, torch
from experiments.torch_twin.network import TwinUNet
from experiments.torch_twin.samples import _stack, _surfaces_over
folder = sys.argv[1]
inputs = np.load(folder + "/inputs.npz")
torch.manual_seed(0)
network = TwinUNet(4, 3, residual=sys.argv[2] == "pconv_residual_unet").eval()
for name, parameter in network.named_parameters():
    if name.endswith("bias") or not parameter.any():
        torch.nn.init.normal_(parameter, std=0.1)
picture, mask, guide = (inputs[name] for name in ("picture", "mask", "guide"))
second, first = (_stack(s) for s in zip(*map(_surfaces_over, guide, picture, mask)))
mask = torch.from_numpy(mask)[:, None]
with torch.no_grad():
    output = network(_stack(list(picture)) * mask, mask, second, first)
np.savez(folder + "/weights.npz", **{name: value.numpy() for name, value in network.state_dict().items()})
np.savez(folder + "/outputs.npz", surfaces=torch.cat([second, first], 1).numpy(), output=output.numpy())
"""


@pytest.fixture(scope="module", params=["pconv_unet", "pconv_residual_unet"])
def twin(tmp_path_factory, request):
    """Inputs, and what the twin makes of them in a process of its own: two frameworks in one fight over its threads."""
    pytest.importorskip("torch")
    folder = tmp_path_factory.mktemp("twin")
    rng = np.random.default_rng(0)
    coarse = paddle.to_tensor(rng.random([2, 3, 6, 8]).astype("float32"))
    picture = paddle.nn.functional.interpolate(coarse, scale_factor=8, mode="bicubic").clip(0, 1)
    picture = picture.transpose([0, 2, 3, 1]).numpy()
    mask = (rng.random([2, 48, 64]) > 0.3).astype("float32")
    mask[:, 10:30, 20:44] = 0
    guide = np.clip(picture + 0.1 * rng.standard_normal(picture.shape), 0, 1).astype("float32")
    np.savez(folder / "inputs.npz", picture=picture, mask=mask, guide=guide)
    subprocess.run([sys.executable, "-c", RUN_THE_TWIN, str(folder), request.param], cwd=ROOT, check=True)
    first_to_third = [paddle.to_tensor(t.transpose(0, 3, 1, 2)) for t in (picture, guide)]
    return folder, first_to_third[0], paddle.to_tensor(mask[:, None]), first_to_third[1]


def test_its_surfaces_are_ours(twin):
    folder, image, mask, guide = twin
    theirs = np.load(folder / "outputs.npz")["surfaces"]
    np.testing.assert_allclose(smooth_surfaces(image, mask, guide).numpy(), theirs, atol=1e-4)


def test_its_output_is_ours(twin):
    folder, image, mask, guide = twin
    model = as_project(dict(np.load(folder / "weights.npz")))
    model.eval()
    theirs = np.load(folder / "outputs.npz")["output"]
    assert np.ptp(theirs) > 0.5
    np.testing.assert_allclose(model(image * mask, mask, guide).numpy(), theirs, atol=2e-4)


def test_what_it_learnt_becomes_weights_of_the_project(twin, tmp_path):
    from inpainting.checkpoint import load_weights

    main(["--run", str(twin[0]), "--output", str(tmp_path / "weights"), "--dtype", "float32", "--about", "a test"])
    model = load_weights(tmp_path / "weights")
    assert model.model_options == {
        "base_channels": 4,
        "depth": 3,
        "output": "linear",
        "prior": "smooth",
        "norm": "none",
        "picture_range": "unit",
    }
    arrays = np.load(twin[0] / "weights.npz")
    for name, value in model.state_dict().items():
        np.testing.assert_array_equal(value.numpy(), arrays[name])


def test_steps_are_those_of_the_project():
    from experiments.torch_twin.surface import STEPS

    assert STEPS == PRIOR_STEPS


RUN_THE_LOSS = """
import sys, numpy as np, torch
from experiments.torch_twin.full_loss import FullLoss
from experiments.torch_twin.samples import Batch
folder = sys.argv[1]
inputs = {name: torch.from_numpy(array) for name, array in np.load(folder + "/pictures.npz").items()}
batch = Batch(inputs["truth"], inputs["mask"], None, None)
np.save(folder + "/loss.npy", FullLoss(torch.float32)(inputs["output"], batch).item())
"""


def test_its_full_loss_is_ours_by_the_area_of_the_hole(tmp_path):
    pytest.importorskip("torch")
    from losses import InpaintingLoss
    from losses.inpainting import composite

    rng = np.random.default_rng(3)
    truth, output = rng.random([2, 2, 3, 32, 40]).astype("float32")
    mask = (rng.random([2, 1, 32, 40]) > 0.3).astype("float32")
    mask[1, :, 4:20, 10:30] = 0
    output = composite(*map(paddle.to_tensor, (output, truth, mask))).numpy()
    np.savez(tmp_path / "pictures.npz", truth=truth, output=output, mask=mask)
    subprocess.run([sys.executable, "-c", RUN_THE_LOSS, str(tmp_path)], cwd=ROOT, check=True)
    ours, expected = InpaintingLoss(), []
    for i in range(2):
        terms = ours(*(paddle.to_tensor(t[i : i + 1]) for t in (output, truth, mask)))
        expected.append(float(ours.total(terms)) / (1 - mask[i]).mean())
    assert np.load(tmp_path / "loss.npy") == pytest.approx(np.mean(expected), rel=1e-4)


RUN_DEEPFILL = """
import sys, numpy as np, torch
from experiments.torch_twin import train_deepfill as twin
from experiments.torch_twin.deepfill import TwinCritics, TwinDeepFill
folder = sys.argv[1]
truth, mask, at = (torch.from_numpy(array) for array in np.load(folder + "/pictures.npz").values())
torch.manual_seed(1)
model, critics = TwinDeepFill(4), TwinCritics(64, 4)
twin._painted = lambda model, truth, mask: model(truth * mask, mask)  # without bfloat16
torch.rand = lambda *_: at
of_critics, logged = twin.criticise(model, critics, truth, mask)
of_generator, terms = twin.paint(model, critics, truth, mask)
(of_critics + of_generator).backward()
terms |= logged
terms["gradient"] = sum(p.grad.abs().sum() for p in model.parameters())
terms["gradient_critics"] = sum(p.grad.abs().sum() for p in critics.parameters())
np.savez(folder + "/weights.npz", **{name: value.numpy() for name, value in model.state_dict().items()})
np.savez(folder + "/critics.npz", **{name: value.numpy() for name, value in critics.state_dict().items()})
np.savez(folder + "/terms.npz", **{name: value.item() for name, value in terms.items()})
"""


def test_its_deepfill_and_what_it_learns_from_are_ours(tmp_path, monkeypatch):
    pytest.importorskip("torch")
    from engine.adversarial import AdversarialTask
    from engine.settings import Settings
    from losses.wgan import GeneratorLoss
    from models.critics import Critics

    rng = np.random.default_rng(4)
    truth, at = rng.random([2, 3, 64, 64]).astype("float32"), rng.random([2, 1, 1, 1]).astype("float32")
    mask = np.ones([2, 1, 64, 64], "float32")
    mask[0, :, 3:30, 20:51] = mask[1, :, 40:64, 0:25] = 0
    np.savez(tmp_path / "pictures.npz", truth=truth, mask=mask, at=at)
    subprocess.run([sys.executable, "-c", RUN_DEEPFILL, str(tmp_path)], cwd=ROOT, check=True)
    theirs = np.load(tmp_path / "terms.npz")
    model, critics = as_project(dict(np.load(tmp_path / "weights.npz"))), Critics(64, base_channels=4)
    arrays = np.load(tmp_path / "critics.npz")
    critics.set_state_dict({k: v.T if "linear.weight" in k else v for k, v in arrays.items()})
    monkeypatch.setattr(paddle, "rand", lambda _: paddle.to_tensor(at))
    task = AdversarialTask(model, critics, GeneratorLoss(), Settings(max_iters=1, batch_size=2, lr=1e-4))
    of_critics, logged = task._critic_loss(paddle.to_tensor(truth), paddle.to_tensor(mask))
    of_generator, terms = task._generator_loss(paddle.to_tensor(truth), paddle.to_tensor(mask))
    (of_critics + of_generator).backward()
    for name, value in (terms | logged).items():
        assert float(value) == pytest.approx(float(theirs[name]), rel=1e-3, abs=1e-5), name
    for name, network in (("gradient", model), ("gradient_critics", critics)):
        total = sum(float(p.grad.abs().sum()) for p in network.parameters() if p.grad is not None)
        assert total == pytest.approx(float(theirs[name]), rel=1e-3), name
