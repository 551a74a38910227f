"""Timings beside their peers in one run: ``python -m tools.benchmark network``.

Timings depend on the machine and the hour; ratios of medians, taken in turn, are more stable. Each contender runs in a
process of its own: in one process the thread pools of two frameworks would compete, and peaks of memory would mix. The
usual implementation of partial convolutions that ours is compared with is in ``tests/reference.py``.
"""

import argparse
import contextlib
import functools
import importlib
import importlib.util
import itertools
import multiprocessing
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from options import Parser, add_device_options, count_int, positive_int, setup_device
from options.shared import adder, integer
from utils.errors import InputError, run_cleanly

LAYER_SHAPES = (  # batch, channels in, channels out, side, kernel, stride: stages of the network at 256×256
    (4, 64, 128, 128, 5, 2),
    (4, 128, 256, 64, 5, 2),
    (4, 256, 512, 32, 3, 2),
    (4, 512, 512, 16, 3, 2),
    (4, 64, 64, 64, 3, 1),
    (4, 256, 256, 32, 3, 1),
)
CONTENDERS = {  # name: what is done, of WORKS, and with which network; the first is what the others are compared with
    "network": {
        "exported pconv_unet": ("exported", "pconv_unet"),
        "exported conv_unet": ("exported", "conv_unet"),
        "pconv_unet": ("dygraph", "pconv_unet"),
        "the usual way": ("dygraph", "usual"),
        "the usual way in PyTorch": ("torch", "usual"),
    },
    "deepfill": {  # at half of --base_channels: 32 beside the U-Net's 64, as in the papers
        "exported pconv_unet": ("exported", "pconv_unet"),
        "exported deepfill_v1": ("exported", "deepfill_v1"),
        "deepfill_v1": ("dygraph", "deepfill_v1"),
    },
    "train": {
        "conv_unet": ("train", "conv_unet"),
        "pconv_unet": ("train", "pconv_unet"),
        "the usual way": ("train", "usual"),
        "the usual way in PyTorch": ("train_torch", "usual"),
    },
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
        "deepfill: the same of deepfill_v1; train: one step; loader: reading and cropping",
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


# Networks, each in a process of its own


@dataclass(frozen=True)
class Work:
    """What a contender is to do; ``folder`` holds what was prepared for it."""

    kind: str  # of WORKS
    model: str
    size: int
    batch_size: int
    base_channels: int
    depth: int
    device: str
    threads: int | None
    folder: Path


def network_benchmark(options: argparse.Namespace) -> list[dict]:
    """A row for each size and contender: median of milliseconds, ratio to the first contender, peak memory."""
    contenders, rows = runnable(CONTENDERS[options.what]), []
    batch_size = options.batch_size or (4 if options.what == "train" else 1)
    shared = (batch_size, options.base_channels, options.depth, options.device, options.threads)
    for size in options.sizes:
        with tempfile.TemporaryDirectory() as folder:
            works = {
                name: Work(kind, model, size, *shared, Path(folder) / name)
                for name, (kind, model) in contenders.items()
            }
            for work in works.values():
                prepare(work)
            times, peaks = race(works, options.repeats)
        first = next(iter(times.values()))
        rows += [
            {"contender": name, "size": size, "ms": 1e3 * t, "ratio": t / first, "peak MiB": peaks[name] / 2**20}
            for name, t in times.items()
        ]
    return rows


def runnable(contenders: dict) -> dict:
    """Those whose framework is installed."""
    if importlib.util.find_spec("torch"):
        return contenders
    print("PyTorch is not installed: its row is left out")
    return {name: entry for name, entry in contenders.items() if "torch" not in entry[0]}


def prepare(work: Work) -> None:
    """Export the network, or write its arrays for PyTorch; here, since its memory is not the contender's."""
    from inpainting.exported import export_model

    if work.kind == "exported":
        export_model(network(work), work.folder)
    elif "torch" in work.kind:
        work.folder.mkdir()
        np.savez(work.folder / "weights.npz", **{name: t.numpy() for name, t in network(work).state_dict().items()})


def race(works: dict[str, Work], repeats: int) -> tuple[dict[str, float], dict[str, int]]:
    """Median of seconds, and peak memory in bytes above that of the framework, of each."""
    spawn = multiprocessing.get_context("spawn")
    with contextlib.ExitStack() as stack:
        processes = {name: stack.enter_context(ProcessPoolExecutor(1, spawn)) for name in works}

        def ask(name: str, function: Callable, *arguments):
            try:
                return processes[name].submit(function, *arguments).result()
            except BrokenProcessPool:
                raise InputError(f"{name}: its process was ended (out of memory?); try smaller --sizes") from None

        for name, work in works.items():
            ask(name, _start, work)
        times = in_turn({name: functools.partial(ask, name, _turn) for name in works}, repeats)
        return times, {name: ask(name, _peak) for name in works}


def in_turn(contenders: dict[str, Callable[[], float]], repeats: int) -> dict[str, float]:
    """Medians of the seconds that each returns, asked A B C A B C ..., as the machine's speed changes."""
    times = {name: [] for name in contenders}
    for turn in tqdm(range(WARM_UP + repeats), desc="turns", leave=False):
        for name, run in contenders.items():
            time.sleep(PAUSE)
            seconds = run()
            if turn >= WARM_UP:
                times[name].append(seconds)
    return {name: statistics.median(values) for name, values in times.items()}


_state = {}  # of a contender's process: its call, and its memory before it


def _start(work: Work) -> None:
    setup_device(work.device, work.threads)  # also sets the environment that decides PyTorch's number of threads
    if "torch" in work.kind:
        importlib.import_module("tests.reference_torch")
    _state["idle"] = _memory("VmRSS")
    _state["call"] = WORKS[work.kind](work)


def _turn() -> float:
    seconds = [_seconds(_state["call"]) for _ in range(UNTIMED + TIMED)]
    return statistics.median(seconds[UNTIMED:])


def _peak() -> int:
    return _memory("VmHWM") - _state["idle"]


def _seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def _memory(key: str) -> int:
    [line] = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(key + ":")]
    return int(line.split()[1]) * 1024


