"""How much memory there is, and whether what is asked for can fit in it: told before the work, in one line.

Where memory ends the system kills, without a word and not always the one who asked. Needs are estimated from below,
by what surely has to be held at once, so that nothing is refused that would have gone well; what is beyond them still
ends in a ``MemoryError``, which is told too, or in a kill.

Measured on a CPU: a step of a ``pconv_unet`` of 64 channels at 256 px took 28 bytes for each channel and pixel beside
16 for each parameter, one pass 8 to 13 (exported), and one of ``deepfill_v1`` 50.
"""

import contextlib
import os
import resource
from collections.abc import Iterator
from pathlib import Path

import paddle

from utils.errors import LITTLE_MEMORY, InputError, is_out_of_memory

PER_PARAMETER = 16  # bytes in training: float32 weight, gradient and Adam's two moments
STEP, VGG_STEP = 12, 1000  # bytes in training: for each pixel and channel; for each pixel, of VGG16's taps
PASS, DEEPFILL_PASS = 6, 40  # bytes of one pass, for each pixel and channel

_CGROUPS = (  # what a container may take, and takes: of version 2 and 1
    ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
    ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
)


def free_memory() -> int | None:
    """Bytes that this process may still take, on the device that is chosen; None where there is no telling."""
    if paddle.get_device().startswith("gpu"):
        total = paddle.device.cuda.get_device_properties().total_memory
        return total - paddle.device.cuda.memory_allocated()
    return min((free for free in (_of_machine(), _of_container(), _of_process()) if free is not None), default=None)


def refuse_beyond_memory(needed: int, what: str, remedy: str) -> None:
    """Raise InputError where work takes more than there is.

    Args:
        needed: bytes, estimated from below.
        what: that takes them, for the message.
    """
    free = free_memory()
    if free is not None and needed > free:
        raise InputError(
            f"{what}: expected {needed / 2**30:.1f} GiB of free memory or more, got {free / 2**30:.1f} GiB; {remedy}"
        )


def pass_bytes(model_name: str, model_options: dict, pixels: int, exported: bool = False) -> int:
    """What one pass over a picture takes at least."""
    channels = model_options.get("base_channels", 1)
    if model_name != "deepfill_v1":
        return PASS * channels * pixels
    # Exported, it holds how alike each two of the 8x8 patches are, all at once.
    return DEEPFILL_PASS * channels * pixels + (4 * (pixels // 64) ** 2 if exported else 0)


def step_bytes(parameters: int, channels: int, pixels: int, with_vgg: bool) -> int:
    """What a step of training takes at least; ``pixels`` of the whole batch."""
    return PER_PARAMETER * parameters + pixels * (STEP * channels + VGG_STEP * with_vgg)


@contextlib.contextmanager
def telling_of_memory(what: str, remedy: str) -> Iterator[None]:
    """Where memory ends inside the block, an InputError says of what."""
    try:
        yield
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        raise InputError(f"{what}: {LITTLE_MEMORY}; {remedy}") from None


def _of_machine() -> int | None:
    lines = _lines("/proc/meminfo")
    found = [line.split()[1] for line in lines if line.startswith("MemAvailable:")]
    return int(found[0]) * 1024 if found else None


def _of_container() -> int | None:
    for limit, used in _CGROUPS:
        numbers = [int(line) for path in (limit, used) for line in _lines(path)[:1] if line.strip().isdigit()]
        if len(numbers) == 2:
            return max(0, numbers[0] - numbers[1] + _cached(Path(limit).parent))
    return None


def _cached(group: Path) -> int:
    """Bytes of files that a container's count includes and that the system gives up when they are wanted."""
    found = [line.split()[1] for line in _lines(group / "memory.stat") if line.split()[:1] == ["inactive_file"]]
    return int(found[0]) if found else 0


def _of_process() -> int | None:
    """What ``ulimit -v`` leaves."""
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    pages = _lines("/proc/self/statm")
    if limit == resource.RLIM_INFINITY or not pages:
        return None
    return max(0, limit - int(pages[0].split()[0]) * os.sysconf("SC_PAGESIZE"))


def _lines(path: str | os.PathLike) -> list[str]:
    try:
        return Path(path).read_text().splitlines()
    except OSError:  # another system
        return []
