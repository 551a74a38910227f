"""Does everything work on this GPU: ``python -m tools.check_gpu``, about five minutes; prints a table for a report.

The project was developed on CPUs. This compares layers and networks on the GPU with the CPU, forward and backward,
trains in each precision and with two processes where there are two GPUs, exports, and measures times.
"""

import argparse
import os
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
TIMED = 5  # steps, after two that are not


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
    device = options.device
    found = {f"{name}: GPU and CPU": lambda f=f: same_on_both(f, device) for name, f in SUBJECTS.items()}
    for words in PRECISIONS:
        found[f"training, {words}"] = lambda words=words: train(words, options)
    found["training, critic"] = lambda: train("--critic projected --image_size 64", options)
    found["training, DeepFillv1"] = lambda: train("--config configs/deepfill_samples.yaml", options)
    found["two processes"] = lambda: two_processes(options)
    found["export"] = lambda: export(device)
    for dtype in ("float32", "float16", "bfloat16"):
        found[f"step of pconv_unet, {dtype}"] = lambda dtype=dtype: step_time(dtype, options)
    return found


def about_device() -> str:
    import paddle

    if not paddle.get_device().startswith("gpu"):
        return f"Paddle {paddle.__version__}, {paddle.get_device()}"
    names = [paddle.device.cuda.get_device_name(i) for i in range(paddle.device.cuda.device_count())]
    return (
        f"Paddle {paddle.__version__}, CUDA {paddle.version.cuda()}, cuDNN {paddle.version.cudnn()}, {', '.join(names)}"
    )


# GPU and CPU: a subject is a layer and its inputs, made from the same seed on each device


def partial_convolution():
    import paddle

    from models import PartialConv2D

    return PartialConv2D(8, 16, 3, stride=2, padding=1), [paddle.rand([2, 8, 33, 40]), holes(2, 33, 40)]


def decoder_layer():
    import paddle

    from models import PartialUpConv2D

    inputs = [paddle.rand([2, 8, 16, 20]), holes(2, 16, 20), paddle.rand([2, 4, 32, 40]), holes(2, 32, 40)]
    return PartialUpConv2D(8, 4, 6), inputs


def network(name: str, **options):
    import paddle

    from models import build_model

    return lambda: (build_model(name, **options), [paddle.rand([2, 3, 64, 80]), holes(2, 64, 80)])


def vgg():
    import paddle

    from losses import VGG16Features

    return VGG16Features(), [paddle.rand([2, 3, 64, 64])]


SUBJECTS = {
    "PartialConv2D": partial_convolution,
    "PartialUpConv2D": decoder_layer,
    "pconv_unet": network("pconv_unet", base_channels=16, depth=4),
    "pconv_unet on a smooth prior": network("pconv_unet", base_channels=16, depth=4, prior="smooth", norm="none"),
    "pconv_residual_unet": network("pconv_residual_unet", base_channels=16, depth=4),
    "conv_unet": network("conv_unet", base_channels=16, depth=4),
    "deepfill_v1": network("deepfill_v1", base_channels=8),
    "VGG16": vgg,
}


