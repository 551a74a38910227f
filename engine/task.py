"""What the trainer asks of a training task, and what tasks share."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import paddle
from paddle import nn

from engine import distributed
from engine.settings import Settings

Batch = tuple[paddle.Tensor, paddle.Tensor]  # gt [N, 3, S, S], mask [N, 1, S, S]


class NonFiniteLossError(RuntimeError):
    """A loss term became NaN or infinite."""


class Task(Protocol):
    """A network, how it learns, and what a checkpoint must hold for that beside the network's own weights."""

    model: nn.Layer  # made by ``models.build_model``; what is validated, saved and averaged
    terms: tuple[str, ...]  # what ``step`` returns, in the order of the log

    @property
    def weights(self) -> dict[str, float]:
        """At present, of the terms that make up the model's loss. Other terms are for looking at."""

    @property
    def lr(self) -> float:
        """Learning rate at present."""

    @property
    def networks(self) -> dict[str, nn.Layer]:
        """All that is trained, the model first."""

    def schedule(self, done: int) -> None:
        """Set what depends on the iterations done in this phase."""

    def train(self) -> None:
        """Put the networks into training mode."""

    def step(self, batches: Sequence[Batch]) -> dict[str, paddle.Tensor]:
        """One iteration, from ``Settings.batches_per_iteration`` batches. Returns the raw terms, without gradient.

        They are scalars on the device: to fetch one is to wait until the device is done.
        """

    def states(self) -> dict[str, dict]:
        """What a checkpoint must hold beside the network: file name to state."""

    def notes(self) -> dict:
        """What a checkpoint's meta.json must hold."""

    def restore(self, directory: Path, notes: dict) -> None:
        """Set what ``states`` and ``notes`` gave; the network's own weights are set already."""


def make_adam(network: nn.Layer, settings: Settings, **options) -> paddle.optimizer.Adam:
    """Adam over the network's parameters, with the gradients clipped as the settings say."""
    clip = nn.ClipGradByGlobalNorm(settings.clip_norm) if settings.clip_norm else None
    # use_multi_tensor: the plain update starts a second pool of threads on CPU, which then fights the convolutions'.
    return paddle.optimizer.Adam(
        settings.lr, parameters=network.parameters(), grad_clip=clip, use_multi_tensor=True, **options
    )


def fetched(steps: Sequence[dict[str, paddle.Tensor]]) -> list[dict[str, float]]:
    """The terms' values in each of several steps, means over the processes, all fetched from the device at once."""
    together = paddle.stack([term for terms in steps for term in terms.values()])
    rows = distributed.mean(together).reshape([len(steps), -1]).tolist()
    return [dict(zip(terms, row, strict=True)) for terms, row in zip(steps, rows, strict=True)]


def refuse_non_finite(terms: dict[str, float], iteration: int) -> None:
    """Raise NonFiniteLossError, naming the terms that are not finite."""
    if bad := [f"{name} = {value}" for name, value in terms.items() if not math.isfinite(value)]:
        raise NonFiniteLossError(
            f"iteration {iteration}: expected finite loss terms, got {', '.join(bad)}; lower --lr, or use --amp O0"
        )


def mean_terms(terms: Sequence[dict]) -> dict:
    """Mean of each term over several batches or steps."""
    return {name: sum(t[name] for t in terms) / len(terms) for name in terms[0]}
