"""Timings beside their peers in one run: ``python -m tools.benchmark network``.

Timings depend on the machine and the hour; ratios of medians, taken in turn, are more stable. Each network runs in a
process of its own: in one process the thread pools of Paddle and Paddle Inference would compete. The usual
implementation of partial convolutions that ours is compared with is in ``tests/reference.py``.
"""

import argparse
import contextlib
import functools
import itertools
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
from tqdm import tqdm

from options import Parser, add_device_options, count_int, positive_int, setup_device
from options.shared import adder, integer
from utils.errors import run_cleanly

LAYER_SHAPES = (  # batch, channels in, channels out, side, kernel, stride: stages of the network at 256×256
    (4, 64, 128, 128, 5, 2),
    (4, 128, 256, 64, 5, 2),
    (4, 256, 512, 32, 3, 2),
    (4, 512, 512, 16, 3, 2),
    (4, 64, 64, 64, 3, 1),
    (4, 256, 256, 32, 3, 1),
)
CONTENDERS = {  # what is done and with which network; the first is what the others are compared with
    "network": ("exported pconv_unet", "exported conv_unet", "dygraph pconv_unet", "dygraph usual"),
    "deepfill": ("exported pconv_unet", "exported deepfill_v1", "dygraph deepfill_v1"),
    "train": ("train conv_unet", "train pconv_unet", "train usual"),
}
WARM_UP = 2  # turns that do not count
UNTIMED, TIMED = 2, 3  # calls in a turn: caches are cold after the others' turns
PAUSE = 0.25  # seconds before a turn: the threads of the one before go on spinning for a while


def main(argv: Sequence[str] | None = None) -> None:
    options = build_parser().parse_args(argv)
    setup_device(options.device, options.threads)
    benchmark = {"layer": layer_benchmark, "loader": loader_benchmark}.get(options.what, network_benchmark)
    print(markdown(benchmark(options)))


def build_parser() -> Parser:
    parser = Parser(prog="python -m tools.benchmark", description=__doc__.splitlines()[0])
    parser.add_argument(
        "what",
        choices=("layer", *CONTENDERS, "loader"),
        help="layer: PartialConv2D beside Conv2D, forward + backward; network: one picture through it; "
        "deepfill: the same of deepfill_v1, of half as many channels; train: one step; loader: reading and cropping",
    )
    add = adder(parser)
    add("--repeats", integer(1, 100_000), "timed turns, after two untimed", 15)
    add("--sizes", sizes, "sides of the picture in pixels", (256,), metavar="N,N")
    add("--batch_size", positive_int, "network: 1, train: 4, loader: 16, when not given")
    add("--base_channels", positive_int, "of the networks", 64)
    add("--depth", positive_int, "of the networks", 7)
    add("--num_workers", count_int, "loader: up to so many", 2)
    add_device_options(parser)
    return parser


def sizes(text: str) -> tuple[int, ...]:
    return tuple(positive_int(word) for word in text.split(","))


def race(contenders: dict[str, Callable[[], float]], repeats: int) -> dict[str, float]:
    """Medians of the seconds that each returns, asked in turn A B C A B C ..., as the machine's speed changes."""
    times = {name: [] for name in contenders}
    for turn in tqdm(range(WARM_UP + repeats), desc="turns", leave=False):
        for name, run in contenders.items():
            time.sleep(PAUSE)
            seconds = run()
            if turn >= WARM_UP:
                times[name].append(seconds)
    return {name: statistics.median(values) for name, values in times.items()}


def seconds_of(call: Callable[[], object]) -> float:
    """The median of a few calls."""
    seconds = []
    for _ in range(UNTIMED + TIMED):
        start = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds[UNTIMED:])


def network_benchmark(options: argparse.Namespace) -> list[dict]:
    """A row for each size and contender: median of milliseconds, ratio to the first contender."""
    rows, spawn = [], multiprocessing.get_context("spawn")
    for size in options.sizes:
        with contextlib.ExitStack() as stack:
            turns = {}
            for name in CONTENDERS[options.what]:
                process = stack.enter_context(ProcessPoolExecutor(1, spawn))
                process.submit(_start, name, size, options).result()
                turns[name] = lambda process=process: process.submit(_turn).result()
            times = race(turns, options.repeats)
        first = next(iter(times.values()))
        rows += [{"contender": name, "size": size, "ms": 1e3 * t, "ratio": t / first} for name, t in times.items()]
    return rows


_call: list[Callable[[], object]] = []  # of a contender's process


def _start(name: str, size: int, options: argparse.Namespace) -> None:
    setup_device(options.device, options.threads)
    kind, model = name.split()
    inputs = inputs_of(options.batch_size or (4 if options.what == "train" else 1), size)
    _call.append(WORKS[kind](network(model, options), inputs))


def _turn() -> float:
    return seconds_of(_call[0])


