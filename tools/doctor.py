"""What a report of a bug needs to know of this machine, on one page: ``python -m tools.doctor``.

Nothing here may fail: what cannot be told is a line that says so. Only the standard library is imported; Paddle and
OpenCV, which may crash where they do not fit the machine, are tried in processes of their own. The page names neither
the user nor the machine, and of the environment only the variables that are listed here.
"""

import argparse
import ctypes.util
import importlib.metadata
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from utils.errors import one_line, run_cleanly
from utils.files import sha256_of

ROOT = Path(__file__).resolve().parent.parent
PATIENCE = 300  # seconds for Paddle to be imported and tried; a cold disk is slow
PACKAGES = (
    *("paddlepaddle", "paddlepaddle-gpu", "numpy", "scipy", "opencv-python", "opencv-python-headless"),
    *("opencv-contrib-python", "scikit-image", "pillow", "visualdl", "protobuf", "pyyaml", "tqdm", "matplotlib"),
    *("safetensors", "starlette", "uvicorn", "paddle2onnx", "onnxruntime"),
)
INSTRUCTIONS = (
    *("sse4_2", "avx", "avx2", "fma", "avx512f", "avx512_vnni", "avx512_bf16", "avx512_fp16"),
    *("amx_tile", "amx_int8", "amx_bf16", "asimd", "sve"),
)
VARIABLES = ("OMP_NUM_THREADS", "OMP_WAIT_POLICY", "MKL_DEBUG_CPU_TYPE", "CUDA_VISIBLE_DEVICES", "LC_ALL", "LANG")
AS_TEXT = {"capture_output": True, "text": True, "errors": "replace"}
CGROUP = Path("/sys/fs/cgroup")
IMPORT_CV2 = "import cv2; print('OpenCV', cv2.__version__, 'can be imported')"

Fact = Callable[[], str | Iterator[str]]


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tools.doctor",
        description="One page about this machine for a report of a bug: versions, device, threads, memory, disk, "
        "weights, and whether Paddle computes a partial convolution right.",
    )
    parser.add_argument("--paddle", action="store_true", help=argparse.SUPPRESS)  # in a process of its own
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    if build_parser().parse_args(argv).paddle:
        for line in paddle_facts():
            print(line, flush=True)
        return
    for title, facts in SECTIONS.items():
        print(f"## {title}", flush=True)
        for label, fact in facts.items():
            for line in told(fact):
                print(f"- {label}: {anonymous(line)}", flush=True)


def told(fact: Fact) -> Iterator[str]:
    """The lines of a fact; where it cannot be told, a line with the reason."""
    try:
        lines = fact()
        yield from [lines] if isinstance(lines, str) else lines
    except Exception as error:
        yield f"could not be told ({type(error).__name__}: {one_line(error, 160)})"


def anonymous(line: str) -> str:
    """A line without the user's folder.

    Example:
        >>> anonymous(f"{os.path.expanduser('~')}/a/model.pdparams")
        '~/a/model.pdparams'
    """
    home = os.path.expanduser("~").rstrip("/")
    return re.sub(rf"{re.escape(home)}(?![\w.-])", "~", line) if home else line


def commit() -> str:
    number = _output_of("git", "-C", str(ROOT), "log", "-1", "--format=%h of %cs")
    changed = _output_of("git", "-C", str(ROOT), "status", "--porcelain", "--untracked-files=no")
    return number + (f", {len(changed.splitlines())} files changed since" if changed else "")


def python() -> str:
    kind = "" if sys.prefix == sys.base_prefix else ", in a virtual environment"
    return f"{platform.python_implementation()} {platform.python_version()}{kind}"


def system() -> Iterator[str]:
    yield platform.platform()
    if hasattr(platform, "freedesktop_os_release"):
        yield platform.freedesktop_os_release().get("PRETTY_NAME", "of no name")


def processor() -> str:
    found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return one_line(found[1], 100) if found else platform.machine()


