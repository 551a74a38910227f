"""What a run will cost, from a few of its own steps."""

import contextlib
import itertools
import statistics
import time

import paddle
import psutil

from engine.task import fetched
from engine.trainer import Trainer

STEPS = 3  # timed, after one that is not


def plan(trainer: Trainer) -> list[str]:
    """What is left of a run, in lines. Runs a few iterations, which change the network and write nothing."""
    start, s, pictures = trainer.iteration, trainer.settings, len(trainer.dataset.pictures)
    left, samples = trainer.last_iteration - start, trainer.samples_per_iteration
    seconds, memory = _measure(trainer)
    parameters = sum(p.size for network in trainer.task.networks.values() for p in network.parameters())
    averaged = sum(p.size for p in trainer.task.model.parameters()) if trainer.ema else 0
    checkpoint = 4 * (3 * parameters + averaged)  # weights and Adam's two moments
    kept = s.keep + 1 if s.keep else -(-left // s.save_every)  # the best one too
    return [
        f"iterations   {start} to {trainer.last_iteration}, {samples} pictures each: "
        f"{left * samples / pictures:.1f} epochs of {pictures}",
        f"time         {seconds:.3g} s an iteration here (median of {STEPS}): {left * seconds / 3600:.1f} hours",
        f"memory       {memory / 2**30:.2f} GiB after a step on {paddle.get_device()}",
        f"checkpoints  {checkpoint / 1e6:.0f} MB each, {kept} of them: {kept * checkpoint / 1e9:.1f} GB",
    ]


def _measure(trainer: Trainer) -> tuple[float, int]:
    """Seconds of one iteration, waiting for data included; memory of the process after a step, in bytes."""
    ends, memory = [time.perf_counter()], 0
    with contextlib.closing(trainer.batches()) as stream:
        for batches in itertools.islice(stream, STEPS + 1):
            fetched([trainer.step(batches)])  # waits for the device
            ends.append(time.perf_counter())
            memory = max(memory, _memory())
    seconds = [end - start for start, end in itertools.pairwise(ends)]
    return statistics.median(seconds[1:] or seconds), memory


def _memory() -> int:
    if paddle.get_device().startswith("gpu"):
        return paddle.device.cuda.max_memory_allocated()
    return psutil.Process().memory_info().rss  # after a step: freed arrays are kept, see utils.device
