"""Shared by the tests: small pictures, masks and weights on disk."""

import contextlib
import inspect
import os
import signal
import zlib  # noqa: F401  before Paddle, see models/__init__.py
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import HealthCheck, settings

from models import MODELS

collect_ignore = ["tools/port_networks.py"]  # it needs PyTorch and runs in a process of its own

# The same examples at every run, so that a change that breaks something is told from luck. Others are searched with
# python -m pytest --hypothesis-profile default. On a busy machine nothing is too slow.
settings.register_profile(
    "same", derandomize=True, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("same")

# Ignored signals (Ctrl-C in a shell's background, SIGHUP under nohup) would be ignored by all processes that the tests
# start; those with a handler are reset in them.
signal.signal(signal.SIGINT, signal.default_int_handler)
if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
    signal.signal(signal.SIGHUP, lambda *_: None)


def _children():
    """Process numbers of this process's own children; none where the system does not list them."""
    children = set()
    for path in Path("/proc/self/task").glob("*/children"):
        with contextlib.suppress(OSError):  # the thread has ended meanwhile
            children.update(map(int, path.read_text().split()))
    return children


@pytest.fixture(autouse=True)
def no_process_outlives_its_test():
    """Kill what a test started and, having failed, did not end; with its process group where it has one."""
    before = _children()
    yield
    for child in _children() - before:
        with contextlib.suppress(OSError):
            if b"multiprocessing" in Path(f"/proc/{child}/cmdline").read_bytes():  # Python's own, shared by all tests
                continue
            os.killpg(child, signal.SIGKILL) if os.getpgid(child) == child else os.kill(child, signal.SIGKILL)


def small_options(name, **options):
    """Of a small network of that name; those that it does not have are left out."""
    known = inspect.signature(MODELS[name].__init__).parameters
    return {key: value for key, value in {"base_channels": 4, "depth": 3, **options}.items() if key in known}


@pytest.fixture
def pictures(tmp_path):
    """A folder of four smooth colour pictures, 40 high and 48 wide."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for i in range(4):
        noise = np.random.default_rng(i).integers(0, 256, [5, 6, 3], dtype=np.uint8)
        cv2.imwrite(str(folder / f"{i}.png"), cv2.resize(noise, (48, 40), interpolation=cv2.INTER_CUBIC))
    return folder


@pytest.fixture
def mask_file(tmp_path):
    """A mask for them with a white hole over a fifth of the picture."""
    mask = np.zeros([40, 48], np.uint8)
    mask[8:24, 10:34] = 255
    cv2.imwrite(str(tmp_path / "mask.png"), mask)
    return tmp_path / "mask.png"


@pytest.fixture(scope="session")
def small_weights(tmp_path_factory):
    """The weights directory of a small untrained network."""
    import paddle

    from inpainting.checkpoint import save_weights
    from models import build_model

    paddle.seed(0)  # Paddle draws another seed in each process
    directory = tmp_path_factory.mktemp("weights")
    save_weights(build_model("pconv_unet", base_channels=4, depth=3), directory)
    return directory