def holes(n: int, height: int, width: int):
    import paddle

    mask = (paddle.rand([n, 1, height, width]) > 0.2).astype("float32")
    mask[:, :, height // 4 : height // 2, width // 4 : width // 2] = 0
    return mask


def same_on_both(subject: Callable, device: str) -> str:
    """The largest relative difference of outputs and gradients."""
    import paddle

    paddle.set_device("cpu")
    paddle.seed(0)
    layer, inputs = subject()
    layer.train()
    state = {name: t.numpy() for name, t in layer.state_dict().items()}
    arrays = [t.numpy() for t in inputs]
    results = []
    for place in ("cpu", device):
        paddle.set_device(place)
        other, _ = subject()
        other.set_state_dict(state)
        results.append(outputs_and_gradients(other, [paddle.to_tensor(array) for array in arrays]))
    worst = max(float(np.abs(a - b).max() / max(np.abs(a).max(), 1e-6)) for a, b in zip(*results, strict=True))
    if not worst <= CLOSE:
        raise ValueError(f"differ by {worst:.1e} of the largest value")
    return f"ok, within {worst:.1e}"


def outputs_and_gradients(layer, inputs) -> list[np.ndarray]:
    import paddle

    inputs[0].stop_gradient = False
    outputs = layer(*inputs)
    outputs = list(outputs) if isinstance(outputs, list | tuple) else [outputs]
    first = outputs[0].astype("float32")
    paddle.seed(1)
    weights = paddle.to_tensor(np.random.default_rng(1).random(first.shape).astype("float32"))
    (first * weights).mean().backward()
    gradients = [t.grad for t in (*inputs[:1], *layer.parameters()) if t.grad is not None]
    return [t.astype("float32").numpy() for t in (*outputs, *gradients)]


# Training, export, times

PRECISIONS = ("float32", "--amp O1", "--amp O1 --amp_dtype bfloat16", "--prior smooth --norm none", "--phase finetune")
TINY = "--max_iters 6 --log_every 2 --val_every 6 --val_count 4 --save_every 6 --num_workers 0"


def train(words: str, options: argparse.Namespace, launcher: Sequence[str] = ()) -> str:
    """A few iterations of train.py on sample photographs, as a user runs it."""
    words = words.replace("float32", "").replace("--phase finetune", "--phase finetune --weights weights/demo")
    if options.device == "cpu" and "--amp" in words:
        return "left out: needs a GPU"
    config = "" if "--config" in words else "--config configs/samples.yaml"
    small = "--image_size 32 --batch_size 2" if options.device == "cpu" and "--image_size" not in words else ""
    with tempfile.TemporaryDirectory() as folder:
        arguments = f"{config} {words} {TINY} {small} --device {options.device} --log_dir {folder}/run".split()
        command = [sys.executable, *launcher, *(["--log_dir", f"{folder}/launch"] if launcher else [])]
        done = subprocess.run(
            [*command, "train.py", *arguments], cwd=ROOT, capture_output=True, text=True, errors="replace", timeout=600
        )
        log = Path(folder) / "run" / "train.log"
        if done.returncode or not log.is_file():
            raise RuntimeError((done.stderr.strip().splitlines() or ["no message"])[-1])
        losses = [part for line in log.read_text().splitlines() if "[TRAIN]" in line for part in line.split(", ")[2:3]]
        skipped = log.read_text().count(": skipped")
    return f"ok, {losses[0]} to {losses[-1].removeprefix('loss: ')}" + (f", {skipped} steps skipped" if skipped else "")


def two_processes(options: argparse.Namespace) -> str:
    import paddle

    if options.device == "cpu":
        launcher = ["-m", "paddle.distributed.launch", "--nproc_per_node", "2"]
    elif paddle.device.cuda.device_count() < 2:
        return "left out: one GPU"
    else:
        launcher = ["-m", "paddle.distributed.launch", "--devices", "0,1"]
    return train("", options, launcher)


def export(device: str) -> str:
    import paddle

    from inpainting.checkpoint import load_weights
    from inpainting.exported import export_model

    paddle.set_device(device)
    with tempfile.TemporaryDirectory() as folder:
        differences = export_model(load_weights(ROOT / "weights" / "general"), Path(folder) / "export")
    return "ok, " + ", ".join(f"{name} within {difference:.1e}" for name, difference in differences.items())


def step_time(dtype: str, options: argparse.Namespace) -> str:
    """Seconds of a training step of the paper's network with the full loss, and the GPU's peak memory."""
    import paddle

    from engine.reconstruction import ReconstructionTask
    from engine.settings import Settings
    from engine.task import fetched
    from losses import InpaintingLoss
    from models import build_model

    if options.device == "cpu" and dtype != "float32":
        return "left out: needs a GPU"
    paddle.set_device(options.device)
    size, batch, channels = (64, 2, 8) if options.device == "cpu" else (256, 6, 64)
    settings = Settings(
        max_iters=1, batch_size=batch, lr=1e-4, amp=dtype != "float32", amp_dtype=dtype.replace("32", "16")
    )
    task = ReconstructionTask(build_model("pconv_unet", base_channels=channels), InpaintingLoss(), settings)
    task.train()
    seconds, data = [], (paddle.rand([batch, 3, size, size]), holes(batch, size, size))
    for _ in range(2 + TIMED):
        start = time.perf_counter()
        [terms] = fetched([task.step([data])])
        seconds.append(time.perf_counter() - start)
    if not np.isfinite(list(terms.values())).all():
        raise ValueError(f"expected finite terms, got {terms}")
    memory = f", {paddle.device.cuda.max_memory_allocated() / 2**30:.1f} GiB" if options.device == "gpu" else ""
    return f"ok, {np.median(seconds[2:]):.3f} s at {size} px, batch {batch}{memory}"


if __name__ == "__main__":
    run_cleanly(main)
