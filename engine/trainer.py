"""The training loop: data, schedules, validation, averaged weights, checkpoints, alarms; the task makes the steps."""

import contextlib
import itertools
import logging
import math
import signal
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import paddle

from datasets.inpainting import InpaintingDataset, StreamBatchSampler
from datasets.masks import emptiness_warning, polarity_warning
from engine import alarms, distributed
from engine.ema import WeightAverage
from engine.logger import RunLogger
from engine.readers import read_batches
from engine.settings import Settings
from engine.task import NonFiniteLossError, Task, mean_terms
from engine.training_state import CheckpointFolder
from engine.validation import ValidationSet
from inpainting.checkpoint import EMA_PARAMS, PARAMS, load_arrays_into, read_arrays, read_meta, weights_file
from inpainting.inpainter import Inpainter

log = logging.getLogger("paddle_pconv")


class Stopped(Exception):
    """The run was asked to stop by a signal, and saved its state."""

    def __init__(self, signum: int, directory: Path):
        super().__init__(
            f"stopped by {signal.Signals(signum).name}, all saved in {directory}; go on with --resume auto"
        )
        self.signum = signum


class Trainer:
    """Trains a task's network and writes the run's folder.

    Args:
        dataset: positions to (gt, mask); see ``datasets.inpainting``.
        log_dir: logs/<name>.
    """

    def __init__(
        self,
        task: Task,
        dataset: InpaintingDataset,
        validation: ValidationSet,
        settings: Settings,
        log_dir: Path,
    ):
        self.task, self.dataset, self.validation = task, dataset, validation
        self.settings, self.log_dir = settings, Path(log_dir)
        self.checkpoints = CheckpointFolder(self.log_dir / "checkpoints", settings.keep)
        self.ema = WeightAverage(task.model, settings.ema_decay) if settings.ema_decay else None
        self.iteration = 0  # done
        self.position = 0  # samples seen, of the stream that all processes share
        self._saved = None

    @property
    def samples_per_iteration(self) -> int:
        """Of all processes together."""
        return self.settings.batches_per_iteration * self.settings.batch_size * distributed.world_size()

    def resume(self, directory: Path) -> None:
        """Take up the run where a checkpoint left it; in another phase, from its weights alone."""
        meta, s = read_meta(directory), self.settings
        same_phase = meta.get("phase", s.phase) == s.phase
        load_arrays_into(self.task.model, directory / PARAMS if same_phase else weights_file(directory))
        self.iteration = self._saved = int(meta.get("iter", 0))
        self.position = int(meta.get("position", self.iteration * int(meta.get("batch_size", s.batch_size))))
        if same_phase:
            self.task.restore(directory, meta)
        if self.ema:
            updates = meta.get("ema_updates", 0) if same_phase else 0
            self.ema.set_state_dict(read_arrays(weights_file(directory)), updates)

    def run(self) -> None:
        """Train to ``max_iters``; validates, draws samples and saves at the end too.

        Raises:
            NonFiniteLossError: naming the term; the checkpoints before it are whole.
            Stopped: by SIGTERM or Ctrl-C, everything saved.
        """
        first = distributed.is_first()
        logger = RunLogger(self.log_dir, self.settings.max_iters, self.task.terms, self.iteration) if first else None
        try:
            with _StopRequest() as stop, contextlib.closing(self.batches()) as stream:
                self._loop(stream, logger, stop)
        finally:
            if logger:
                logger.close()

    def _loop(self, stream: Iterator[list], logger: RunLogger | None, stop: "_StopRequest") -> None:
        s, window, start = self.settings, _Window(), self.iteration
        self.task.train()
        for batches in stream:
            if self.iteration == start:
                self._look_at_data(batches)
            window.data_arrived()
            terms = self.step(batches)
            window.step_done(terms)
            if self.iteration == 1:
                _warn(*alarms.loss_at_start(terms))
            if logger:
                logger.bar.update()
            if self._is_due(s.log_every):
                self._log(logger, window, batches[-1][1])
            if self._is_due(s.val_every):
                self._validate(logger)
            if self._is_due(s.save_every):
                self._save()
            if distributed.any_of(stop.signum is not None):
                raise Stopped(stop.signum or signal.SIGTERM, self._save())
            window.loop_again()

    def batches(self) -> Iterator[list]:
        """The batches of each iteration still to do."""
        s = self.settings
        count = (s.max_iters - self.iteration) * s.batches_per_iteration
        sampler = StreamBatchSampler(s.batch_size, count, self.position, distributed.rank(), distributed.world_size())
        with contextlib.closing(read_batches(self.dataset, sampler, s.num_workers)) as stream:
            while group := list(itertools.islice(stream, s.batches_per_iteration)):
                yield group

    def step(self, batches: list) -> dict[str, float]:
        """One iteration. Returns the raw terms."""
        s = self.settings
        self.task.schedule(self.iteration)
        # What is drawn at random in a step is a function of seed, iteration and process: a resumed run draws the same.
        paddle.seed((s.seed * 1_000_003 + self.iteration) * 1009 + distributed.rank())
        try:
            terms = self.task.step(batches)
        except NonFiniteLossError as error:
            raise NonFiniteLossError(f"iteration {self.iteration + 1}: {error}") from None
        self.iteration += 1
        self.position += self.samples_per_iteration
        if self.ema:
            self.ema.update()
        return terms

    def _is_due(self, every: int) -> bool:
        return self.iteration % every == 0 or self.iteration == self.settings.max_iters

    def _log(self, logger: RunLogger | None, window: "_Window", mask: paddle.Tensor) -> None:
        terms = distributed.mean(window.mean_terms())
        if logger:
            epochs = self.position / len(self.dataset.pictures)
            weighted = {name: weight * terms[name] for name, weight in self.task.weights.items() if name in terms}
            row = {
                "iter": self.iteration,
                "epoch": math.ceil(epochs),
                "lr": self.task.lr,
                "loss": sum(weighted.values()),
                **terms,
                **window.costs(self.samples_per_iteration),
            }
            logger.training(row, weighted, epochs)
            logger.mask_coverage(self.task.model.mask_coverage(mask), self.iteration)
        window.clear()

    def _validate(self, logger: RunLogger | None) -> None:
        self._agree()
        with self.ema.applied() if self.ema else contextlib.nullcontext():
            inpainter = Inpainter(self.task.model)
            rows = self.validation.measure(inpainter)
            if logger:
                psnr = logger.validation(self.iteration, rows)
                logger.samples(self.iteration, self.validation.samples(inpainter))
                _warn(alarms.worse_than_mean_fill(self.iteration, psnr, self.validation.mean_fill_psnr))
        self.task.train()

    def _save(self) -> Path:
        s = self.settings
        directory = self.checkpoints.directory / f"iter_{self.iteration}"
        if self._saved == self.iteration:
            return directory
        self._agree()
        if distributed.is_first():
            notes = self.task.notes() | ({"ema_updates": self.ema.updates} if self.ema else {})
            averaged = {EMA_PARAMS: self.ema.state_dict()} if self.ema else {}
            self.checkpoints.save(
                self.task.model,
                self.iteration,
                self.task.states() | averaged,
                position=self.position,
                phase=s.phase,
                seed=s.seed,
                batch_size=s.batch_size,
                settings=asdict(s),
                **notes,
            )
            log.info(f"[SAVE] {directory}")
        self._saved = self.iteration
        return directory

    def _agree(self) -> None:
        """Every process has gathered running statistics of its own samples: take their means."""
        names = self.task.model.running_statistics()
        held = [self.task.model.state_dict(), *([self.ema.average] if self.ema else [])]
        distributed.average([state[name] for state in held for name in names])

    def _look_at_data(self, batches: list) -> None:
        gt, mask = batches[0]
        ratio = 1 - float(mask.mean())
        _warn(polarity_warning(ratio), emptiness_warning(ratio), alarms.picture_range(gt.numpy()))
        _warn(alarms.holes_left(self.task.model.mask_coverage(mask)))


def _warn(*messages: str | None) -> None:
    for message in messages:
        if message and distributed.is_first():
            log.warning(message)


class _StopRequest:
    """While it lasts, SIGTERM and Ctrl-C are noted in ``signum`` and do not end the process; a second one does."""

    SIGNALS = (signal.SIGTERM, signal.SIGINT)

    def __init__(self):
        self.signum = None

    def __enter__(self) -> "_StopRequest":
        self._before = {signum: signal.signal(signum, self._note) for signum in self.SIGNALS}
        return self

    def __exit__(self, *_) -> None:
        for signum, handler in self._before.items():
            signal.signal(signum, handler)

    def _note(self, signum: int, _frame) -> None:
        signal.signal(signum, signal.SIG_DFL)
        self.signum = signum


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
        return mean_terms(self.terms)

    def costs(self, samples: int) -> dict[str, float]:
        steps = len(self.terms)
        return {
            "reader_cost": self.reader / steps,
            "batch_cost": self.batch / steps,
            "ips": samples * steps / self.batch,
        }