def network(name: str, options: argparse.Namespace):
    import paddle

    from models import build_model
    from tests.reference import ReferencePConvUNet

    paddle.seed(0)
    if name == "deepfill_v1":  # 32 channels beside the U-Net's 64, as in the papers
        return build_model(name, base_channels=options.base_channels // 2)
    shape = {"base_channels": options.base_channels, "depth": options.depth}
    return ReferencePConvUNet(**shape) if name == "usual" else build_model(name, **shape)


def inputs_of(batch_size: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Pictures, and masks of one box."""
    rng = np.random.default_rng(0)
    mask = np.ones([batch_size, 1, size, size], "float32")
    mask[..., size // 4 : size // 2, size // 4 : -size // 8] = 0
    return rng.random([batch_size, 3, size, size], "float32"), mask


def _exported(model, inputs) -> Callable[[], object]:
    from inpainting.exported import StaticModel, export_model

    with tempfile.TemporaryDirectory() as folder:
        export_model(model, Path(folder) / "export")
        return functools.partial(StaticModel(Path(folder) / "export"), *inputs)


def _dygraph(model, inputs) -> Callable[[], object]:
    import paddle

    model.eval()
    inputs = [paddle.to_tensor(array) for array in inputs]
    return paddle.no_grad()(lambda: model(*inputs).numpy())


def _train(model, inputs) -> Callable[[], object]:
    """A step with the L1 terms: forward, backward, Adam."""
    import paddle

    from engine.reconstruction import ReconstructionTask
    from engine.settings import Settings
    from engine.task import fetched
    from losses import InpaintingLoss

    settings = Settings(max_iters=1, batch_size=len(inputs[0]), lr=1e-4)
    task = ReconstructionTask(model, InpaintingLoss(weights={"perceptual": 0, "style": 0, "tv": 0}), settings)
    task.train()
    batch = tuple(paddle.to_tensor(array) for array in inputs)
    return lambda: fetched([task.step([batch])])


WORKS = {"exported": _exported, "dygraph": _dygraph, "train": _train}


def layer_benchmark(options: argparse.Namespace) -> list[dict]:
    """Forward and backward of one layer: ordinary, partial (mask of one channel), partial the usual way."""
    import paddle
    import paddle.nn.functional as F

    from models import PartialConv2D
    from tests.reference import reference_partial_conv

    rows = []
    for n, c_in, c_out, side, kernel, stride in tqdm(LAYER_SHAPES, desc="layer"):
        geometry = {"stride": stride, "padding": kernel // 2}
        layer = PartialConv2D(c_in, c_out, kernel, bias_attr=False, **geometry)
        x = paddle.randn([n, c_in, side, side])
        x.stop_gradient = False
        mask = (paddle.rand([n, 1, side, side]) > 0.3).astype("float32")
        contenders = {
            "conv": functools.partial(F.conv2d, x, layer.weight, **geometry),
            "partial": lambda x=x, m=mask, f=layer: f(x, m)[0],
            "usual": lambda x=x, m=mask, w=layer.weight, g=geometry: reference_partial_conv(x, m, w, **g)[0],
        }
        times = race(
            {name: functools.partial(seconds_of, functools.partial(_back, f)) for name, f in contenders.items()},
            options.repeats,
        )
        row = {"shape": f"{n}×{c_in}×{side}², {kernel}×{kernel}/{stride} → {c_out}"}
        row |= {f"{name} ms": 1e3 * seconds for name, seconds in times.items()}
        rows.append(row | {f"{name} / conv": times[name] / times["conv"] for name in ("partial", "usual")})
    return rows


def _back(forward: Callable) -> None:
    """Run ``forward``, go back from its sum, and wait for the device."""
    import paddle

    forward().sum().backward()
    if paddle.get_device().startswith("gpu"):
        paddle.device.cuda.synchronize()


def loader_benchmark(options: argparse.Namespace) -> list[dict]:
    """Samples a second from 512×512 JPEGs and mask files, to crops of the given size."""
    from datasets.inpainting import InpaintingDataset, MaskFolder, PictureFolder, StreamBatchSampler
    from engine.readers import read_batches

    batch_size, rows = options.batch_size or 16, []
    with tempfile.TemporaryDirectory() as folder:
        pictures, masks = _write_pictures(Path(folder))
        for size, workers in itertools.product(options.sizes, range(options.num_workers + 1)):
            dataset = InpaintingDataset(PictureFolder(pictures), MaskFolder(masks), size, seed=0)
            sampler = StreamBatchSampler(batch_size, options.repeats + WARM_UP)
            times = [time.perf_counter() for _ in read_batches(dataset, sampler, workers)][WARM_UP - 1 :]
            rate = batch_size * (len(times) - 1) / (times[-1] - times[0])
            rows.append({"workers": workers, "crop": size, "images / s": rate})
    return rows


def _write_pictures(folder: Path, count: int = 24) -> tuple[Path, Path]:
    """512×512 JPEGs cut from the sample photographs, and masks."""
    from datasets.images import SAMPLE_PHOTOS, sample_photo, write_picture
    from datasets.mask_generator import generate_mask
    from datasets.masks import write_mask
    from datasets.transforms import center_resize

    photos = [center_resize(sample_photo(name), 512) for name in SAMPLE_PHOTOS["train"]]
    for i in range(count):
        write_picture(folder / "pictures" / f"{i}.jpg", photos[i % len(photos)])
        write_mask(folder / "masks" / f"{i}.png", generate_mask(np.random.default_rng(i), 512, 512))
    return folder / "pictures", folder / "masks"


def markdown(rows: list[dict]) -> str:
    """A table of the rows, numbers to three digits."""
    columns = list(rows[0])
    cells = [[f"{row[key]:.3g}" if isinstance(row[key], float) else str(row[key]) for key in columns] for row in rows]
    lines = [columns, ["---"] * len(columns), *cells]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


if __name__ == "__main__":
    run_cleanly(main)
