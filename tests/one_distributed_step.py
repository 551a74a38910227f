"""One training step as one of many processes; the first writes the gradients. test_survival.py runs it by a launcher.

Normalisation uses its running statistics: those of a batch differ between a share and the joint batch by nature.
"""

import sys
import zlib  # noqa: F401  before Paddle, see models/__init__.py
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import paddle

from datasets.inpainting import GeneratedMasks, InpaintingDataset, SamplePhotos
from engine import distributed
from engine.reconstruction import ReconstructionTask
from engine.settings import Settings
from engine.trainer import Trainer
from losses import InpaintingLoss
from models import build_model

JOINT_BATCH = 8


def gradients(accumulate: int = 1) -> dict[str, np.ndarray]:
    batch_size = JOINT_BATCH // distributed.world_size() // accumulate
    settings = Settings(max_iters=1, batch_size=batch_size, lr=1e-3, num_workers=0, accumulate=accumulate)
    paddle.seed(0)
    model = build_model("pconv_unet", base_channels=4, depth=3)
    task = ReconstructionTask(model, InpaintingLoss(weights={"perceptual": 0, "style": 0}), settings)
    dataset = InpaintingDataset(SamplePhotos("train"), GeneratedMasks(), 32, seed=0)
    trainer = Trainer(task, dataset, None, settings, Path("unused"))
    model.eval()
    task.optimizer.clear_grad = lambda: None
    task.step(next(iter(trainer.batches())))
    return {name: p.grad.numpy() for name, p in model.named_parameters() if not p.stop_gradient}


if __name__ == "__main__":
    paddle.set_device("cpu")
    distributed.start()
    found = gradients(int(sys.argv[2]))
    if distributed.is_first():
        np.savez(sys.argv[1], **found)
