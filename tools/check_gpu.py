"""Does everything work on this GPU: ``python -m tools.check_gpu``, some minutes; prints a table for a report.

The project was developed on CPUs. This compares layers and networks on the GPU with the CPU, forward and backward,
trains in each precision and with two processes where there are two GPUs, exports, and measures times.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from options import Parser, setup_device
from options.shared import adder
from utils.errors import InputError, one_line, run_cleanly

ROOT = Path(__file__).resolve().parent.parent
CLOSE = 1e-3  # relative; gradients add up many rounding errors
PAPER = "--image_size 256 --base_channels 64 --depth 7 --batch_size 6"
SMALL = "--image_size 32 --base_channels 8 --depth 3 --batch_size 2"  # in its place on a CPU
TRAININGS = {
    "float32": PAPER,
    "float16": f"{PAPER} --amp O1",
    "bfloat16": f"{PAPER} --amp O1 --amp_dtype bfloat16",
    "smooth prior": f"{PAPER} --prior smooth --norm none",
    "fine-tuning": "--phase finetune --weights weights/demo",
    "critic": "--critic projected --image_size 64",
    "DeepFillv1": "--config configs/deepfill_samples.yaml",
}
SHORT = "--max_iters 6 --log_every 2 --val_every 6 --val_count 4 --save_every 6 --num_workers 0"


def build_parser() -> Parser:
    parser = Parser(
        prog="python -m tools.check_gpu",
        description="Compare the GPU with the CPU, train in each precision, export, measure times. Prints a table to "
        "paste into a report; status 1 if a check failed.",
    )
    adder(parser)("--device", ("gpu", "cpu"), "cpu tries the script itself", "gpu")
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    options = build_parser().parse_args(argv)
    os.environ["NVIDIA_TF32_OVERRIDE"] = "0"  # exact products; the times below are without TF32
    setup_device(options.device)
    print(about_device(), flush=True)
    print("| check | result | seconds |\n| --- | --- | --- |", flush=True)
    failed = 0
    for name, check in checks(options).items():
        start = time.perf_counter()
        try:
            result = check()
        except Exception as error:
            result, failed = f"FAILED: {type(error).__name__}: {one_line(error, 200)}", failed + 1
        print(f"| {name} | {result} | {time.perf_counter() - start:.1f} |", flush=True)
    if failed:
        raise InputError(f"{failed} checks failed: please report the table above")


def checks(options: argparse.Namespace) -> dict[str, Callable[[], str]]:
    """By name; each returns its result in words or raises."""
    found = {f"{name}: GPU and CPU": lambda s=s: same_on_both(*s, options.device) for name, s in subjects().items()}
    for name, words in TRAININGS.items():
        found[f"training, {name}"] = lambda words=words: train(words, options.device)
    found["two processes"] = lambda: two_processes(options.device)
    found["export"] = lambda: export(options.device)
    return found


def about_device() -> str:
    import paddle

    if not paddle.get_device().startswith("gpu"):
        return f"Paddle {paddle.__version__}, {paddle.get_device()}"
    names = [paddle.device.cuda.get_device_name(i) for i in range(paddle.device.cuda.device_count())]
    return (
        f"Paddle {paddle.__version__}, CUDA {paddle.version.cuda()}, cuDNN {paddle.version.cudnn()}, {', '.join(names)}"
    )


def subjects() -> dict[str, tuple[Callable, list[list[int]]]]:
    """Makers of layers, and the shapes of their inputs; of one channel are masks."""
    from losses import VGG16Features
    from models import PartialConv2D, PartialUpConv2D, build_model

    found = {
        "PartialConv2D": (lambda: PartialConv2D(8, 16, 3, stride=2, padding=1), [[2, 8, 33, 40], [2, 1, 33, 40]]),
        "PartialUpConv2D": (
            lambda: PartialUpConv2D(8, 4, 6),
            [[2, 8, 16, 20], [2, 1, 16, 20], [2, 4, 32, 40], [2, 1, 32, 40]],
        ),
        "VGG16": (VGG16Features, [[2, 3, 64, 64]]),
    }
    small = {"base_channels": 16, "depth": 4}
    for name, options in (
        ("pconv_unet", small),
        ("pconv_unet", small | {"prior": "smooth", "norm": "none"}),
        ("pconv_residual_unet", small),
        ("conv_unet", small),
        ("deepfill_v1", {"base_channels": 8}),
    ):
        title = f"{name} on a smooth prior" if "prior" in options else name
        found[title] = (
            lambda name=name, options=options: build_model(name, **options),
            [[2, 3, 64, 80], [2, 1, 64, 80]],
        )
    return found


def same_on_both(make: Callable, shapes: list[list[int]], device: str) -> str:
    """The largest relative difference of outputs and gradients."""
    import paddle

    rng = np.random.default_rng(0)
    arrays = [rng.random(shape).astype("float32") for shape in shapes]
    arrays = [(array > 0.3).astype("float32") if array.shape[1] == 1 else array for array in arrays]
    paddle.set_device("cpu")
    paddle.seed(0)
    state = {name: t.numpy() for name, t in make().state_dict().items()}
    results = []
    for place in ("cpu", device):
        paddle.set_device(place)
        layer = make()
        layer.set_state_dict(state)
        layer.train()
        results.append(outputs_and_gradients(layer, [paddle.to_tensor(array) for array in arrays]))
    worst = max(float(np.abs(a - b).max() / max(np.abs(a).max(), 1e-6)) for a, b in zip(*results, strict=True))
    if not worst <= CLOSE:
        raise ValueError(f"differ by {worst:.1e} of the largest value")
    return f"ok, within {worst:.1e}"


def outputs_and_gradients(layer, inputs) -> list[np.ndarray]:
    import paddle

    inputs[0].stop_gradient = False
    outputs = layer(*inputs)
    outputs = list(outputs) if isinstance(outputs, list | tuple) else [outputs]
    weights = np.random.default_rng(1).random(outputs[0].shape).astype("float32")
    (outputs[0] * paddle.to_tensor(weights)).mean().backward()
    gradients = [t.grad for t in (*inputs[:1], *layer.parameters()) if t.grad is not None]
    return [t.numpy() for t in (*outputs, *gradients)]


def train(words: str, device: str, launcher: Sequence[str] = ()) -> str:
    """Six iterations of train.py on sample photographs, as a user runs it: first and last loss, seconds a step."""
    if device == "cpu" and "--amp" in words:
        return "left out: needs a GPU"
    words = words.replace(PAPER, SMALL) if device == "cpu" else words
    words = words if "--config" in words else f"--config configs/samples.yaml {words}"
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, *launcher, *(["--log_dir", f"{folder}/launch"] if launcher else []), "train.py"]
        command += f"{words} {SHORT} --device {device} --log_dir {folder}/run".split()
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, errors="replace", timeout=600)
        log = Path(folder) / "run" / "train.log"
        if done.returncode or not log.is_file():
            raise RuntimeError((done.stderr.strip().splitlines() or ["no message"])[-1])
        text = log.read_text()
    losses, times = (re.findall(rf"{key}: ([^ ,]+)", text) for key in (" loss", "batch_cost"))
    return f"ok, loss {losses[0]} to {losses[-1]}, {times[-1]} s a step, {text.count(': skipped')} skipped"


def two_processes(device: str) -> str:
    import paddle

    launcher = ["-m", "paddle.distributed.launch"]
    if device == "cpu":
        return train(SMALL, device, [*launcher, "--nproc_per_node", "2"])
    if paddle.device.cuda.device_count() < 2:
        return "left out: one GPU"
    return train(PAPER, device, [*launcher, "--devices", "0,1"])


def export(device: str) -> str:
    import paddle

    from inpainting.checkpoint import load_weights
    from inpainting.exported import export_model

    paddle.set_device(device)
    with tempfile.TemporaryDirectory() as folder:
        differences = export_model(load_weights(ROOT / "weights" / "general"), Path(folder) / "export")
    return "ok, " + ", ".join(f"{name} within {difference:.1e}" for name, difference in differences.items())


if __name__ == "__main__":
    run_cleanly(main)
