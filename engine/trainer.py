"""The training loop: data, schedules, validation, averaged weights, checkpoints; the task makes the steps."""

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

from datasets.inpainting import GeneratedMasks, InpaintingDataset, StreamBatchSampler
from datasets.masks import emptiness_warning, polarity_warning
from engine import distributed, sanity_checks
from engine.ema import WeightAverage
from engine.logger import RunLogger
from engine.readers import read_batches
from engine.settings import Settings
from engine.task import NonFiniteLossError, Task, fetched, mean_terms, non_finite
from engine.training_state import CheckpointFolder
from engine.validation import ValidationSet
from inpainting.checkpoint import EMA_PARAMS, PARAMS, load_arrays_into, read_arrays_of, read_meta, weights_file
from inpainting.inpainter import Inpainter
from utils.run_folder import CHECKPOINTS

log = logging.getLogger("paddle_pconv")

MAX_SKIPPED = 20  # iterations in a row that the gradient scaler may skip: it halves its scale at each


class Stopped(Exception):
    """A signal asked the run to stop; its state is saved."""

    def __init__(self, signum: int, directory: Path):
        super().__init__(
            f"stopped by {signal.Signals(signum).name}, all saved in {directory}; go on with --resume auto"
        )
        self.signum = signum


class Trainer:
    """Trains a task's network and writes the run's folder.

    Args:
        dataset: gives (gt, mask) for a position in the stream; see ``datasets.inpainting``.
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
        self.checkpoints = CheckpointFolder(self.log_dir / CHECKPOINTS, settings.keep)
        self.ema = WeightAverage(task.model, settings.ema_decay) if settings.ema_decay else None
        self.iteration = 0  # done
        self.phase_start = 0  # iterations done in earlier phases
        self.position = 0  # samples seen, of the stream that all processes share
        self._saved = None  # the iteration that was saved last, here
        self._validated = {}  # what the present weights gave

    @property
    def last_iteration(self) -> int:
        """Where the run ends: ``max_iters`` after the start of its phase."""
        return self.phase_start + self.settings.max_iters

    @property
    def samples_per_iteration(self) -> int:
        """Of all processes together."""
        return self.settings.batches_per_iteration * self.settings.batch_size * distributed.world_size()

    def resume(self, directory: Path) -> None:
        """Continue from a checkpoint.

        From another phase only weights and counts are taken: optimiser, average and schedules start anew.
        """
        meta, s = read_meta(directory), self.settings
        same_phase = meta.get("phase", s.phase) == s.phase
        load_arrays_into(self.task.model, directory / PARAMS if same_phase else weights_file(directory))
        self.iteration = int(meta.get("iter", 0))
        self.phase_start = int(meta.get("phase_start", 0)) if same_phase else self.iteration
        if not same_phase:
            _warn(
                f"the checkpoint is of phase {meta['phase']}, this is phase {s.phase}: Adam, warm-up and decay start "
                f"anew, and --max_iters {s.max_iters} counts from iteration {self.iteration} on"
            )
        is_ours = directory.resolve().parent == self.checkpoints.directory.resolve()
        self._saved = self.iteration if is_ours else None
        self.position = int(meta.get("position", self.iteration * int(meta.get("batch_size", s.batch_size))))
        if same_phase:
            self.task.restore(directory, meta)
        if self.ema:
            updates = meta.get("ema_updates", 0) if same_phase else 0
            self.ema.set_state_dict(read_arrays_of(self.task.model, weights_file(directory)), updates)

    def run(self) -> None:
        """Train to ``last_iteration``; validates, draws samples and saves at the end too.

        If nothing is left to do, only the state is saved, unless the folder has it.

        Raises:
            NonFiniteLossError: naming iteration and term; the checkpoints before it are whole.
            Stopped: by SIGTERM, Ctrl-C or SIGHUP, everything saved.
        """
        first = distributed.is_first()
        logger = RunLogger(self.log_dir, self.last_iteration, self.task.terms, self.iteration) if first else None
        try:
            with _StopRequest() as stop, contextlib.closing(self.batches()) as stream:
                self._loop(stream, logger, stop)
            self._save()
        finally:
            if logger:
                logger.close()

    def _loop(self, stream: Iterator[list], logger: RunLogger | None, stop: "_StopRequest") -> None:
        s, start = self.settings, self.iteration
        meter = Meter(MAX_SKIPPED if s.amp and s.amp_dtype == "float16" else 0)
        self.task.train()
        for batches in stream:
            if self.iteration == start:
                self._look_at_data(batches)
            meter.data_arrived()
            meter.step_done(self.step(batches), self.iteration)
            if self.iteration == 1:
                _warn(*(message for terms in meter.fetch() for message in sanity_checks.loss_at_start(terms)))
            if logger:
                logger.bar.update()
            is_stopped = self._is_stopped(stop)
            if is_stopped or self._is_due(s.log_every, s.val_every, s.save_every):
                meter.fetch()  # raises for a NaN before its weights are validated or saved
            if self._is_due(s.log_every):
                self._log(logger, meter, batches[-1][1])
            if self._is_due(s.val_every):
                self._validate(logger)
            if self._is_due(s.save_every):
                self._save()
            if is_stopped:
                raise Stopped(stop.signum or signal.SIGTERM, self._save())
            meter.loop_again()

    def _is_stopped(self, stop: "_StopRequest") -> bool:
        """Several processes agree only when they log, because to agree they must wait for the device."""
        if distributed.world_size() > 1 and not self._is_due(self.settings.log_every):
            return False
        return distributed.any_of(stop.signum is not None)

    def batches(self) -> Iterator[list]:
        """The batches of each iteration still to do."""
        s = self.settings
        count = (self.last_iteration - self.iteration) * s.batches_per_iteration
        sampler = StreamBatchSampler(s.batch_size, count, self.position, distributed.rank(), distributed.world_size())
        with contextlib.closing(read_batches(self.dataset, sampler, s.num_workers)) as stream:
            while group := list(itertools.islice(stream, s.batches_per_iteration)):
                yield group

    def step(self, batches: list) -> dict[str, paddle.Tensor]:
        """One iteration. Returns the raw terms, which stay on the device."""
        s = self.settings
        self.task.schedule(self.iteration - self.phase_start)
        # Random numbers of a step depend on seed, iteration and process only, so that a resumed run draws the same.
        paddle.seed((s.seed * 1_000_003 + self.iteration) * 1009 + distributed.rank())
        terms = self.task.step(batches)
        self.iteration += 1
        self._validated = {}
        self.position += self.samples_per_iteration
        if self.ema:
            self.ema.update()
        return terms

    def _is_due(self, *every: int) -> bool:
        """Whether the iteration is a multiple of one of these, or the last."""
        return self.iteration == self.last_iteration or any(self.iteration % n == 0 for n in every)

    def _log(self, logger: RunLogger | None, meter: "Meter", mask: paddle.Tensor) -> None:
        if logger and meter.terms:
            terms = mean_terms(meter.terms)
            epochs = self.position / len(self.dataset.pictures)
            weighted = {name: weight * terms[name] for name, weight in self.task.weights.items() if name in terms}
            row = {
                "iter": self.iteration,
                "epoch": math.ceil(epochs),
                "lr": self.task.lr,
                "loss": sum(weighted.values()),
                **terms,
                **meter.costs(self.samples_per_iteration),
            }
            logger.training(row, weighted, epochs)
            shares = {f"encoder_{i}": share for i, share in enumerate(self.task.model.mask_coverage(mask))}
            logger.board.scalars("mask_coverage", shares, self.iteration)
        meter.clear()

    def _validate(self, logger: RunLogger | None) -> None:
        self._agree()
        with self.ema.applied() if self.ema else contextlib.nullcontext():
            inpainter = Inpainter(self.task.model, scales=1)  # as the network is trained
            rows = self.validation.measure(inpainter)
            psnr = rows[-1]["psnr"]
            if logger:
                logger.validation(self.iteration, rows)
                logger.samples(self.iteration, self.validation.samples(inpainter))
                _warn(sanity_checks.worse_than_mean_fill(self.iteration, psnr, self.validation.mean_fill_psnr))
        self.task.train()
        self._save_if_best(math.inf if psnr is None else psnr)

    def _save_if_best(self, psnr: float) -> None:
        pictures = self.validation.fingerprint
        self._validated = {"validation": {"psnr": psnr, "pictures": pictures}}
        # Only the first process knows what was saved.
        if distributed.any_of(distributed.is_first() and psnr > self.checkpoints.best_psnr(pictures)):
            self._save()

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
                phase_start=self.phase_start,
                seed=s.seed,
                batch_size=s.batch_size,
                settings=asdict(s),
                **self._validated,
                **notes,
            )
            log.info(f"[SAVE] {directory}")
        self._saved = self.iteration
        return directory

    def _agree(self) -> None:
        """Average the running statistics, which each process has gathered from its own samples."""
        names = self.task.model.running_statistics()
        held = [self.task.model.state_dict(), *([self.ema.average] if self.ema else [])]
        distributed.average([state[name] for state in held for name in names])

    def _look_at_data(self, batches: list) -> None:
        _, mask = batches[0]
        ratio = 1 - float(mask.mean())
        is_drawn = isinstance(self.dataset.masks, GeneratedMasks)  # then polarity cannot be wrong
        _warn(None if is_drawn else polarity_warning(ratio), emptiness_warning(ratio))
        _warn(sanity_checks.holes_left(self.task.model.mask_coverage(mask)))


def _warn(*messages: str | None) -> None:
    for message in messages:
        if message and distributed.is_first():
            log.warning(message)


class _StopRequest:
    """Inside the block SIGTERM, Ctrl-C and SIGHUP set ``signum`` and do not end the process; a second one does.

    Except SIGHUP, which a closed terminal may send twice. What is ignored, as by nohup, stays ignored.
    """

    SIGNALS = tuple(getattr(signal, name) for name in ("SIGTERM", "SIGINT", "SIGHUP") if hasattr(signal, name))

    def __init__(self):
        self.signum = None

    def __enter__(self) -> "_StopRequest":
        taken = [signum for signum in self.SIGNALS if signal.getsignal(signum) != signal.SIG_IGN]
        self._before = {signum: signal.signal(signum, self._note) for signum in taken}
        return self

    def __exit__(self, *_) -> None:
        for signum, handler in self._before.items():
            signal.signal(signum, handler)

    def _note(self, signum: int, _frame) -> None:
        if signal.Signals(signum).name != "SIGHUP":
            signal.signal(signum, signal.SIG_DFL)
        self.signum = signum


class Meter:
    """Means since the last log line: loss terms, seconds of waiting for data, seconds of an iteration.

    Terms stay on the device until they are fetched, because fetching waits for the device.

    Args:
        tolerated: iterations in a row whose terms may be not finite; the gradient scaler skips them.
    """

    def __init__(self, tolerated: int = 0):
        self.tolerated, self.skipped = tolerated, 0
        self.mark = time.perf_counter()
        self.clear()

    def clear(self) -> None:
        self.on_device: list[tuple[int, dict[str, paddle.Tensor]]] = []
        self.terms: list[dict[str, float]] = []
        self.reader = self.batch = 0.0

    def data_arrived(self) -> None:
        self.reader += time.perf_counter() - self.mark

    def step_done(self, terms: dict[str, paddle.Tensor], iteration: int) -> None:
        self.on_device.append((iteration, terms))
        self.batch += time.perf_counter() - self.mark

    def fetch(self) -> list[dict[str, float]]:
        """Bring the terms of the steps since the last time to the host; all processes must ask.

        Returns the finite ones since the last ``clear``.
        Raises:
            NonFiniteLossError: more than ``tolerated`` iterations in a row had a term that is not finite.
        """
        before = time.perf_counter()
        if self.on_device:
            iterations, steps = zip(*self.on_device, strict=True)
            self.on_device = []
            for iteration, row in zip(iterations, fetched(steps), strict=True):
                self._take(iteration, row)
        self.batch += time.perf_counter() - before
        return self.terms

    def _take(self, iteration: int, row: dict[str, float]) -> None:
        problem = non_finite(row)
        self.skipped = self.skipped + 1 if problem else 0
        if not problem:
            self.terms.append(row)
            return
        if self.skipped > self.tolerated:
            in_a_row = f" in {self.skipped} iterations in a row" if self.tolerated else ""
            raise NonFiniteLossError(
                f"iteration {iteration}: expected finite loss terms, got {problem}{in_a_row}; lower --lr, or use "
                "--amp O0"
            )
        _warn(f"iteration {iteration}: skipped, {problem} in float16")

    def loop_again(self) -> None:
        self.mark = time.perf_counter()

    def costs(self, samples: int) -> dict[str, float]:
        steps = len(self.terms)
        return {
            "reader_cost": self.reader / steps,
            "batch_cost": self.batch / steps,
            "ips": samples * steps / self.batch,
        }
