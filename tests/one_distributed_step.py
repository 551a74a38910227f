"""One training step of each kind as one of two processes; the first writes the gradients into a folder.

tests/test_survival.py runs it by a launcher, and compares.

Normalisation uses its running statistics: those of a batch differ between a share and the joint batch by nature.
"""

import sys
import zlib  # noqa: F401  before Paddle, see models/__init__.py
from functools import partial
from pathlib import Path
from unittest import mock

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import paddle

from datasets.inpainting import GeneratedMasks, InpaintingDataset, SamplePhotos
from engine import adversarial, distributed
from engine.critic import CriticTask
from engine.reconstruction import ReconstructionTask
from engine.settings import Settings
from engine.trainer import Trainer
from losses import InpaintingLoss, VGG16Features
from losses.wgan import GeneratorLoss, gradient_penalty
from models import build_model
from models.cell_critics import ProjectedCritic
from models.critics import Critics

JOINT_BATCH = 8


def gradients(accumulate: int = 1) -> dict[str, np.ndarray]:
    """Of ``pconv_unet`` from the joint batch, by parameter."""
    batch_size = JOINT_BATCH // distributed.world_size() // accumulate
    settings = Settings(max_iters=1, batch_size=batch_size, lr=1e-3, num_workers=0, accumulate=accumulate)
    model = small_model("pconv_unet", depth=3)
    model.eval()
    return step_once(ReconstructionTask(model, InpaintingLoss(weights={"perceptual": 0, "style": 0}), settings))


def adversarial_gradients(accumulate: int) -> dict[str, np.ndarray]:
    """Of ``deepfill_v1`` and its critics from ``accumulate`` batches of two in each process.

    Its L1 terms are over the number of hole pixels in a batch, so the joint batch's would be others.
    """
    settings = Settings(max_iters=1, batch_size=2, lr=1e-9, num_workers=0, accumulate=accumulate, critic_steps=1)
    model = small_model("deepfill_v1")
    task = adversarial.AdversarialTask(model, Critics(32, base_channels=4), GeneratorLoss(), settings)
    # Each process draws its own points between true and painted pictures: here all take the middle.
    in_the_middle = partial(gradient_penalty, at=paddle.full([1, 1, 1, 1], 0.5))
    with mock.patch.object(adversarial, "gradient_penalty", in_the_middle):
        return step_once(task)


def critic_gradients(accumulate: int) -> dict[str, np.ndarray]:
    """Of ``pconv_unet`` and its critic from ``accumulate`` batches of two in each process."""
    settings = Settings(max_iters=1, batch_size=2, lr=1e-9, num_workers=0, accumulate=accumulate)
    model = small_model("pconv_unet", depth=3)
    model.eval()
    critic, criterion = ProjectedCritic(VGG16Features.channels), InpaintingLoss(weights={"perceptual": 0, "style": 0})
    critic.eval()  # the power method of the spectral norm goes on with each batch
    weights = {"adversarial": 1.0, "matching": 1.0}
    return step_once(
        CriticTask(model, criterion, settings, critic, VGG16Features(), weights, alone_iters=0, ramp_iters=0)
    )


def small_model(name: str, **options) -> paddle.nn.Layer:
    paddle.seed(0)
    return build_model(name, base_channels=4, **options)


def step_once(task) -> dict[str, np.ndarray]:
    """The gradients of all that the task trains, after one step whose gradients are not cleared."""
    dataset = InpaintingDataset(SamplePhotos("train"), GeneratedMasks(), 32, seed=0)
    trainer = Trainer(task, dataset, None, task.settings, Path("unused"))
    for optimizer in (value for value in vars(task).values() if isinstance(value, paddle.optimizer.Optimizer)):
        optimizer.clear_grad = lambda: None
    task.step(next(iter(trainer.batches())))
    return {
        f"{kind}.{name}": p.grad.numpy()
        for kind, network in task.networks.items()
        for name, p in network.named_parameters()
        if p.grad is not None
    }


# What two processes compute, and what one does that has to come to the same.
KINDS = {
    "joint_batch": (gradients, gradients),
    "joint_batch_in_parts": (partial(gradients, accumulate=2), gradients),
    "critic": (partial(critic_gradients, accumulate=1), partial(critic_gradients, accumulate=2)),
    "adversarial": (partial(adversarial_gradients, accumulate=1), partial(adversarial_gradients, accumulate=2)),
}

if __name__ == "__main__":
    paddle.set_device("cpu")
    distributed.start()
    for kind, (of_two, _) in KINDS.items():
        found = of_two()
        if distributed.is_first():
            np.savez(Path(sys.argv[1]) / f"{kind}.npz", **found)
