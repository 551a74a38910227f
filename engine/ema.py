"""Weights averaged over the last iterations, which give better fills than the weights of any one iteration."""

import contextlib
from collections.abc import Iterator, Mapping

import numpy as np
import paddle
from paddle import nn


class WeightAverage:
    """Exponential moving average of a network's parameters and running statistics.

    average ← d · average + (1 − d) · weights, with d = min(decay, (1 + n) / (10 + n)) at the n-th update, so that the
    untrained first weights soon lose their share.

    Args:
        decay: in (0, 1); 0.999 averages over about the last thousand iterations.
    Example:
        >>> layer = nn.Linear(2, 2)
        >>> average = WeightAverage(layer, decay=0.9)
        >>> average.update()
        >>> with average.applied():
        ...     result = layer(paddle.ones([1, 2]))
    """

    def __init__(self, model: nn.Layer, decay: float):
        self.model, self.decay, self.updates = model, decay, 0
        self.average = {name: t.detach().clone() for name, t in self._tensors()}

    def update(self) -> None:
        """Take the network's present weights into the average."""
        share = 1 - min(self.decay, (1 + self.updates) / (10 + self.updates))
        self.updates += 1
        with paddle.no_grad():
            for name, t in self._tensors():
                self.average[name].lerp_(t, paddle.full([1], share, t.dtype))

    @contextlib.contextmanager
    def applied(self) -> Iterator[None]:
        """Inside the block the network holds the average."""
        present = {name: t.detach().clone() for name, t in self._tensors()}
        self._fill(self.average)
        try:
            yield
        finally:
            self._fill(present)

    def state_dict(self) -> dict[str, paddle.Tensor]:
        """The network's state with the average in it."""
        return {**self.model.state_dict(), **self.average}

    def set_state_dict(self, arrays: Mapping[str, np.ndarray], updates: int) -> None:
        self.updates = updates
        for name, t in self.average.items():
            t.set_value(arrays[name])

    def _fill(self, values: Mapping[str, paddle.Tensor]) -> None:
        for name, t in self._tensors():
            t.set_value(values[name])

    def _tensors(self) -> list[tuple[str, paddle.Tensor]]:
        return [(name, t) for name, t in self.model.state_dict().items() if t.is_floating_point()]