def network(work: Work):
    import paddle

    from models import build_model
    from tests.reference import ReferencePConvUNet

    paddle.seed(0)
    if work.model == "deepfill_v1":
        return build_model(work.model, base_channels=work.base_channels // 2)
    options = {"base_channels": work.base_channels, "depth": work.depth}
    return ReferencePConvUNet(**options) if work.model == "usual" else build_model(work.model, **options)


def inputs_of(work: Work) -> tuple[np.ndarray, np.ndarray]:
    """Pictures, and masks of one box."""
    rng = np.random.default_rng(0)
    mask = np.ones([work.batch_size, 1, work.size, work.size], "float32")
    mask[..., work.size // 4 : work.size // 2, work.size // 4 : -work.size // 8] = 0
    return rng.random([work.batch_size, 3, work.size, work.size], "float32"), mask


def _exported(work: Work) -> Callable[[], object]:
    from inpainting.exported import StaticModel

    return functools.partial(StaticModel(work.folder), *inputs_of(work))


def _dygraph(work: Work) -> Callable[[], object]:
    import paddle

    model = network(work)
    model.eval()
    inputs = [paddle.to_tensor(array) for array in inputs_of(work)]

    def call():
        with paddle.no_grad():
            return model(*inputs).numpy()

    return call


def _train(work: Work) -> Callable[[], object]:
    """A step with the L1 terms: forward, backward, Adam."""
    import paddle

    from engine.reconstruction import ReconstructionTask
    from engine.settings import Settings
    from engine.task import fetched
    from losses import InpaintingLoss

    settings = Settings(max_iters=1, batch_size=work.batch_size, lr=1e-4)
    criterion = InpaintingLoss(weights={"perceptual": 0, "style": 0, "tv": 0})
    task = ReconstructionTask(network(work), criterion, settings)
    task.train()
    batch = tuple(paddle.to_tensor(array) for array in inputs_of(work))
    return lambda: fetched([task.step([batch])])


def _torch_network(work: Work):
    import torch

    from tests.reference_torch import TorchPConvUNet

    with np.load(work.folder / "weights.npz") as arrays:
        model = TorchPConvUNet(arrays, work.depth)
    return model, [torch.tensor(array) for array in inputs_of(work)]


def _torch(work: Work) -> Callable[[], object]:
    import torch

    model, inputs = _torch_network(work)
    model.eval()

    def call():
        with torch.no_grad():
            return model(*inputs).numpy()

    return call


def _train_torch(work: Work) -> Callable[[], object]:
    import torch

    model, (gt, mask) = _torch_network(work)
    optimizer = torch.optim.Adam(model.parameters(), 1e-4)

    def call():
        difference = (model(gt, mask) - gt).abs()
        ((difference * mask).mean() + 6 * (difference * (1 - mask)).mean()).backward()
        optimizer.step()
        optimizer.zero_grad()

    return call


WORKS = {"exported": _exported, "dygraph": _dygraph, "torch": _torch, "train": _train, "train_torch": _train_torch}


# Layers and reading, in this process


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
        steps = {name: functools.partial(_seconds, forward_backward(f)) for name, f in contenders.items()}
        times = in_turn(steps, options.repeats)
        row = {"shape": f"{n}×{c_in}×{side}², {kernel}×{kernel}/{stride} → {c_out}"}
        row |= {f"{name} ms": 1e3 * seconds for name, seconds in times.items()}
        rows.append(row | {f"{name} / conv": times[name] / times["conv"] for name in ("partial", "usual")})
    return rows


def forward_backward(forward: Callable) -> Callable[[], None]:
    """A step of ``forward``: run it, go back from its sum, and wait for the device."""
    import paddle

    def step():
        forward().sum().backward()
        if paddle.get_device().startswith("gpu"):
            paddle.device.cuda.synchronize()

    return step


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
            times = [time.perf_counter()]
            times += [time.perf_counter() for _ in read_batches(dataset, sampler, workers)]
            steady = times[WARM_UP:]
            rate = batch_size * (len(steady) - 1) / (steady[-1] - steady[0])
            rows.append({"workers": workers, "crop": size, "images / s": rate})
    return rows


def _write_pictures(folder: Path, count: int = 24) -> tuple[Path, Path]:
    """512×512 JPEGs cut from the sample photographs, and masks."""
    import cv2

    from datasets.images import SAMPLE_PHOTOS, sample_photo
    from datasets.mask_generator import generate_mask
    from datasets.masks import write_mask
    from datasets.transforms import center_resize

    photos = [center_resize(sample_photo(name), 512) for name in SAMPLE_PHOTOS["train"]]
    (folder / "pictures").mkdir()
    (folder / "masks").mkdir()
    for i, photo in zip(range(count), itertools.cycle(photos), strict=False):
        cv2.imwrite(str(folder / "pictures" / f"{i}.jpg"), photo[..., ::-1])
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
