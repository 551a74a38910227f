"""Reading pairs and measuring them."""

import os
import sys
import threading

import cv2
import numpy as np
import pytest

from datasets.images import write_picture
from datasets.masks import write_mask
from inpainting.classical import CLASSICAL
from metrics.evaluator import Evaluation, PairReader, evaluate
from metrics.manifest import Pair
from utils.errors import InputError


@pytest.fixture
def folder(tmp_path):
    """A 40 x 30 picture and a 20 x 15 mask whose hole is a quarter of the picture."""
    write_picture(tmp_path / "a.png", np.random.default_rng(0).integers(0, 256, [30, 40, 3], dtype=np.uint8))
    mask = np.ones([16, 20], np.float32)
    mask[4:12, 5:15] = 0
    write_mask(tmp_path / "m.png", mask)
    return tmp_path


@pytest.fixture
def read(folder):
    return PairReader(folder, folder)


PAIR = Pair("a.png", "m.png")


def ran(pairs, read, inpaint, protocol="composite", **options):
    """``evaluate``; what is one of ``CLASSICAL`` may run in workers."""
    in_workers = inpaint in CLASSICAL.values()
    return evaluate(pairs, Evaluation(read, inpaint, protocol, in_workers=in_workers), **options)


def measured(*arguments, **options):
    """The samples of an evaluation that passes over nothing."""
    samples, refused = ran(*arguments, **options)
    assert not refused
    return samples


class Tell(PairReader):
    """Refuses every picture with what there is to know of the process that reads."""

    def __call__(self, pair):
        unwanted = sorted(name for name in ("paddle", "torch") if name in sys.modules)
        threads = [os.environ.get(f"{name}_NUM_THREADS") for name in ("OMP", "OPENBLAS", "MKL")]
        raise InputError(f"{os.getpid() == int(pair.image)} {unwanted} {cv2.getNumThreads()} {threads}")


MANY = [Pair("sample:coffee", f"generated:{seed}:0.{1 + seed % 4}-0.{2 + seed % 4}:B") for seed in range(9)]


def test_workers_give_the_same_samples_and_leave_a_network_to_the_main_process():
    def network(picture, hole):
        assert os.getpid() == ours and threading.current_thread() is threading.main_thread()
        return CLASSICAL["mean"](picture, hole)

    ours, reader = os.getpid(), PairReader(size=24)
    alone = measured(MANY, reader, network, "composite")
    assert len({sample.psnr for sample in alone}) == len(MANY)
    assert measured(MANY, reader, network, "composite", num_workers=2) == alone


def test_workers_have_one_thread_and_no_framework(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    with pytest.raises(InputError, match=r"^False \[\] 1 \['1', '1', '1'\]$"):
        measured([Pair(str(os.getpid()), "")], Tell(), CLASSICAL["mean"], num_workers=1)
    assert os.environ["OMP_NUM_THREADS"] == "7" and "MKL_NUM_THREADS" not in os.environ


def test_a_stamp_tells_files_from_others_of_their_name(folder, read):
    first = read.stamp(PAIR)
    assert first == read.stamp(PAIR) and len(first) == 2
    os.utime(folder / "m.png", ns=(0, 1))
    assert read.stamp(PAIR) != first
    assert read.stamp(Pair("gone.png", "m.png")) is None
    assert PairReader().stamp(Pair("sample:coffee", "generated:4:0.3-0.4:N")) == []
