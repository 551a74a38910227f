"""The device: Paddle imported with its threads set, and the memory allocator tuned.

Nothing here imports Paddle but ``setup_device``: Paddle fixes its number of threads when it is imported.
"""

import contextlib
import ctypes
import io
import logging
import os
import signal
import sys
import threading
import warnings
import zlib  # noqa: F401  Paddle 2.6 brings a zlib of its own, which crashes Python's unless that was loaded before
from collections.abc import Iterator
from pathlib import Path

from utils.errors import InputError

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of malloc.h


def setup_device(device: str = "auto", threads: int | None = None) -> None:
    """Import Paddle with its threads set and choose the device.

    Args:
        device: "auto", "cpu" or "gpu".
        threads: CPU threads; when None, OMP_NUM_THREADS, else all cores. Left alone Paddle uses one.
    Raises:
        InputError: "gpu" where Paddle sees none.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    cores = max(1, cores // int(os.environ.get("PADDLE_LOCAL_SIZE", "1")))  # a share for each process
    if threads or "OMP_NUM_THREADS" not in os.environ:
        os.environ["OMP_NUM_THREADS"] = str(threads or cores)
    _speed_up_amd_processors()
    _keep_freed_memory()
    for message in ("No ccache found", "You are using GPU version Paddle", "When training, we now always track"):
        warnings.filterwarnings("ignore", message=message)
    with _without_remarks():
        import paddle

    _take_signals_back()
    gpu = paddle.is_compiled_with_cuda() and paddle.device.cuda.device_count() > 0
    if device == "gpu" and not gpu:
        build = "a build for CPU" if not paddle.is_compiled_with_cuda() else "no CUDA device"
        raise InputError(
            f"--device gpu: expected a GPU, got {build}; "
            "install paddlepaddle-gpu on a machine with one, or use --device cpu"
        )
    paddle.set_device("gpu" if gpu and device != "cpu" else "cpu")


def rank() -> int:
    """The number of this process among those of ``paddle.distributed.launch``, 0 without it."""
    return int(os.environ.get("PADDLE_TRAINER_ID", "0"))


@contextlib.contextmanager
def _without_remarks() -> Iterator[None]:
    """Drop Paddle's warning about the number of threads, and nothing of what is logged afterwards.

    Paddle's loggers keep the stream that they find at import. Paddle also adds a handler to the root logger, which
    would print the lines of other loggers a second time.
    """
    with contextlib.redirect_stderr(io.StringIO()) as dropped:
        yield
    for logger in (logging.root, *logging.root.manager.loggerDict.values()):
        for handler in [h for h in getattr(logger, "handlers", ()) if getattr(h, "stream", None) is dropped]:
            handler.setStream(sys.stderr)
            if logger is logging.root:
                logger.removeHandler(handler)
                logger.setLevel(logging.WARNING)


def _take_signals_back() -> None:
    """Undo Paddle's signal handlers, which print its own stack when a process is ended."""
    for name in ("SIGTERM", "SIGHUP"):
        signum = getattr(signal, name, None)
        if signum and threading.current_thread() is threading.main_thread() and signal.getsignal(signum) is not None:
            signal.signal(signum, signal.getsignal(signum))


def _speed_up_amd_processors() -> None:
    """Let Paddle's MKL use AVX2 on AMD; by default it takes a path for old processors, at less than half the speed."""
    try:
        processor = Path("/proc/cpuinfo").read_text()
    except OSError:  # not Linux
        return
    if "AuthenticAMD" in processor and "avx2" in processor:
        os.environ.setdefault("MKL_DEBUG_CPU_TYPE", "5")


def _keep_freed_memory() -> None:
    """Let C's allocator keep the memory of freed arrays of up to 256 MiB.

    By default arrays of more than 32 MiB go back to the system, which clears every page when it is used again: 40 % of
    the processor time of filling a large photograph.
    """
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # glibc's; before 2.35 it refuses so much
    if mallopt and mallopt(_M_MMAP_THRESHOLD, 256 << 20):
        mallopt(_M_TRIM_THRESHOLD, 512 << 20)
