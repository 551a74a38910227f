"""The critic of train.py and the twin's in PyTorch are one: loss and gradients, and the features that they look at."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import paddle
import pytest

from losses import EfficientNetLite0Features
from losses.hinge import critic_loss, feature_matching, generator_score
from models.cell_critics import ProjectedCritic

ROOT = Path(__file__).resolve().parents[2]

RUN_THE_CRITIC = """
import sys, numpy as np, torch
from experiments.torch_twin import adversarial as twin
folder = sys.argv[1]
given = {name: torch.from_numpy(array) for name, array in np.load(folder + "/given.npz").items()}
torch.manual_seed(0)
critic = twin.Critic()
state = {name: value.clone().numpy() for name, value in critic.state_dict().items()}
real = [given[f"real_{i}"] for i in range(4)]
fake = [given[f"fake_{i}"].requires_grad_() for i in range(4)]
judged = twin.Judged(real, fake, given["hole"])
found = {"critic": twin.critic_loss(critic, judged)}
found["critic"].backward()
gradients = {"critic/" + name: p.grad.clone() for name, p in critic.named_parameters()}
terms = twin.generator_terms(critic, judged)
(terms["adversarial"] + 2 * terms["features"]).backward()
gradients |= {f"fake_{i}": tap.grad for i, tap in enumerate(fake)}
found |= terms
np.savez(folder + "/state.npz", **state)
np.savez(folder + "/found.npz", **{k: v.detach().numpy() for k, v in (found | gradients).items()})
"""


def ours_of(name: str) -> str:
    """The twin's name of a parameter or vector to ours."""
    name = name.replace(".layers.", ".").replace("parametrizations.weight.original", "weight")
    return name.replace("parametrizations.weight.0._", "")


def test_losses_and_gradients_are_the_twins(tmp_path):
    pytest.importorskip("torch")
    rng = np.random.default_rng(0)
    taps = [(c, 32 // 2**i) for i, c in enumerate(EfficientNetLite0Features.channels)]
    given = {
        f"{kind}_{i}": rng.standard_normal([2, c, side, side]).astype("float32")
        for kind in ("real", "fake")
        for i, (c, side) in enumerate(taps)
    }
    hole = np.zeros([2, 1, 64, 64], "float32")
    hole[0, :, 5:30, 7:50] = hole[1, :, 40:] = 1
    np.savez(tmp_path / "given.npz", hole=hole, **given)
    subprocess.run([sys.executable, "-c", RUN_THE_CRITIC, str(tmp_path)], cwd=ROOT, check=True)
    theirs, critic = np.load(tmp_path / "found.npz"), ProjectedCritic(EfficientNetLite0Features.channels)
    state = {ours_of(name): array for name, array in np.load(tmp_path / "state.npz").items()}
    assert set(state) == set(critic.state_dict())
    critic.set_state_dict(state)
    critic.train()
    hole = paddle.to_tensor(hole)
    real, fake = ([paddle.to_tensor(given[f"{kind}_{i}"]) for i in range(4)] for kind in ("real", "fake"))
    loss = critic_loss(critic(real, hole), critic(fake, hole), hole)
    loss.backward()
    gradients = {f"critic/{name}": p.grad.numpy() for name, p in critic.named_parameters()}
    for tap in fake:
        tap.stop_gradient = False
    score, matching = generator_score(critic(fake, hole), hole), feature_matching(real, fake, hole)
    (score + 2 * matching).backward()
    gradients |= {f"fake_{i}": tap.grad.numpy() for i, tap in enumerate(fake)}
    for name, value in (("critic", loss), ("adversarial", score), ("features", matching)):
        assert float(value) == pytest.approx(float(theirs[name]), rel=1e-4), name
    for name in theirs.files:
        ours = f"critic/{ours_of(name.removeprefix('critic/'))}" if name.startswith("critic/") else name
        if ours in gradients:
            scale = np.abs(theirs[name]).max()
            np.testing.assert_allclose(gradients.pop(ours), theirs[name], atol=2e-4 * scale, err_msg=name)
    assert not gradients


RUN_THE_FEATURES = """
import sys, numpy as np, torch
from experiments.torch_twin.adversarial import LiteFeatures, package_weights
folder = sys.argv[1]
features = LiteFeatures()
with torch.no_grad():
    taps = features(torch.from_numpy(np.load(folder + "/picture.npy")))
np.savez(folder + "/taps.npz", *[tap.numpy() for tap in taps])
state = torch.load(package_weights(), map_location="cpu", weights_only=True)
np.savez(folder + "/weights.npz", **{name: value.numpy() for name, value in state.items()})
"""


def test_features_are_the_twins(tmp_path):
    pytest.importorskip("torch")
    pytest.importorskip("efficientnet_lite_pytorch")
    picture = np.random.default_rng(0).random([2, 3, 64, 64]).astype("float32")
    np.save(tmp_path / "picture.npy", picture)
    subprocess.run([sys.executable, "-c", RUN_THE_FEATURES, str(tmp_path)], cwd=ROOT, check=True)
    ours = EfficientNetLite0Features(dict(np.load(tmp_path / "weights.npz")))(paddle.to_tensor(picture))
    with np.load(tmp_path / "taps.npz") as theirs:
        for tap, expected in zip(ours, theirs.values(), strict=True):
            np.testing.assert_allclose(tap.numpy(), expected, atol=1e-4 * np.abs(expected).max())
