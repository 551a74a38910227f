"""How much memory is free, and whether a task can fit into it: checked before the work, in one line.

When memory runs out the system kills a process without a message. Needs are estimated from below, so that nothing is
refused that would have worked; what exceeds the estimate still ends in a ``MemoryError``, which is reported too, or in
a kill.

Measured on a CPU: a step of a ``pconv_unet`` of 64 channels at 256 px took 28 bytes for each channel and pixel beside
16 for each parameter, one pass 8 to 13 (exported), and one of ``deepfill_v1`` 50.
"""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import paddle
import psutil

from utils.errors import LITTLE_MEMORY, InputError, is_out_of_memory

PER_PARAMETER = 16  # bytes in training: float32 weight, gradient and Adam's two moments
STEP, VGG_STEP = 12, 1000  # bytes in training: for each pixel and channel; for each pixel, of VGG16's taps
PASS, DEEPFILL_PASS = 6, 40  # bytes of one pass, for each pixel and channel

_CGROUPS = (  # limit and use of a container, versions 2 and 1: psutil knows the machine only
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
)


def free_memory() -> int:
    """Bytes that this process may still take, on the chosen device."""
    if paddle.get_device().startswith("gpu"):
        total = paddle.device.cuda.get_device_properties().total_memory
        return total - paddle.device.cuda.memory_allocated()
    return min([psutil.virtual_memory().available, *_free_in_container()])


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


def step_bytes(parameters: int, channels: int, pixels: int, with_vgg: bool) -> int:
    """What a step of training takes at least; ``pixels`` of the whole batch."""
    return PER_PARAMETER * parameters + pixels * (STEP * channels + VGG_STEP * with_vgg)


@contextlib.contextmanager
def telling_of_memory(what: str, remedy: str) -> Iterator[None]:
    """Where memory runs out inside the block, an InputError names ``what``."""
    try:
        yield
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        raise InputError(f"{what}: {LITTLE_MEMORY}; {remedy}") from None


def _free_in_container() -> list[int]:
    for limit, used in _CGROUPS:
        numbers = [int(line) for path in (limit, used) for line in _lines(path)[:1] if line.strip().isdigit()]
        if len(numbers) == 2:
            return [max(0, numbers[0] - numbers[1] + _cached(Path(limit).parent))]
    return []


def _cached(group: Path) -> int:
    """Bytes of cached files, which a container's use includes and the system frees on demand."""
    found = [line.split()[1] for line in _lines(group / "memory.stat") if line.split()[:1] == ["inactive_file"]]
    return int(found[0]) if found else 0


def _lines(path: str | Path) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:  # no such control group, or another system
        return []
