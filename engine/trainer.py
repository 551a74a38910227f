"""The training loop: initial phase and fine-tuning, schedules, validation, checkpoints.

Liu et al. 2018, arXiv:1804.07723, section 4.1: Adam at 2e-4 with batch normalisation on, then fine-tuning at 5e-5
with the encoder's batch normalisation frozen.
"""

import logging
import math
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import paddle
from paddle.io import DataLoader
from paddle.utils import unique_name

from datasets.inpainting import InpaintingDataset, StreamBatchSampler
from datasets.masks import polarity_warning
from engine.checkpoint import CheckpointFolder
from engine.inpainter import Inpainter
from engine.logger import RunLogger
from engine.validation import ValidationSet
from losses import InpaintingLoss

log = logging.getLogger("paddle_pconv")


@dataclass(frozen=True)
class Settings:
    """How long, how fast and how often. Counts are in iterations."""

    max_iters: int
    batch_size: int
    lr: float
    phase: str = "initial"  # or "finetune": the encoder's batch normalisation frozen
    lr_schedule: str = "constant"  # or "linear", "cosine": to 0 at max_iters
    style_warmup_iters: int = (
        0  # with style weight 1 first: too great a weight at the start leaves fish-scale artefacts
    )
    amp: bool = False
    log_every: int = 20
    val_every: int = 2000
    save_every: int = 5000
    num_workers: int = 2
    seed: int = 0


class NonFiniteLossError(RuntimeError):
    """A loss term became NaN or infinite."""


class Trainer:
    """Trains ``model`` under ``criterion`` and writes the run's folder.

    Args:
        model: made by ``models.build_model``.
        dataset: positions to (gt, mask); see ``datasets.inpainting``.
        log_dir: logs/<name>.
    """

    def __init__(
        self,
        model: paddle.nn.Layer,
        criterion: InpaintingLoss,
        dataset: InpaintingDataset,
        validation: ValidationSet,
        settings: Settings,
        log_dir: Path,
    ):
        self.model, self.criterion, self.dataset, self.validation = model, criterion, dataset, validation
        self.settings, self.log_dir = settings, Path(log_dir)
        self.checkpoints = CheckpointFolder(self.log_dir / "checkpoints")
        if settings.phase == "finetune":
            model.freeze_encoder_norm()
        # use_multi_tensor: the plain update starts a second pool of threads on CPU, which then fights the
        # convolutions' own.
        self.optimizer = paddle.optimizer.Adam(settings.lr, parameters=model.parameters(), use_multi_tensor=True)
        self.scaler = paddle.amp.GradScaler(enable=settings.amp)
        self.style_weight = criterion.weights["style"]

    def run(self, start_iter: int = 0) -> None:
        """Train from ``start_iter`` to ``max_iters``; validates, draws samples and saves at the end too.

        Raises:
            NonFiniteLossError: naming the term; the checkpoints before it are whole.
        """
        logger = RunLogger(self.log_dir, self.settings.max_iters, start_iter)
        try:
            self._loop(logger, start_iter)
        finally:
            logger.close()

    def train_step(self, gt: paddle.Tensor, mask: paddle.Tensor) -> dict[str, float]:
        """One update from a batch: gt [N, 3, S, S], mask [N, 1, S, S]. Returns the raw terms."""
        with paddle.amp.auto_cast(enable=self.settings.amp, level="O1"):
            output = self.model(gt * mask.expand_as(gt), mask)
        terms = self.criterion(output, gt, mask)
        values = _finite_values(terms)
        self.scaler.scale(self.criterion.total(terms)).backward()
        with unique_name.guard():  # Adam names its moments at its first step: alike in every process, or no state fits
            self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.clear_grad()
        return values

    def _loop(self, logger: RunLogger, start_iter: int) -> None:
        s = self.settings
        sampler = StreamBatchSampler(s.batch_size, s.max_iters, start_iter)
        loader = DataLoader(self.dataset, batch_sampler=sampler, num_workers=s.num_workers)
        window = _Window()
        self.model.train()
        for iteration, (gt, mask) in enumerate(loader, start_iter + 1):
            if iteration == start_iter + 1:
                _warn_of_inverted_masks(mask)
            window.data_arrived()
            self._set_schedules(iteration - 1)
            terms = self._step_or_stop(iteration, gt, mask)
            window.step_done(terms)
            logger.bar.update()
            if iteration % s.log_every == 0 or iteration == s.max_iters:
                self._log(logger, iteration, window)
            if iteration % s.val_every == 0 or iteration == s.max_iters:
                self._validate(logger, iteration)
            if iteration % s.save_every == 0 or iteration == s.max_iters:
                self._save(iteration)
            window.loop_again()

    def _step_or_stop(self, iteration: int, gt, mask) -> dict[str, float]:
        try:
            return self.train_step(gt, mask)
        except NonFiniteLossError as error:
            raise NonFiniteLossError(f"iteration {iteration}: {error}") from None

    def _set_schedules(self, done: int) -> None:
        """Learning rate and style weight are functions of the iterations done: a resumed run needs no state of them."""
        s = self.settings
        self.optimizer.set_lr(s.lr * decay(s.lr_schedule, done / s.max_iters))
        self.criterion.weights["style"] = (
            min(1.0, self.style_weight) if done < s.style_warmup_iters else self.style_weight
        )

    def _log(self, logger: RunLogger, iteration: int, window: "_Window") -> None:
        epochs = iteration * self.settings.batch_size / len(self.dataset.pictures)
        terms = window.mean_terms()
        weighted = {name: self.criterion.weights[name] * value for name, value in terms.items()}
        row = {
            "iter": iteration,
            "epoch": math.ceil(epochs),
            "lr": self.optimizer.get_lr(),
            "loss": sum(weighted.values()),
            **terms,
            **window.costs(self.settings.batch_size),
        }
        logger.training(row, weighted, epochs)
        window.clear()

    def _validate(self, logger: RunLogger, iteration: int) -> None:
        inpainter = Inpainter(self.model)
        logger.validation(iteration, self.validation.measure(inpainter))
        logger.samples(iteration, self.validation.samples(inpainter))
        self.model.train()

    def _save(self, iteration: int) -> None:
        s = self.settings
        directory = self.checkpoints.save(
            self.model,
            self.optimizer,
            iteration,
            phase=s.phase,
            seed=s.seed,
            batch_size=s.batch_size,
            settings=asdict(s),
        )
        log.info(f"[SAVE] {directory}")