def instructions() -> str:
    found = re.search(r"^(?:flags|Features)\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    flags = set(found[1].split()) if found else set()
    return "; ".join(
        f"{title} {', '.join(names) or 'none'}"
        for title, names in (
            ("has", [name for name in INSTRUCTIONS if name in flags]),
            ("has not", [name for name in INSTRUCTIONS[:-2] if name not in flags]),
        )
    )


def cores() -> str:
    usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else "unknown"
    return f"{os.cpu_count()}, of which this process may use {usable}"


def core_limit() -> str:
    """Of a container, of version 2 or 1."""
    if (CGROUP / "cpu.max").exists():
        quota, period = (CGROUP / "cpu.max").read_text().split()
    elif (CGROUP / "cpu/cpu.cfs_quota_us").exists():
        quota, period = ((CGROUP / f"cpu/cpu.cfs_{name}_us").read_text().strip() for name in ("quota", "period"))
    else:
        return "none told"
    return "none" if quota in ("max", "-1") else f"{int(quota) / int(period):.2f} cores"


def variables() -> str:
    return ", ".join(f"{name}={one_line(os.environ[name], 40)}" for name in VARIABLES if name in os.environ) or "none"


def gpus() -> str:
    if shutil.which("nvidia-smi") is None:
        return "no nvidia-smi"
    return _output_of("nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader")


def memory() -> str:
    lines = Path("/proc/meminfo").read_text().splitlines()
    sizes = {line.partition(":")[0]: int(line.split()[1]) << 10 for line in lines if len(line.split()) > 1}
    return f"{_size(sizes['MemTotal'])}, available {_size(sizes['MemAvailable'])}, swap {_size(sizes['SwapTotal'])}"


def memory_limit() -> str:
    """Of a container, of version 2 or 1."""
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        if (CGROUP / name).exists():
            limit = (CGROUP / name).read_text().strip()
            return "none" if limit == "max" or int(limit) >= 1 << 60 else _size(int(limit))
    return "none told"


def address_limit() -> str:
    import resource  # not on Windows

    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    return "none" if limit == resource.RLIM_INFINITY else _size(limit)


def space(folder: Path) -> str:
    """Free where a folder is, or will be."""
    there = next(path for path in (folder, *folder.parents) if path.is_dir())
    usage = shutil.disk_usage(there)
    written = "can be written" if os.access(there, os.W_OK) else "CANNOT be written"
    return f"{_size(usage.free)} free of {_size(usage.total)}, {written}"


def packages() -> str:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = "none"
        except Exception as error:  # its files are damaged
            found[name] = f"damaged ({type(error).__name__})"
    return ", ".join(f"{name} {version}" for name, version in found.items())


def rivals() -> str:
    """Packages that overwrite one another's files."""
    families = {"paddle": PACKAGES[:2], "cv2": [name for name in PACKAGES if name.startswith("opencv")]}
    held = {key: [name for name in names if _is_installed(name)] for key, names in families.items()}
    return "; ".join(f"{key} comes with {' AND '.join(names) or 'none'}" for key, names in held.items())


def opencv() -> Iterator[str]:
    yield from _tried([sys.executable, "-c", IMPORT_CV2])
    if sys.platform.startswith("linux"):
        libraries = {name: ctypes.util.find_library(name) for name in ("GL", "gthread-2.0")}
        yield ", ".join(f"lib{name} {'found' if found else 'not found'}" for name, found in libraries.items()) + (
            "" if all(libraries.values()) else " (opencv-python may need it; opencv-python-headless does not)"
        )


def weights(root: Path = ROOT) -> Iterator[str]:
    """Each file that comes with the project against the size and sha256 that its README tells."""
    told_of = (root / "weights" / "README.md").read_text(encoding="utf-8")
    for section in re.split(r"^## ", told_of, flags=re.MULTILINE)[1:]:
        name, digest = section.splitlines()[0].strip(), re.search(r"`([0-9a-f]{64})`", section)
        path = root / "weights" / name / "model.pdparams" if name.endswith("/") else root / "weights" / name
        if digest:
            yield from (f"{path.relative_to(root)}: {line}" for line in told(lambda p=path, d=digest[1]: _state(p, d)))


def _state(path: Path, digest: str) -> str:
    if not path.is_file():
        return "MISSING"
    got = sha256_of(path)
    return f"{path.stat().st_size:,} bytes, " + ("whole" if got == digest else f"ANOTHER FILE: sha256 {got[:16]}...")


def paddle_in_a_process() -> Iterator[str]:
    yield from _tried([sys.executable, "-m", "tools.doctor", "--paddle"])


def paddle_facts() -> Iterator[str]:
    """Of Paddle, which is imported here."""
    for fact in (_paddle_build, _paddle_devices, _paddle_threads, partial_convolution):
        yield from map(one_line, told(fact))


def _paddle_build() -> str:
    from options import setup_device

    setup_device()
    import paddle

    kind = "for CPU"
    if paddle.is_compiled_with_cuda():
        kind = f"for GPU: CUDA {paddle.version.cuda()}, cuDNN {paddle.version.cudnn()}"
    return f"Paddle {paddle.__version__} ({str(paddle.version.commit)[:10]}) {kind}"


def _paddle_devices() -> str:
    import paddle

    count = paddle.device.cuda.device_count() if paddle.is_compiled_with_cuda() else 0
    names = [paddle.device.cuda.get_device_name(number) for number in range(count)]
    return f"devices seen: {', '.join(names) or 'no GPU'}; chosen: {paddle.get_device()}"


def _paddle_threads() -> str:
    return f"threads: {os.environ.get('OMP_NUM_THREADS', 'unset')}"


def partial_convolution() -> str:
    """A small one against its formula, pixel by pixel."""
    import numpy as np
    import paddle

    from models import PartialConv2D

    rng = np.random.default_rng(0)
    layer = PartialConv2D(2, 3, 3, padding=1)
    x = rng.random([1, 2, 6, 7], dtype="float32")
    mask = (rng.random([1, 1, 6, 7]) > 0.6).astype("float32")
    mask[..., :3, :3] = 0
    out, new_mask = (t.numpy() for t in layer(paddle.to_tensor(x), paddle.to_tensor(mask)))
    weight, bias = layer.weight.numpy(), layer.bias.numpy()
    padded, valid = (np.pad(a[0], [(0, 0), (1, 1), (1, 1)]) for a in (x * mask, mask))
    differences = []
    for i, j in np.ndindex(6, 7):
        window, known = padded[:, i : i + 3, j : j + 3], valid[:, i : i + 3, j : j + 3].sum()
        expected = (weight * window).sum((1, 2, 3)) * 9 / known + bias if known else np.zeros(3)
        differences += [*np.abs(out[0, :, i, j] - expected), abs(new_mask[0, 0, i, j] - float(known > 0))]
    worst = np.max(differences)  # NaN where one is
    return f"a partial convolution comes out {'right' if worst < 1e-4 else 'WRONG'}, within {worst:.1e} of its formula"


def _tried(command: list[str]) -> Iterator[str]:
    """The lines of a command of ours that may crash; then how it ended, unless well."""
    try:
        done = subprocess.run(command, cwd=ROOT, timeout=PATIENCE, stdin=subprocess.DEVNULL, **AS_TEXT)
    except subprocess.TimeoutExpired as error:
        yield from (one_line(line) for line in (error.stdout or b"").decode(errors="replace").splitlines())
        yield f"NOT DONE after {PATIENCE} seconds"
        return
    yield from map(one_line, done.stdout.splitlines())
    if done.returncode:
        last = [line for line in done.stderr.splitlines() if line.strip()][-1:] or ["no message"]
        yield f"FAILED with {_ending(done.returncode)}: {one_line(last[0], 200)}"


def _ending(status: int) -> str:
    """Of a process, in words.

    Example:
        >>> _ending(3), _ending(-4)
        ('status 3', 'SIGILL')
    """
    try:
        return f"status {status}" if status > 0 else signal.Signals(-status).name
    except ValueError:
        return f"signal {-status}"


def _output_of(*command: str) -> str:
    done = subprocess.run(command, timeout=30, **AS_TEXT)
    if done.returncode:
        raise RuntimeError(f"{command[0]}: {done.stderr or done.stdout}")
    return done.stdout.strip()


def _is_installed(name: str) -> bool:
    try:
        return bool(importlib.metadata.version(name))
    except importlib.metadata.PackageNotFoundError:
        return False


def _size(count: float) -> str:
    """Bytes in words.

    Example:
        >>> _size(3 << 29), _size(100)
        ('1.5 GiB', '0.0 GiB')
    """
    return f"{count / 2**30:.1f} GiB"


SECTIONS: dict[str, dict[str, Fact]] = {
    "Project": {"commit": commit, "weights": weights},
    "System": {
        "Python": python,
        "system": system,
        "processor": processor,
        "instructions": instructions,
        "cores": cores,
        "limit of cores": core_limit,
        "variables": variables,
        "GPU": gpus,
        "memory": memory,
        "limit of memory": memory_limit,
        "limit of addresses": address_limit,
        "disk, logs/": lambda: space(ROOT / "logs"),
        "disk, temporary files": lambda: space(Path(tempfile.gettempdir())),
        "/dev/shm": lambda: space(Path("/dev/shm")) if Path("/dev/shm").is_dir() else "none",
    },
    "Packages": {"versions": packages, "one of a kind": rivals, "OpenCV": opencv},
    "Paddle": {"Paddle": paddle_in_a_process},
}


if __name__ == "__main__":
    run_cleanly(main)
