"""Batches of the training stream, read in advance by worker processes; to the device they go as uint8."""

import contextlib
import logging
from collections.abc import Iterator

import paddle

from datasets.inpainting import InpaintingDataset, StreamBatchSampler, begin_worker, read_in_worker
from engine.task import Batch
from utils.workers import started_ahead, worker_processes

log = logging.getLogger("paddle_pconv")

PREFETCH = 2  # batches that each worker reads in advance


def read_batches(dataset: InpaintingDataset, sampler: StreamBatchSampler, num_workers: int) -> Iterator[Batch]:
    """The sampler's batches in its order, on the device: gt float32 [N, 3, S, S] in [0, 1], mask float32 [N, 1, S, S].

    Args:
        num_workers: processes that read; 0 reads here.
    Raises:
        ChildProcessError: a worker was killed. What the dataset raises in a worker is raised here.
    """
    with contextlib.ExitStack() as stack:
        if num_workers:
            submit = stack.enter_context(worker_processes(num_workers, begin_worker, dataset))
            futures = (submit(read_in_worker, batch) for batch in sampler)
            batches = (future.result() for future in started_ahead(futures, PREFETCH * num_workers))
        else:
            batches = ((dataset.batch(batch), []) for batch in sampler)
        for (gt, mask), lines in batches:
            for line in lines:
                log.warning(line)
            yield to_unit_range(paddle.to_tensor(gt)), paddle.to_tensor(mask).astype("float32")


def to_unit_range(levels: paddle.Tensor) -> paddle.Tensor:
    """0 to 255 to float32 in [0, 1], the very values of ``datasets.images.to_float``."""
    # By a tensor: Paddle multiplies by the reciprocal of a number, which may end in another digit.
    return levels.astype("float32") / paddle.full([], 255.0)