def decay(schedule: str, progress: float) -> float:
    """Factor of the learning rate at ``progress`` in [0, 1] of the run."""
    if schedule == "linear":
        return 1 - progress
    if schedule == "cosine":
        return (1 + math.cos(math.pi * progress)) / 2
    return 1.0


def _finite_values(terms: dict[str, paddle.Tensor]) -> dict[str, float]:
    """The terms' values, fetched from the device at once."""
    values = dict(zip(terms, paddle.stack([t.detach() for t in terms.values()]).tolist(), strict=True))
    if bad := [f"{name} = {value}" for name, value in values.items() if not math.isfinite(value)]:
        raise NonFiniteLossError(f"expected finite loss terms, got {', '.join(bad)}; lower --lr, or use --amp O0")
    return values


def _warn_of_inverted_masks(mask: paddle.Tensor) -> None:
    if warning := polarity_warning(1 - float(mask.mean())):
        log.warning(warning)


class _Window:
    """Means since the last log line: loss terms, seconds waiting for data, seconds an iteration."""

    def __init__(self):
        self.mark = time.perf_counter()
        self.clear()

    def clear(self) -> None:
        self.terms: list[dict] = []
        self.reader = self.batch = 0.0

    def data_arrived(self) -> None:
        self.reader += time.perf_counter() - self.mark

    def step_done(self, terms: dict[str, float]) -> None:
        self.terms.append(terms)
        self.batch += time.perf_counter() - self.mark

    def loop_again(self) -> None:
        self.mark = time.perf_counter()

    def mean_terms(self) -> dict[str, float]:
        return {name: sum(t[name] for t in self.terms) / len(self.terms) for name in self.terms[-1]}

    def costs(self, batch_size: int) -> dict[str, float]:
        steps = len(self.terms)
        return {
            "reader_cost": self.reader / steps,
            "batch_cost": self.batch / steps,
            "ips": batch_size * steps / self.batch,
        }
