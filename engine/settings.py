"""The settings of a run, and its schedules: functions of the iterations done, without state."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """How long, how fast and how often. Counts are in iterations; an iteration is one update of the network.

    Length and schedules are those of a phase: a run that is resumed into the other phase starts them anew.
    """

    max_iters: int
    batch_size: int  # of one process, in one go through the network
    lr: float
    phase: str = "initial"  # or "finetune": the encoder's batch normalisation frozen
    lr_schedule: str = "constant"  # or "linear", "cosine": to 0 at max_iters
    warmup_iters: int = 0  # the learning rate rises linearly from 0
    style_warmup_iters: int = 0  # with style weight 1: too great a weight at the start leaves fish-scale artefacts
    accumulate: int = 1  # batches whose gradients make one update
    critic_steps: int = 0  # updates of the critics before each of the network's
    clip_norm: float = 0.0  # of all gradients together; 0: not clipped
    ema_decay: float = 0.0  # 0: no average of the weights
    amp: bool = False  # mixed precision
    amp_dtype: str = "float16"  # or "bfloat16"
    sync_norm: bool = False  # batch statistics over all processes
    log_every: int = 20
    val_every: int = 2000
    save_every: int = 5000
    keep: int = 0  # checkpoints; 0: all
    num_workers: int = 2
    seed: int = 0

    @property
    def batches_per_iteration(self) -> int:
        """Of one process; each update has its own batches."""
        return self.accumulate * (1 + self.critic_steps)

    def lr_at(self, done: int) -> float:
        """Learning rate after ``done`` iterations of the phase."""
        warm = min(1.0, (done + 1) / self.warmup_iters) if self.warmup_iters else 1.0
        return self.lr * warm * decay(self.lr_schedule, done / self.max_iters)


def decay(schedule: str, progress: float) -> float:
    """Factor of the learning rate at ``progress`` in [0, 1] of the run."""
    if schedule == "linear":
        return 1 - progress
    if schedule == "cosine":
        return (1 + math.cos(math.pi * progress)) / 2
    return 1.0
