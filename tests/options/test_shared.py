"""Paddle imported: what it says meanwhile is kept back, and nothing of what is logged later; memory is kept."""

import platform
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
CHILD = """
import logging
import resource
from options import setup_device
setup_device("cpu", threads=2)
logging.getLogger("paddle_pconv").warning("of ours")
logging.getLogger("paddle_pconv").info("not asked for")
logging.getLogger("paddle.base.backward").warning("of Paddle's")
import numpy as np
for _ in range(2):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    np.ones(100 << 20, np.uint8)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.fixture(scope="module")
def done():
    return subprocess.run([sys.executable, "-c", CHILD], cwd=ROOT, capture_output=True, text=True)


def test_what_is_logged_after_paddle_came_is_told_once(done):
    lines = done.stderr.splitlines()
    assert done.returncode == 0 and [line for line in lines if "of ours" in line] == ["of ours"]
    assert len(lines) == 2 and "of Paddle's" in lines[1], done.stderr


@pytest.mark.skipif(
    platform.libc_ver()[0] != "glibc" or tuple(map(int, platform.libc_ver()[1].split("."))) < (2, 35),
    reason="memory is kept with glibc 2.35 or later",
)
def test_the_pages_of_a_large_array_are_there_for_the_next(done):
    first, second = map(int, done.stdout.split())
    assert second < first / 4
