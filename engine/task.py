"""What training tasks share."""

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import paddle
from paddle import nn
from paddle.utils import unique_name

from engine import distributed
from engine.settings import Settings
from engine.training_state import OPTIMIZER, load_optimizer
from inpainting.checkpoint import load_arrays_into

Batch = tuple[paddle.Tensor, paddle.Tensor]  # gt [N, 3, S, S], mask [N, 1, S, S]


class NonFiniteLossError(RuntimeError):
    """A loss term became NaN or infinite."""


class Task:
    """A network, how it is optimised, and the state that a checkpoint needs beside the network's weights."""

    model: nn.Layer  # made by ``models.build_model``; what is validated, saved and averaged
    settings: Settings
    optimizer: paddle.optimizer.Optimizer  # of the model
    terms: tuple[str, ...]  # what ``step`` returns, in the order of the log
    weights: dict[str, float]  # present ones, of the terms in the model's loss; other terms are only logged
    networks: dict[str, nn.Layer]  # all that is trained, the model first
    others: Mapping[str, tuple[nn.Layer, paddle.optimizer.Optimizer]] = MappingProxyType({})  # by their files' name

    @property
    def lr(self) -> float:
        """Learning rate at present."""
        return self.optimizer.get_lr()

    def train(self) -> None:
        """Put the networks into training mode."""
        for network in self.networks.values():
            network.train()

    def schedule(self, done: int) -> None:
        """Set what depends on the iterations done in this phase."""
        self.optimizer.set_lr(self.settings.lr_at(done))

    def step(self, batches: Sequence[Batch]) -> dict[str, paddle.Tensor]:
        """One iteration, from ``Settings.batches_per_iteration`` batches. Returns the raw terms, without gradient.

        They are scalars on the device; fetching one waits for the device.
        """
        raise NotImplementedError

    def states(self) -> dict[str, dict]:
        """State for a checkpoint beside the network: file name to state."""
        states = {OPTIMIZER: self.optimizer.state_dict()}
        for name, (critic, optimizer) in self.others.items():
            states |= {f"{name}.pdparams": critic.state_dict(), f"{name}.pdopt": optimizer.state_dict()}
        return states

    def notes(self) -> dict:
        """Entries for a checkpoint's meta.json."""
        return {}

    def restore(self, directory: Path, notes: dict) -> None:
        """Set what ``states`` and ``notes`` gave; the network's own weights are set already."""
        load_optimizer(self.optimizer, directory, self.model.state_dict())
        for name, (critic, optimizer) in self.others.items():
            load_arrays_into(critic, directory / f"{name}.pdparams")
            load_optimizer(optimizer, directory, critic.state_dict(), f"{name}.pdopt")


def make_adam(network: nn.Layer, settings: Settings, **options) -> paddle.optimizer.Adam:
    """Adam over the network's parameters, with the gradients clipped as the settings say."""
    clip = nn.ClipGradByGlobalNorm(settings.clip_norm) if settings.clip_norm else None
    # use_multi_tensor: the plain update starts a second pool of threads on CPU, which then fights the convolutions'.
    return paddle.optimizer.Adam(
        settings.lr, parameters=network.parameters(), grad_clip=clip, use_multi_tensor=True, **options
    )


@contextlib.contextmanager
def frozen(network: nn.Layer) -> Iterator[None]:
    """No gradients for its parameters, while those of its inputs still pass through it."""
    for parameter in network.parameters():
        parameter.stop_gradient = True
    try:
        yield
    finally:
        for parameter in network.parameters():
            parameter.stop_gradient = False


def update(
    network: nn.Layer,
    optimizer: paddle.optimizer.Optimizer,
    loss_of: Callable[[paddle.Tensor, paddle.Tensor], tuple[paddle.Tensor, dict[str, paddle.Tensor]]],
    batches: Sequence[Batch],
    scaler: paddle.amp.GradScaler | None = None,
) -> dict[str, paddle.Tensor]:
    """One optimiser step on the gradients' mean over batches and processes. Returns the terms' means over the batches.

    Args:
        loss_of: gt, mask to the loss and its raw terms.
        scaler: of mixed precision; none when not given.
    """
    scaler = scaler or paddle.amp.GradScaler(enable=False)
    terms = []
    for gt, mask in batches:
        loss, raw = loss_of(gt, mask)
        scaler.scale(loss / len(batches)).backward()
        terms.append({name: term.detach() for name, term in raw.items()})
    distributed.average_gradients(network.parameters())
    with unique_name.guard():  # Adam names its moments at its first step: alike in every process, or no state fits
        scaler.step(optimizer)
    scaler.update()
    optimizer.clear_grad()
    return mean_terms(terms)


def fetched(steps: Sequence[dict[str, paddle.Tensor]]) -> list[dict[str, float]]:
    """The terms' values in each of several steps, means over the processes, all fetched from the device at once."""
    together = paddle.stack([term for terms in steps for term in terms.values()])
    rows = distributed.mean(together).reshape([len(steps), -1]).tolist()
    return [dict(zip(terms, row, strict=True)) for terms, row in zip(steps, rows, strict=True)]


def non_finite(terms: dict[str, float]) -> str:
    """The terms that are not finite, in words; "" where all are."""
    return ", ".join(f"{name} = {value}" for name, value in terms.items() if not math.isfinite(value))


def mean_terms(terms: Sequence[dict]) -> dict:
    """Mean of each term over several batches or steps."""
    return {name: sum(t[name] for t in terms) / len(terms) for name in terms[0]}
