"""Batches of the training stream, read in advance by worker processes.

Pictures and masks travel as uint8 and become float32 on the device. Workers use shared memory if all batches in flight
fit into it. Containers often have little (Docker's default is 64 MiB), and a worker that writes past its end is killed:
then batches go through pipes, which is a little slower.

An exception in a worker is sent as a batch and raised again in the trainer: Paddle itself would print the stack of
every process, or wait for ever without workers.
"""

import atexit
import ctypes
import logging
import multiprocessing
import multiprocessing.util  # registers what it does at the end now, so that ours comes before
import os
import signal
import sys
import traceback
from collections.abc import Iterator

import numpy as np
import paddle
from paddle.io import DataLoader
from paddle.io.dataloader.collate import default_collate_fn

from datasets.inpainting import InpaintingDataset, StreamBatchSampler
from engine import distributed
from engine.task import Batch
from utils.errors import InputError, is_out_of_memory

log = logging.getLogger("paddle_pconv")

SHARED_MEMORY = "/dev/shm"
PREFETCH = 2  # batches in flight of each worker
SPARE = 2  # batches: one that the trainer holds, and some room

_PR_SET_PDEATHSIG = 1  # of Linux: the signal that a process gets when its parent dies


def read_batches(dataset: InpaintingDataset, sampler: StreamBatchSampler, num_workers: int) -> Iterator[Batch]:
    """The sampler's batches in its order, on the device: gt float32 [N, 3, S, S] in [0, 1], mask float32 [N, 1, S, S].

    Args:
        num_workers: processes that read; 0 reads here.
    Raises:
        InputError, MemoryError: what the dataset raised; anything else as a RuntimeError with its traceback.
        ChildProcessError: a reader was killed.
    """
    fits = fits_shared_memory(sampler.batch_size * dataset.bytes_per_sample, num_workers)
    loader = DataLoader(
        _Carrying(dataset),
        batch_sampler=sampler,
        num_workers=num_workers,
        prefetch_factor=PREFETCH,
        collate_fn=_batch_or_error,
        use_shared_memory=fits,
        worker_init_fn=_live_as_long_as_the_trainer,
    )
    batches = iter(loader)
    try:
        for gt, mask in _while_readers_live(batches):
            _raise_what_came(gt)
            yield to_unit_range(gt), mask.astype("float32")
    finally:
        batches._try_shutdown_all()  # else workers print errors when the process ends


class _Carrying(paddle.io.Dataset):
    """A dataset whose exceptions are items: the class that the trainer raises, and the message."""

    def __init__(self, dataset: InpaintingDataset):
        super().__init__()
        self.dataset = dataset

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, position: int) -> tuple:
        try:
            return self.dataset[position]
        except InputError as error:
            return InputError, str(error)
        except Exception as error:
            return (MemoryError if is_out_of_memory(error) else RuntimeError), traceback.format_exc()


_RAISED = (InputError, MemoryError, RuntimeError)


def _batch_or_error(items: list[tuple]) -> list[np.ndarray]:
    """A batch of the items; or the first exception among them: its number in ``_RAISED`` and its message in bytes."""
    failed = next((item for item in items if isinstance(item[0], type)), None)
    if failed is None:
        return default_collate_fn(items)
    words = bytes([_RAISED.index(failed[0])]) + failed[1].encode("utf-8", "surrogateescape")
    return [np.frombuffer(words, np.uint8), np.zeros([1], np.uint8)]


def _raise_what_came(gt: paddle.Tensor) -> None:
    if gt.ndim == 1:  # a batch has four
        words = gt.numpy().tobytes()
        raise _RAISED[words[0]](words[1:].decode("utf-8", "surrogateescape"))


def _while_readers_live(batches: Iterator) -> Iterator:
    try:
        yield from batches
    except (RuntimeError, SystemError) as error:  # which one depends on whether Paddle notices it here or in a thread
        if not any(words in str(error) for words in ("unexpectedly", "queue is killed")):
            raise
        raise ChildProcessError(
            "expected the processes that read pictures to live, but one was killed (out of memory?): go on with "
            "--resume auto and fewer --num_workers"
        ) from None


def to_unit_range(levels: paddle.Tensor) -> paddle.Tensor:
    """0 to 255 to float32 in [0, 1], the very values of ``datasets.images.to_float``."""
    # By a tensor: Paddle multiplies by the reciprocal of a number, which may end in another digit.
    return levels.astype("float32") / paddle.full([], 255.0)


def fits_shared_memory(batch_bytes: int, num_workers: int) -> bool:
    """Whether the batches of the readers of all processes on this machine fit into shared memory; else warns."""
    needed = distributed.local_size() * (PREFETCH * num_workers + SPARE) * batch_bytes if num_workers else 0
    try:
        found = os.statvfs(SHARED_MEMORY)
    except (OSError, AttributeError):  # a system that has none to look at
        return True
    free = found.f_bavail * found.f_frsize
    if needed > free and distributed.is_first():
        log.warning(
            f"{SHARED_MEMORY} has {free / 2**20:.0f} MiB free, the readers' batches need {needed / 2**20:.0f} MiB: "
            "they go through pipes, which is slower; give the container more (docker run --shm-size 1g), or take fewer "
            "--num_workers"
        )
    return needed <= free


def _live_as_long_as_the_trainer(_worker: int) -> None:
    """In a worker: ignore the signals that ask a run to stop, and die with the trainer.

    Ctrl-C and a closed terminal go to a whole process group, the end of a job (Slurm, systemd) to each process.
    """
    os.setpgrp()
    for name in ("SIGINT", "SIGHUP", "SIGTERM"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


@atexit.register  # before multiprocessing's own, which asks by SIGTERM and waits
def _end_readers() -> None:
    """Kill workers that are left when the trainer ends."""
    left = [child for child in multiprocessing.active_children() if child.daemon]
    if left and hasattr(signal, "SIGCHLD"):
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # Paddle's raises of each that is killed
    for child in left:
        child.kill()
