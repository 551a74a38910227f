"""The paper's training task: one network under the composite loss (Liu et al. 2018, arXiv:1804.07723, section 4.1)."""

import contextlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import paddle

from engine.settings import Settings
from engine.task import Batch, Task, make_adam, update
from losses import InpaintingLoss
from utils.errors import InputError


class ReconstructionTask(Task):
    """Adam on ``model`` under ``criterion``.

    Args:
        model: made by ``models.build_model``.
    """

    def __init__(self, model: paddle.nn.Layer, criterion: InpaintingLoss, settings: Settings):
        prepare_norm(model, settings)
        self.model, self.criterion, self.settings = model, criterion, settings
        self.optimizer, self.networks = make_adam(model, settings), {"model": model}
        self.scaler = paddle.amp.GradScaler(enable=settings.amp and settings.amp_dtype == "float16")
        self.style_weight = criterion.weights["style"]

    @property
    def weights(self) -> dict[str, float]:
        """Of the loss terms, at present."""
        return self.criterion.weights

    @property
    def terms(self) -> tuple[str, ...]:
        return tuple(self.weights)

    def schedule(self, done: int) -> None:
        super().schedule(done)
        warm_up = done < self.settings.style_warmup_iters
        self.criterion.weights["style"] = min(1.0, self.style_weight) if warm_up else self.style_weight

    def step(self, batches: Sequence[Batch]) -> dict[str, paddle.Tensor]:
        """One update from the gradients' mean over the batches. Returns the unweighted terms, averaged likewise."""
        statistics = self._running_statistics() if self.settings.amp else []
        before = [t.clone() for t in statistics]
        terms = update(self.model, self.optimizer, self._loss, batches, self.scaler)
        for now, earlier in zip(statistics, before, strict=True):  # kept where the scaler skips a step that overflowed
            now.set_value(paddle.where(paddle.isfinite(now), now, earlier))
        return terms

    def mixed_precision(self) -> contextlib.AbstractContextManager:
        """As the settings say. Only the network and VGG16 run in it; the rest of the loss is float32."""
        return paddle.amp.auto_cast(enable=self.settings.amp, level="O1", dtype=self.settings.amp_dtype)

    def notes(self) -> dict:
        scaler = {key: np.asarray(value).reshape(-1).tolist() for key, value in self.scaler.state_dict().items()}
        return {"scaler": scaler} if scaler else {}

    def restore(self, directory: Path, notes: dict) -> None:
        super().restore(directory, notes)
        state, noted = self.scaler.state_dict(), notes.get("scaler")
        if not (noted and state):
            return
        if {key: np.size(value) for key, value in state.items()} != {key: len(noted[key]) for key in noted}:
            raise InputError(f"{directory}: expected the gradient scaler's state, got another; leave --amp O1 out")
        self.scaler.load_state_dict({key: _like(state[key], value) for key, value in noted.items()})

    def _loss(self, gt: paddle.Tensor, mask: paddle.Tensor) -> tuple[paddle.Tensor, dict[str, paddle.Tensor]]:
        with self.mixed_precision():
            terms = self._terms(self.model(gt * mask.expand_as(gt), mask), gt, mask)
        weights = self.weights
        return sum(weights[name] * term for name, term in terms.items()), terms

    def _terms(self, output: paddle.Tensor, gt: paddle.Tensor, mask: paddle.Tensor) -> dict[str, paddle.Tensor]:
        return self.criterion(output, gt, mask)  # float32 but for VGG16

    def _running_statistics(self) -> list[paddle.Tensor]:
        state = self.model.state_dict()
        return [state[name] for name in self.model.running_statistics()]


def prepare_norm(model: paddle.nn.Layer, settings: Settings) -> None:
    """Synchronise batch normalisation over the processes, and fix the encoder's, as the settings say."""
    if settings.sync_norm:
        # The encoder's is fixed in fine-tuning, and Paddle's synchronised one has no gradient in evaluation mode.
        trained = model.decoder if settings.phase == "finetune" else model
        paddle.nn.SyncBatchNorm.convert_sync_batchnorm(trained)
    if settings.phase == "finetune":
        model.freeze_encoder_norm()


def _like(present, values: list):
    """The list as what the scaler keeps: an array or a plain number."""
    return np.asarray(values, present.dtype) if isinstance(present, np.ndarray) else type(present)(values[0])
