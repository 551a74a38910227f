"""One page about this machine for a bug report: ``python -m tools.doctor``.

Never stops at an error: a line then reads "unknown (reason)". Paddle, which may crash on a machine that it does not
fit, is tried in a process of its own. The page names neither the user nor the machine.
"""

import argparse
import importlib.metadata
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from utils.errors import one_line, run_cleanly
from utils.files import sha256_of

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = (
    *("paddlepaddle", "paddlepaddle-gpu", "numpy", "scipy", "opencv-python", "opencv-python-headless"),
    *("opencv-contrib-python", "scikit-image", "pillow", "visualdl", "protobuf", "psutil", "filelock", "safetensors"),
    *("numba", "starlette", "uvicorn", "paddle2onnx", "onnxruntime"),
)
TRY_PADDLE = """
import utils.device, warnings
warnings.simplefilter("ignore")
utils.device.setup_device()
import paddle
paddle.utils.run_check()
from models import PartialConv2D
layer = PartialConv2D(1, 1, 3, padding=1)
layer.weight.set_value(paddle.ones([1, 1, 3, 3]))
mask = paddle.ones([1, 1, 5, 5])
mask[:, :, 1:3, 1:4] = 0
out, _ = layer(paddle.full([1, 1, 5, 5], 2.0), mask)
print("partial convolution", "right" if bool(((out - 18).abs() < 1e-4).all()) else "WRONG")  # 9 taps of 2, rescaled
"""


def build_parser() -> argparse.ArgumentParser:
    return argparse.ArgumentParser(
        prog="python -m tools.doctor",
        description="One page about this machine for a bug report: versions, memory, disk, weights, and whether Paddle "
        "works here.",
    )


def main(argv: Sequence[str] | None = None) -> None:
    build_parser().parse_args(argv)
    for label, fact in FACTS.items():
        print(f"- {label}: {told(fact)}", flush=True)


def told(fact: Callable[[], str]) -> str:
    """A fact, or why it is unknown, without the user's folder."""
    try:
        text = fact()
    except Exception as error:
        text = f"unknown ({type(error).__name__}: {one_line(error, 160)})"
    home = os.path.expanduser("~").rstrip("/")
    return re.sub(rf"{re.escape(home)}(?![\w.-])", "~", text) if home else text


def output_of(*command: str, timeout: int = 30) -> str:
    done = subprocess.run(command, cwd=ROOT, timeout=timeout, capture_output=True, text=True, errors="replace")
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise RuntimeError(f"status {done.returncode}: {last}")
    return "; ".join(done.stdout.strip().splitlines())


def memory() -> str:
    import psutil  # here, so that a missing package is a line

    found = psutil.virtual_memory()
    return f"{found.available / 2**30:.1f} of {found.total / 2**30:.1f} GiB free"


def packages() -> str:
    """Versions; two packages of one kind overwrite one another's files."""
    installed = {name: version for name in PACKAGES if (version := _version(name))}
    kinds = [[name for name in installed if name.startswith(kind)] for kind in ("paddlepaddle", "opencv")]
    clash = "".join(f"; CLASH: {' and '.join(kind)}, uninstall all but one" for kind in kinds if len(kind) > 1)
    return ", ".join(f"{name} {version}" for name, version in installed.items()) + clash


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def weights() -> str:
    """Each shipped file against the SHA-256 in weights/README.md."""
    readme, states = (ROOT / "weights" / "README.md").read_text(encoding="utf-8"), []
    for path in sorted((ROOT / "weights").rglob("*.*")):
        if path.suffix in (".npz", ".safetensors", ".pdparams"):
            states.append(f"{path.relative_to(ROOT)} {'whole' if sha256_of(path) in readme else 'ANOTHER FILE'}")
    return ", ".join(states) or "MISSING"


FACTS: dict[str, Callable[[], str]] = {
    "commit": lambda: output_of("git", "log", "-1", "--format=%h of %cs"),
    "Python": lambda: f"{platform.python_version()} on {platform.platform()}, {os.cpu_count()} cores",
    "memory": memory,
    "disk": lambda: f"{shutil.disk_usage(ROOT).free / 2**30:.1f} GiB free",
    "GPU": lambda: output_of("nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"),
    "packages": packages,
    "OpenCV": lambda: output_of(sys.executable, "-c", "import cv2; print(cv2.__version__, 'can be imported')"),
    "weights": weights,
    "Paddle": lambda: output_of(sys.executable, "-c", TRY_PADDLE, timeout=300),
}


if __name__ == "__main__":
    run_cleanly(main)
