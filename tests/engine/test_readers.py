"""Batches on their way to the trainer: how many bytes, through which memory, and that nothing of them changes."""

import logging
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import paddle
import pytest

from datasets.images import to_float
from datasets.inpainting import GeneratedMasks, InpaintingDataset, SamplePhotos, StreamBatchSampler
from engine import readers
from utils.errors import InputError

ROOT = Path(__file__).resolve().parent.parent.parent
SIZE, BATCH = 32, 3


def make_dataset(size=SIZE):
    return InpaintingDataset(SamplePhotos(), GeneratedMasks(), size, seed=5)


def read(num_workers, first=0):
    sampler = StreamBatchSampler(BATCH, 6 - first, first=BATCH * first)
    return [(gt.numpy(), mask.numpy()) for gt, mask in readers.read_batches(make_dataset(), sampler, num_workers)]


def same(first, second):
    return len(first) == len(second) and all(map(np.array_equal, sum(first, ()), sum(second, ())))


def free(monkeypatch, size):
    """As on a machine with that many bytes of shared memory left."""
    monkeypatch.setattr(os, "statvfs", lambda path: SimpleNamespace(f_bavail=size // 4096, f_frsize=4096))


def test_levels_become_the_values_that_inference_sees():
    levels = np.arange(256, dtype=np.uint8)
    on_device = readers.to_unit_range(paddle.to_tensor(levels)).numpy()
    np.testing.assert_array_equal(on_device, to_float(levels.reshape(16, 16, 1)).ravel())


def test_the_same_batches_with_and_without_readers_and_shared_memory_and_after_a_restart(monkeypatch, caplog):
    # With readers first: where they are forked while the thread of another loader is just ending, they can inherit a
    # lock of Paddle's that nobody will open.
    shared = read(2)
    with caplog.at_level(logging.WARNING, "paddle_pconv"):
        free(monkeypatch, 0)
        piped = read(2)
        assert "they go through pipes" in caplog.text and len(caplog.records) == 1
        alone, resumed = read(0), read(0, first=4)
        assert len(caplog.records) == 1  # without readers no memory is needed
    assert len(alone) == 6 and same(alone, shared) and same(alone, piped) and same(alone[4:], resumed)
    expected = [[np.stack(arrays) for arrays in zip(*(make_dataset()[i] for i in range(BATCH)), strict=True)]]
    expected = [(gt.astype(np.float32) / np.float32(255), mask.astype(np.float32)) for gt, mask in expected]
    assert same(alone[:1], expected) and alone[0][0].dtype == alone[0][1].dtype == np.float32


class Gone:
    """A dataset of which all is gone from the seventh sample on; None: its reader is killed there."""

    bytes_per_sample = 4 * SIZE**2

    def __init__(self, error):
        self.error = error

    def __len__(self):
        return 100

    def __getitem__(self, position):
        if position < 6:
            return np.zeros([3, SIZE, SIZE], np.uint8), np.zeros([1, SIZE, SIZE], np.uint8)
        if self.error is None:
            os.kill(os.getpid(), signal.SIGKILL)
        raise self.error


RAISED = {
    "input": (InputError("none can be read: \udcff"), InputError, r"^none can be read: \udcff$"),
    "memory": (MemoryError(), MemoryError, "Traceback"),
    "bug": (ZeroDivisionError("a bug"), RuntimeError, "(?s)Traceback.*ZeroDivisionError: a bug"),
    "killed": (None, ChildProcessError, "one was killed"),
}
IN_A_PROCESS = "import sys; from tests.engine import test_readers; test_readers.raise_and_check(sys.argv[1], 1)"
BEGINS = "imported\n"


def raise_and_check(name, num_workers):
    error, expected, message = RAISED[name]
    print(BEGINS, end="", file=sys.stderr, flush=True)
    stream = readers.read_batches(Gone(error), StreamBatchSampler(2, 8), num_workers)
    with pytest.raises(expected, match=message) as caught:
        assert len(list(stream)) == 3
    assert type(caught.value) is expected


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.heavy if name == "killed" else []) for name in RAISED]
)
def test_what_a_reader_raises_is_raised_in_the_trainer_at_once(name):
    """In a process of its own: a reader forked while another loader's thread ends may inherit a lock of Paddle's."""
    command = [sys.executable, "-c", IN_A_PROCESS, name]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=400)
    said = [
        line for line in done.stderr.partition(BEGINS)[2].splitlines() if "exit unexpectedly" not in line
    ]  # Paddle's
    assert (done.returncode, done.stdout, said) == (0, "", []), done.stderr
