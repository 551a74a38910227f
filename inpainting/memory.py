"""How much memory is free, and whether a task can fit into it: checked before the work, in one line.

When memory runs out the system kills a process without a message. Needs are estimated from below, so that nothing is
refused that would have worked; what exceeds the estimate still ends in a ``MemoryError``, which is reported too, or in
a kill.

Measured on a CPU: one pass of a ``pconv_unet`` of 64 channels at 256 px took 8 to 13 bytes (exported) for each channel
and pixel, one of ``deepfill_v1`` 50.
"""

import contextlib
import math
from collections.abc import Iterator
from pathlib import Path

import paddle
import psutil

from utils.errors import LITTLE_MEMORY, InputError, is_out_of_memory

PASS, DEEPFILL_PASS = 6, 40  # bytes of one pass, for each pixel and channel

_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")  # versions 2 and 1


def free_memory() -> int:
    """Bytes that this process may still take, on the chosen device."""
    if paddle.get_device().startswith("gpu"):
        total = paddle.device.cuda.get_device_properties().total_memory
        return total - paddle.device.cuda.memory_allocated()
    own = psutil.Process().memory_info().rss
    return int(min(psutil.virtual_memory().available, _limit_of_container() - own))


def refuse_beyond_memory(needed: int, what: str, remedy: str) -> None:
    """Raise InputError where work takes more than is free.

    Args:
        needed: bytes, estimated from below.
        what: that takes them, for the message.
    """
    if needed > (free := free_memory()):
        raise InputError(
            f"{what}: expected {needed / 2**30:.1f} GiB of free memory or more, got {free / 2**30:.1f} GiB; {remedy}"
        )


def pass_bytes(model_name: str, model_options: dict, pixels: int, exported: bool = False) -> int:
    """What one pass over a picture takes at least."""
    channels = model_options.get("base_channels", 1)
    if model_name != "deepfill_v1":
        return PASS * channels * pixels
    # Exported, it holds the similarity of each two 8x8 patches at once.
    return DEEPFILL_PASS * channels * pixels + (4 * (pixels // 64) ** 2 if exported else 0)


@contextlib.contextmanager
def telling_of_memory(what: str, remedy: str) -> Iterator[None]:
    """Where memory runs out inside the block, an InputError names ``what``."""
    try:
        yield
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        raise InputError(f"{what}: {LITTLE_MEMORY}; {remedy}") from None


def _limit_of_container() -> float:
    """Bytes that a container may use; infinite without one: psutil knows the machine only."""
    for path in _LIMITS:
        with contextlib.suppress(OSError, ValueError):  # no such file; "max"
            return int(Path(path).read_text())
    return math.inf
