"""DeepFillv1's training: who is updated when and by what, and what is left behind."""

import csv

import numpy as np
import paddle
import pytest

from datasets.inpainting import GeneratedMasks, InpaintingDataset, SamplePhotos
from engine import adversarial
from engine.adversarial import AdversarialTask
from engine.settings import Settings
from engine.trainer import Trainer
from engine.validation import ValidationSet
from losses.inpainting import composite
from losses.wgan import GeneratorLoss, critic_loss, gradient_penalty
from models import build_model
from models.critics import Critics, crop_boxes

SIZE = 32


def make_task(**changes):
    settings = Settings(**{"max_iters": 4, "batch_size": 2, "lr": 1e-3, "critic_steps": 2, "num_workers": 0, **changes})
    paddle.seed(0)
    model = build_model("deepfill_v1", base_channels=4)
    return AdversarialTask(model, Critics(SIZE, base_channels=4), GeneratorLoss(), settings)


def make_trainer(log_dir, **changes):
    task = make_task(log_every=1, val_every=2, save_every=2, **changes)
    dataset = InpaintingDataset(SamplePhotos("train"), GeneratedMasks(shape="both"), SIZE, seed=0)
    return Trainer(task, dataset, ValidationSet(SamplePhotos("val"), SIZE, 12, "both"), task.settings, log_dir)


def batch(n=2, seed=0):
    rng = np.random.default_rng(seed)
    gt, mask = rng.random([n, 3, SIZE, SIZE]).astype("float32"), np.ones([n, 1, SIZE, SIZE], "float32")
    mask[:, :, 4:14, 10:22] = 0
    return paddle.to_tensor(gt), paddle.to_tensor(mask)


def state(network):
    return {name: t.numpy().copy() for name, t in network.state_dict().items()}


def test_critics_are_updated_first_then_the_generator_alone(monkeypatch):
    task, seen = make_task(), []
    update = adversarial.update

    def watch(network, optimizer, loss_of, batches):
        before = {name: state(n) for name, n in task.networks.items()}
        terms = update(network, optimizer, loss_of, batches)
        after = {name: state(n) for name, n in task.networks.items()}
        changed = [n for n in before if any((before[n][key] != after[n][key]).any() for key in after[n])]
        seen.append((changed, [float(gt.sum()) for gt, _ in batches]))
        return terms

    monkeypatch.setattr(adversarial, "update", watch)
    batches = [batch(seed=i) for i in range(3)]
    terms = task.step(batches)
    assert [changed for changed, _ in seen] == [["critics"], ["critics"], ["generator"]]
    assert [sums for _, sums in seen] == [[float(gt.sum())] for gt, _ in batches]  # pictures of its own each
    assert tuple(terms) == task.terms
    assert not any(p.stop_gradient for n in task.networks.values() for p in n.parameters())


def test_terms_and_losses_are_what_they_are_called(monkeypatch):
    """The critics' loss against its parts, with the points between true and painted pictures given."""
    task, (gt, mask), at = make_task(), batch(), paddle.to_tensor([0.2, 0.7]).reshape([2, 1, 1, 1])
    monkeypatch.setattr(adversarial, "gradient_penalty", lambda *a: gradient_penalty(*a, at=at))
    loss, terms = task._critic_loss(gt, mask)
    painted = composite(task.model(gt * mask.expand_as(gt), mask), gt, mask)
    np.testing.assert_array_equal((painted * mask).numpy(), (gt * mask).numpy())
    expected = 0.0
    [top, left, height, width] = crop_boxes(mask, SIZE // 2)[0].tolist()
    for name, critic, cut in (
        ("global", task.critics.whole, lambda t: t),
        ("local", task.critics.local, lambda t: t[:, :, top : top + height, left : left + width]),
    ):
        distance = critic_loss(critic(cut(gt)), critic(cut(painted)))
        penalty = gradient_penalty(critic, cut(gt), cut(painted), cut(mask), at=at)
        assert float(terms[f"wasserstein_{name}"]) == pytest.approx(-float(distance), abs=1e-6)
        assert float(terms[f"penalty_{name}"]) == pytest.approx(float(penalty), rel=1e-4)
        expected += float(distance) + 10 * float(penalty)
    assert float(loss) == pytest.approx(expected, rel=1e-4)


def test_a_run_leaves_everything_behind_and_resumes_to_the_bit(tmp_path):
    whole = make_trainer(tmp_path / "a", ema_decay=0.9, accumulate=2, lr_schedule="cosine")
    whole.run()
    assert whole.position == 4 * 2 * 2 * 3
    with open(tmp_path / "a" / "metrics.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    for term in whole.task.terms:
        assert rows[0][term], term
    loss = sum(weight * float(rows[0][term]) for term, weight in whole.task.weights.items())
    assert float(rows[0]["loss"]) == pytest.approx(loss, rel=1e-4)
    assert {p.name for p in (tmp_path / "a" / "checkpoints" / "iter_4").iterdir()} == {
        *("model.pdparams", "model.pdopt", "model_ema.pdparams", "critics.pdparams", "critics.pdopt", "meta.json")
    }
    resumed = make_trainer(tmp_path / "b", ema_decay=0.9, accumulate=2, lr_schedule="cosine")
    resumed.resume(tmp_path / "a" / "checkpoints" / "iter_2")
    resumed.run()
    for name, network in whole.task.networks.items():
        for key, value in state(network).items():
            np.testing.assert_array_equal(value, state(resumed.task.networks[name])[key], err_msg=f"{name} {key}")
