"""Batches on their way to the trainer: nothing of them changes."""

import logging
import os
import signal

import numpy as np
import paddle
import pytest

from datasets.images import to_float
from datasets.inpainting import GeneratedMasks, InpaintingDataset, SamplePhotos, StreamBatchSampler
from engine import readers
from utils.errors import InputError

SIZE, BATCH = 32, 3


def make_dataset(size=SIZE):
    return InpaintingDataset(SamplePhotos(), GeneratedMasks(), size, seed=5)


def read(num_workers, first=0):
    sampler = StreamBatchSampler(BATCH, 6 - first, first=BATCH * first)
    return [(gt.numpy(), mask.numpy()) for gt, mask in readers.read_batches(make_dataset(), sampler, num_workers)]


def same(first, second):
    return len(first) == len(second) and all(map(np.array_equal, sum(first, ()), sum(second, ())))


def test_levels_become_the_values_that_inference_sees():
    levels = np.arange(256, dtype=np.uint8)
    on_device = readers.to_unit_range(paddle.to_tensor(levels)).numpy()
    np.testing.assert_array_equal(on_device, to_float(levels.reshape(16, 16, 1)).ravel())


def test_the_same_batches_with_and_without_workers_and_after_a_restart():
    beside, alone, resumed = read(2), read(0), read(0, first=4)
    assert len(alone) == 6 and same(alone, beside) and same(alone[4:], resumed)
    expected = [[np.stack(arrays) for arrays in zip(*(make_dataset()[i] for i in range(BATCH)), strict=True)]]
    expected = [(gt.astype(np.float32) / np.float32(255), mask.astype(np.float32)) for gt, mask in expected]
    assert same(alone[:1], expected) and alone[0][0].dtype == alone[0][1].dtype == np.float32


class Gone(InpaintingDataset):
    """All is gone from the seventh sample on; with no error its worker is killed there."""

    def __init__(self, error):
        self.error = error

    def __getitem__(self, position):
        if position < 6:
            logging.getLogger("paddle_pconv").warning("skipping one")
            return np.zeros([3, SIZE, SIZE], np.uint8), np.zeros([1, SIZE, SIZE], np.uint8)
        if self.error is None:
            os.kill(os.getpid(), signal.SIGKILL)
        raise self.error


@pytest.mark.parametrize(
    ("error", "expected", "message"),
    [
        (InputError("none can be read: \udcff"), InputError, "^none can be read: \udcff$"),
        (ZeroDivisionError("a bug"), ZeroDivisionError, "a bug"),
        (None, ChildProcessError, "one was killed"),
    ],
)
def test_what_a_worker_raises_and_logs_is_raised_and_logged_in_the_trainer(error, expected, message, caplog):
    stream = readers.read_batches(Gone(error), StreamBatchSampler(2, 8), 1)
    with pytest.raises(expected, match=message):
        list(stream)
    assert caplog.text.count("skipping one") >= (6 if error else 0)
