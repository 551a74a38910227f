"""Networks against a critic: who is updated when, by what, and what a resumed run has to know."""

import numpy as np
import paddle
import pytest

from datasets.inpainting import GeneratedMasks, InpaintingDataset, SamplePhotos
from engine.critic import CriticTask, DeepFillCriticTask
from engine.settings import Settings
from engine.trainer import Trainer
from engine.validation import ValidationSet
from losses import InpaintingLoss
from losses.hinge import feature_matching, generator_score
from losses.inpainting import composite
from losses.wgan import GeneratorLoss, discount_map, weighted_l1
from models import build_model
from models.cell_critics import PatchCritic, ProjectedCritic

SIZE = 32


class Pooled(paddle.nn.Layer):
    """Features that cost little."""

    channels = (3, 3)

    def forward(self, picture):
        return [paddle.nn.functional.avg_pool2d(picture, side, stride=side) for side in (2, 4)]


def make_task(kind="projected", alone=1, network="pconv_unet", **changes):
    settings = Settings(**{"max_iters": 4, "batch_size": 2, "lr": 1e-3, "num_workers": 0, **changes})
    paddle.seed(0)
    if network == "deepfill_v1":
        task, model, criterion = DeepFillCriticTask, build_model(network, base_channels=4), GeneratorLoss()
    else:
        task, model = CriticTask, build_model(network, base_channels=4, depth=3)
        criterion = InpaintingLoss(Pooled(), {"perceptual": 0, "style": 0})
    critic = PatchCritic() if kind == "patch" else ProjectedCritic(Pooled.channels)
    weights = {"adversarial": 1.0, "matching": 2.0}
    return task(model, criterion, settings, critic, Pooled(), weights, alone_iters=alone, ramp_iters=2)


def make_trainer(log_dir, kind="projected", network="pconv_unet", **changes):
    task = make_task(kind, network=network, log_every=1, val_every=4, save_every=2, **changes)
    dataset = InpaintingDataset(SamplePhotos("train"), GeneratedMasks(shape="wide"), SIZE, seed=0)
    return Trainer(task, dataset, ValidationSet(SamplePhotos("val"), SIZE, 4, "wide"), task.settings, log_dir)


def batch(bottom=24):
    rng = np.random.default_rng(0)
    mask = np.ones([2, 1, SIZE, SIZE], "float32")
    mask[:, :, 4:bottom, 10:26] = 0
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


def test_deepfill_has_the_l1_of_both_stages_and_the_critic_of_the_refined_one():
    """Terms and gradients of the network's loss against a plain computation, half way up the ramp."""
    task, (gt, mask) = make_task("patch", network="deepfill_v1"), batch(bottom=14)  # attention needs known patches
    task.schedule(2)
    task.critic.eval()  # its power method goes on with each call
    loss, terms = task._loss(gt, mask)
    loss.backward()
    gradients = {name: p.grad.numpy().copy() for name, p in task.model.named_parameters()}
    task.model.clear_gradients()
    coarse, refined, _ = task.model(gt * mask, mask, stages=True)
    comp, hole, pooled = composite(refined, gt, mask), 1 - mask, Pooled()
    expected = {
        name: 1.2 * weighted_l1(coarse, gt, weight) + weighted_l1(refined, gt, weight)
        for name, weight in (("discounted", discount_map(mask, 0.9)), ("known", mask))
    }
    expected["adversarial"] = generator_score(task.critic(comp, None, hole), hole)
    expected["matching"] = feature_matching(pooled(gt), pooled(comp), hole)
    assert {name: float(t) for name, t in terms.items()} == pytest.approx({n: float(t) for n, t in expected.items()})
    assert task.weights == {"discounted": 1.2, "known": 1.2, "adversarial": 0.5, "matching": 2}
    assert task.terms == (*expected, "critic")
    sum(task.weights[name] * term for name, term in expected.items()).backward()
    for name, parameter in task.model.named_parameters():
        assert gradients[name].any(), name
        np.testing.assert_allclose(gradients[name], parameter.grad.numpy(), rtol=1e-4, atol=1e-6, err_msg=name)


@pytest.mark.parametrize(("kind", "network"), [("projected", "pconv_unet"), ("patch", "deepfill_v1")])
def test_a_run_resumes_to_the_bit(tmp_path, kind, network):
    options = {"network": network, "ema_decay": 0.9, "accumulate": 2, "lr_schedule": "cosine"}
    whole = make_trainer(tmp_path / "a", kind, **options)
    whole.run()
    names = {p.name for p in (tmp_path / "a" / "checkpoints" / "iter_2").iterdir()}
    assert {"critic.pdparams", "critic.pdopt", "model.pdopt"} <= names
    resumed = make_trainer(tmp_path / "b", kind, **options)
    resumed.resume(tmp_path / "a" / "checkpoints" / "iter_2")
    resumed.run()
    for name, value in states(whole.task).items():
        np.testing.assert_array_equal(value, states(resumed.task)[name], err_msg=name)
