"""One page about this machine for a bug report: ``python -m tools.doctor``.

Never stops at an error: a line then reads "unknown (reason)". Paddle, which may crash on a machine that it does not
fit, is tried in a process of its own.
"""

import importlib.metadata
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from options import Parser
from utils.errors import one_line, run_cleanly
from utils.files import sha256_of

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = (
    *("paddlepaddle", "paddlepaddle-gpu", "numpy", "scipy", "opencv-python", "opencv-python-headless"),
    *("opencv-contrib-python", "scikit-image", "pillow", "visualdl", "protobuf", "psutil", "filelock", "safetensors"),
    *("numba", "starlette", "uvicorn", "paddle2onnx", "onnxruntime"),
)
TRY_PADDLE = "import utils.device; utils.device.setup_device(); import paddle; paddle.utils.run_check()"
KINDS = (".npz", ".safetensors", ".pdparams")


def main(argv: Sequence[str] | None = None) -> None:
    Parser(prog="python -m tools.doctor", description=__doc__.partition(":")[0] + ".").parse_args(argv)
    for label, fact in FACTS.items():
        print(f"- {label}: {told(fact)}", flush=True)


def told(fact: Callable[[], str]) -> str:
    """A fact, or why it is unknown; without the user's name, which is in the path of the home folder."""
    try:
        text = fact()
    except Exception as error:
        text = f"unknown ({type(error).__name__}: {one_line(error, 160)})"
    return text.replace(f"{Path.home()}{os.sep}", f"~{os.sep}")


def output_of(*command: str, timeout: int = 30) -> str:
    done = subprocess.run(command, cwd=ROOT, timeout=timeout, capture_output=True, text=True, errors="replace")
    if done.returncode:
        raise RuntimeError(f"status {done.returncode}: {done.stderr[-160:]}")
    return "; ".join(done.stdout.strip().splitlines())


def memory() -> str:
    import psutil  # here, so that a missing package is a line

    found = psutil.virtual_memory()
    return f"{found.available / 2**30:.1f} of {found.total / 2**30:.1f} GiB free"


def packages() -> str:
    installed = {str(found.name).lower(): found.version for found in importlib.metadata.distributions()}
    return ", ".join(f"{name} {installed[name]}" for name in PACKAGES if name in installed)


def weights() -> str:
    """Each shipped file against the SHA-256 in weights/README.md."""
    folder = ROOT / "weights"
    readme, files = (folder / "README.md").read_text(encoding="utf-8"), sorted(folder.rglob("*.*"))
    state = {path: "whole" if sha256_of(path) in readme else "ANOTHER FILE" for path in files if path.suffix in KINDS}
    return ", ".join(f"{path.relative_to(folder)} {state[path]}" for path in state)


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
