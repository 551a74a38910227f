"""Several processes, one training: rank, means and lists over all. With one process nothing here does anything.

Processes are made by ``python -m paddle.distributed.launch``. Gradients are averaged here and not by
``paddle.DataParallel``, which does not take ``PyLayer`` and allows one forward for each backward pass.
"""

import os
from collections.abc import Sequence

import paddle
from paddle import distributed

from utils.device import rank


def world_size() -> int:
    return int(os.environ.get("PADDLE_TRAINERS_NUM", "1"))


def is_first() -> bool:
    """Whether this process logs and saves."""
    return rank() == 0


def start() -> None:
    """Meet the other processes."""
    if world_size() > 1:
        distributed.init_parallel_env()


def mean(values: paddle.Tensor) -> paddle.Tensor:
    """Mean over the processes of each value."""
    if world_size() == 1:
        return values
    total = values.clone()
    distributed.all_reduce(total)
    return total / world_size()


def any_of(flag: bool) -> bool:
    """Whether the flag is set in any process; all must ask."""
    if world_size() == 1:
        return flag
    return mean(paddle.to_tensor([float(flag)])).item() > 0


def gathered(items: Sequence) -> list:
    """The items of all processes, dealt out in turn (``items[rank::world]``), back in their order."""
    if world_size() == 1:
        return list(items)
    shares: list = []
    distributed.all_gather_object(shares, list(items))
    return [shares[i % len(shares)][i // len(shares)] for i in range(sum(map(len, shares)))]


def average(tensors: Sequence[paddle.Tensor]) -> None:
    """Put each tensor's mean over the processes in its place."""
    if world_size() > 1:
        for tensor in tensors:
            distributed.all_reduce(tensor)
            tensor.set_value(tensor / world_size())


def average_gradients(parameters: Sequence[paddle.Tensor]) -> None:
    """Put each gradient's mean over the processes in its place, in one exchange."""
    gradients = [p.grad for p in parameters if p.grad is not None]
    if world_size() == 1 or not gradients:
        return
    together = paddle.concat([g.flatten() for g in gradients])
    distributed.all_reduce(together)
    shares = (together / world_size()).split([g.size for g in gradients])
    for gradient, share in zip(gradients, shares, strict=True):
        gradient.set_value(share.reshape(gradient.shape))
