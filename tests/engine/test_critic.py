"""Networks against a critic: who is updated when, by what, and what a resumed run has to know."""

import numpy as np
import paddle
import pytest

from datasets.inpainting import GeneratedMasks, InpaintingDataset, SamplePhotos
from engine.critic import CriticTask
from engine.settings import Settings
from engine.trainer import Trainer
from engine.validation import ValidationSet
from losses import InpaintingLoss
from models import build_model
from models.cell_critics import ProjectedCritic

SIZE = 32


class Pooled(paddle.nn.Layer):
    """Features that cost little."""

    channels = (3, 3)

    def forward(self, picture):
        return [paddle.nn.functional.avg_pool2d(picture, side, stride=side) for side in (2, 4)]


def make_task(alone=1, **changes):
    settings = Settings(**{"max_iters": 4, "batch_size": 2, "lr": 1e-3, "num_workers": 0, **changes})
    paddle.seed(0)
    criterion = InpaintingLoss(Pooled(), {"perceptual": 0, "style": 0})
    model, critic = build_model("pconv_unet", base_channels=4, depth=3), ProjectedCritic(Pooled.channels)
    weights = {"adversarial": 1.0, "matching": 2.0}
    return CriticTask(model, criterion, settings, critic, Pooled(), weights, alone_iters=alone, ramp_iters=2)


def make_trainer(log_dir, **changes):
    task = make_task(log_every=1, val_every=4, save_every=2, **changes)
    dataset = InpaintingDataset(SamplePhotos("train"), GeneratedMasks(shape="wide"), SIZE, seed=0)
    return Trainer(task, dataset, ValidationSet(SamplePhotos("val"), SIZE, 4, "wide"), task.settings, log_dir)


def batch():
    rng = np.random.default_rng(0)
    mask = np.ones([2, 1, SIZE, SIZE], "float32")
    mask[:, :, 4:24, 10:26] = 0
    return paddle.to_tensor(rng.random([2, 3, SIZE, SIZE]).astype("float32")), paddle.to_tensor(mask)


def states(task):
    return {
        f"{kind}.{name}": t.numpy().copy()
        for kind, network in task.networks.items()
        for name, t in network.state_dict().items()
    }


def test_the_critic_learns_alone_then_both_and_its_weight_rises():
    task, changed, weights = make_task(), [], []
    task.train()
    for done in range(4):
        task.schedule(done)
        before = states(task)
        terms = task.step([batch()])
        after = states(task)
        trained = {name for name in before if name.endswith(("weight", "bias")) and (before[name] != after[name]).any()}
        changed.append({name.partition(".")[0] for name in trained})
        weights.append(task.weights["adversarial"])
        assert {"adversarial", "matching", "critic"} <= set(terms) <= set(task.terms)
    assert changed == [{"critic"}, *[{"model", "critic"}] * 3] and weights == [0, 0, 0.5, 1]
    assert task.critic_optimizer.get_lr() == pytest.approx(3 * task.lr)


def test_a_run_resumes_to_the_bit(tmp_path):
    options = {"ema_decay": 0.9, "accumulate": 2, "lr_schedule": "cosine"}
    whole = make_trainer(tmp_path / "a", **options)
    whole.run()
    names = {p.name for p in (tmp_path / "a" / "checkpoints" / "iter_2").iterdir()}
    assert {"critic.pdparams", "critic.pdopt", "model.pdopt"} <= names
    resumed = make_trainer(tmp_path / "b", **options)
    resumed.resume(tmp_path / "a" / "checkpoints" / "iter_2")
    resumed.run()
    for name, value in states(whole.task).items():
        np.testing.assert_array_equal(value, states(resumed.task)[name], err_msg=name)
