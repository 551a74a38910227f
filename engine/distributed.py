"""Many processes, one training: what each must know of the others. With one process all of this does nothing.

Processes are made by ``python -m paddle.distributed.launch``. Gradients are averaged by ``paddle.DataParallel`` where
that can be; here is the rest: who is first, and means and lists over all.
"""

import contextlib
import os
from collections.abc import Iterator, Sequence

import paddle
from paddle import distributed, nn


def world_size() -> int:
    return int(os.environ.get("PADDLE_TRAINERS_NUM", "1"))


def rank() -> int:
    return int(os.environ.get("PADDLE_TRAINER_ID", "0"))


def local_size() -> int:
    """Processes on this machine."""
    return int(os.environ.get("PADDLE_LOCAL_SIZE", "1"))


def is_first() -> bool:
    """Whether this process logs and saves."""
    return rank() == 0


def start() -> None:
    """Meet the other processes."""
    if world_size() > 1:
        distributed.init_parallel_env()


@contextlib.contextmanager
def obituary(advice: str) -> Iterator[None]:
    """Should this process die while the block lasts, someone says so in one line.

    When one process is killed, the others' next exchange of gradients ends in an abort deep inside Paddle, which no
    handler can catch: a child that waits on a pipe outlives it and tells.
    """
    if world_size() == 1:
        yield
        return
    line = f"error: process {rank()} of {world_size()} died, by itself or since another did: {advice}\n"
    reading, writing = os.pipe()
    if os.fork() == 0:
        os.close(writing)
        os.setsid()
        if not os.read(reading, 1):
            os.write(2, line.encode())
        os._exit(0)
    os.close(reading)
    try:
        yield
    finally:
        os.write(writing, b".")
        os.close(writing)
        os.wait()


def parallel(model: nn.Layer) -> nn.Layer:
    """The network as it is to be called in training: its gradients are means over the processes."""
    return paddle.DataParallel(model) if world_size() > 1 else model


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
