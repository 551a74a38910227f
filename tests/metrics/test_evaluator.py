"""Reading pairs and measuring them."""

import os
import sys
import threading

import cv2
import pytest

from inpainting.classical import CLASSICAL
from metrics.evaluator import Evaluation, PairReader, evaluate
from metrics.manifest import Pair
from utils.errors import InputError


def ran(pairs, read, inpaint, protocol="composite", **options):
    """``evaluate``; what is one of ``CLASSICAL`` may run in workers."""
    fills_here = inpaint not in CLASSICAL.values()
    return evaluate(pairs, Evaluation(read, inpaint, protocol, fills_here=fills_here), **options)


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
