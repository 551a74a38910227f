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
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
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
NETWORK_CONTENDERS = {  # kind, of BUILDERS, and model
    "exported pconv_unet": ("forward_exported", "pconv_unet"),
    "exported conv_unet": ("forward_exported", "conv_unet"),
    "pconv_unet": ("forward_dygraph", "pconv_unet"),
    "the usual way": ("forward_dygraph", "usual"),
    "the usual way in PyTorch": ("forward_torch", "usual"),
}
DEEPFILL_CONTENDERS = {  # at half of --base_channels: 32 beside the U-Net's 64, as in the papers
    "exported deepfill_v1": ("forward_exported", "deepfill_v1"),
    "deepfill_v1": ("forward_dygraph", "deepfill_v1"),
    "exported pconv_unet": ("forward_exported", "pconv_unet"),
}
TRAIN_CONTENDERS = {
    "pconv_unet": ("train_dygraph", "pconv_unet"),
    "conv_unet": ("train_dygraph", "conv_unet"),
    "the usual way": ("train_dygraph", "usual"),
    "the usual way in PyTorch": ("train_torch", "usual"),
}
PRODUCTS = {"MKL": "product_dygraph", "oneDNN": "product_exported"}
MATRIX = 2048  # side of the product that measures the machine's rate, a multiple of 64
PAUSE = 0.25  # seconds before a turn: the threads of the one before go on spinning for a while
WARM_UP = 2  # turns that do not count


def main(argv: Sequence[str] | None = None) -> None:
    options = build_parser().parse_args(argv)
    setup_device(options.device, options.threads)
    print(markdown(some(BENCHMARKS[options.what](options))))


def build_parser() -> Parser:
    parser = Parser(prog="python -m tools.benchmark", description=__doc__.splitlines()[0])
    parser.add_argument(
        "what",
        choices=tuple(BENCHMARKS),
        help="layer: PartialConv2D beside Conv2D, forward + backward; network: one picture through it; "
        "deepfill: the same of deepfill_v1; train: one step; loader: reading and cropping",
    )
    add = adder(parser)
    add("--repeats", integer(1, 100_000), "timed turns, after two untimed", 15)
    add("--sizes", sizes, "sides of the picture in pixels", (256,), metavar="N,N")
    add("--batch_size", positive_int, "network: 1, train: 4, when not given")
    add("--base_channels", positive_int, "of the networks", 64)
    add("--depth", positive_int, "of the networks", 7)
    add("--num_workers", count_int, "loader: up to so many", 2)
    add_device_options(parser)
    return parser


def sizes(text: str) -> tuple[int, ...]:
    return tuple(positive_int(word) for word in text.split(","))


# Contenders

_SPAWN = multiprocessing.get_context("spawn")
UNTIMED, TIMED = 2, 3  # calls in a turn: caches are cold after the others' turns


@dataclass(frozen=True)
class Work:
    """What a contender is to do."""

    kind: str  # of BUILDERS
    model: str = "pconv_unet"
    size: int = 256  # side of the picture, or of the matrices
    batch_size: int = 1
    base_channels: int = 64
    depth: int = 7
    device: str = "auto"
    threads: int | None = None


class Contender:
    """A process that does one piece of work whenever asked."""

    def __init__(self, work: Work):
        self._pipe, theirs = _SPAWN.Pipe()
        self._process = _SPAWN.Process(target=_serve, args=(theirs, work))
        self._process.start()
        theirs.close()

    def turn(self) -> float:
        """Run it a few times; seconds of the last ones' median, in its own clock.

        Raises:
            RuntimeError: it failed; the message is its own.
        """
        return self._ask("turn")

    def stop(self) -> int:
        """End it. Returns the peak of its memory in bytes, above what its framework takes when idle."""
        peak = self._ask("stop")
        self._process.join()
        return peak

    def _ask(self, what: str):
        with contextlib.suppress(OSError):  # one that ended early may have left its reason
            self._pipe.send(what)
        try:
            answer = self._pipe.recv()
        except (EOFError, OSError):
            self._process.join()
            raise RuntimeError(f"it ended with status {self._process.exitcode}: out of memory?") from None
        if isinstance(answer, Exception):
            raise RuntimeError(str(answer)) from None
        return answer


def torch_is_there() -> bool:
    return importlib.util.find_spec("torch") is not None


def multiply_adds(model, height: int, width: int) -> int:
    """Multiplications of a ``pconv_unet`` for one picture, as its filters stand: what no implementation can leave out.

    Args:
        height, width: of the picture, multiples of 2^depth.
    """
    total = 0
    for i, stage in enumerate(model.encoder):
        o, c, kh, kw = stage.conv.weight.shape
        total += o * c * kh * kw * (height >> i + 1) * (width >> i + 1)
    for stage, i in zip(model.decoder, reversed(range(model.depth)), strict=True):
        up, skip, out = stage.conv.up_channels, stage.conv.skip_channels, stage.conv.weight.shape[0]
        pixels = (height >> i) * (width >> i)
        total += out * pixels * (9 * skip + 4 * up)  # 16 products for each pixel of the feature half as large
    return total


def _serve(pipe, work: Work) -> None:
    try:
        _import_framework(work)
        idle = _memory("VmRSS")
        with contextlib.ExitStack() as stack:
            call = BUILDERS[work.kind](work, stack)
            while pipe.recv() == "turn":  # the parent's end closes with it: then this ends too
                seconds = [_seconds(call) for _ in range(UNTIMED + TIMED)]
                pipe.send(statistics.median(seconds[UNTIMED:]))
            pipe.send(_memory("VmHWM") - idle)
    except EOFError:
        return
    except Exception as error:  # told where it was asked for
        last_line = (str(error).strip().splitlines() or ["no message"])[-1]
        pipe.send(RuntimeError(f"{type(error).__name__}: {last_line}"))


def _seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def _import_framework(work: Work) -> None:
    setup_device(work.device, work.threads)  # also sets the environment that decides PyTorch's number of threads
    if work.kind.endswith("torch"):
        importlib.import_module("tests.reference_torch")


def _memory(key: str) -> int:
    [line] = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(key + ":")]
    return int(line.split()[1]) * 1024


def _network(work: Work):
    import paddle

    from models import build_model
    from tests.reference import ReferencePConvUNet

    paddle.seed(0)
    options = {"base_channels": work.base_channels, "depth": work.depth}
    if work.model == "deepfill_v1":
        options = {"base_channels": work.base_channels // 2}
    return ReferencePConvUNet(**options) if work.model == "usual" else build_model(work.model, **options)


def _inputs(work: Work) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    mask = np.ones([work.batch_size, 1, work.size, work.size], "float32")
    mask[..., work.size // 4 : work.size // 2, work.size // 4 : -work.size // 8] = 0
    return rng.random([work.batch_size, 3, work.size, work.size], "float32"), mask


def _forward_exported(work: Work, stack: contextlib.ExitStack) -> Callable[[], object]:
    from inpainting.exported import StaticModel

    folder = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "export"
    _elsewhere(_export, work, folder)
    model, inputs = StaticModel(folder), _inputs(work)
    return lambda: model(*inputs)


def _elsewhere(prepare: Callable[[Work, Path], None], work: Work, path: Path) -> None:
    """Run a preparation in a process of its own: its memory is not the contender's."""
    process = _SPAWN.Process(target=prepare, args=(work, path))
    process.start()
    process.join()
    if process.exitcode:
        raise RuntimeError(f"its preparation ended with status {process.exitcode}: out of memory?")


def _export(work: Work, folder: Path) -> None:
    setup_device(work.device, work.threads)
    from inpainting.exported import export_model

    export_model(_network(work), folder)


def _forward_dygraph(work: Work, _stack: contextlib.ExitStack) -> Callable[[], object]:
    import paddle

    model = _network(work)
    model.eval()
    inputs = [paddle.to_tensor(array) for array in _inputs(work)]

    def call():
        with paddle.no_grad():
            return model(*inputs).numpy()

    return call


def _train_dygraph(work: Work, _stack: contextlib.ExitStack) -> Callable[[], object]:
    import paddle

    from engine.reconstruction import ReconstructionTask
    from engine.settings import Settings
    from engine.task import fetched
    from losses import InpaintingLoss

    settings = Settings(max_iters=1, batch_size=work.batch_size, lr=1e-4)
    criterion = InpaintingLoss(weights={"perceptual": 0, "style": 0, "tv": 0})
    task = ReconstructionTask(_network(work), criterion, settings)
    task.train()
    batch = tuple(paddle.to_tensor(array) for array in _inputs(work))
    return lambda: fetched([task.step([batch])])


def _torch_network(work: Work, stack: contextlib.ExitStack):
    import torch

    from tests.reference_torch import TorchPConvUNet

    path = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "weights.npz"
    _elsewhere(_save_arrays, work, path)
    with np.load(path) as arrays:
        model = TorchPConvUNet(arrays, work.depth)
    return model, [torch.tensor(array) for array in _inputs(work)]


def _save_arrays(work: Work, path: Path) -> None:
    setup_device(work.device, work.threads)
    np.savez(path, **{name: t.numpy() for name, t in _network(work).state_dict().items()})


def _forward_torch(work: Work, stack: contextlib.ExitStack) -> Callable[[], object]:
    import torch

    model, inputs = _torch_network(work, stack)
    model.eval()

    def call():
        with torch.no_grad():
            return model(*inputs).numpy()

    return call


def _train_torch(work: Work, stack: contextlib.ExitStack) -> Callable[[], object]:
    import torch

    model, (gt, mask) = _torch_network(work, stack)
    optimizer = torch.optim.Adam(model.parameters(), 1e-4)

    def call():
        difference = (model(gt, mask) - gt).abs()
        ((difference * mask).mean() + 6 * (difference * (1 - mask)).mean()).backward()
        optimizer.step()
        optimizer.zero_grad()

    return call


def _product_dygraph(work: Work, _stack: contextlib.ExitStack) -> Callable[[], object]:
    import paddle

    matrix = paddle.rand([work.size, work.size])
    return lambda: paddle.matmul(matrix, matrix).numpy()


def _product_exported(work: Work, stack: contextlib.ExitStack) -> Callable[[], object]:
    """The product by oneDNN, as a 1×1 convolution, which is one, and which Paddle Inference hands on to it."""
    import paddle
    from paddle import inference

    folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
    layer = paddle.nn.Conv2D(work.size, work.size, 1, bias_attr=False)
    shape = [1, work.size, work.size // 64, 64]
    spec = paddle.static.InputSpec(shape, "float32", "x")
    layer.eval()
    paddle.jit.save(paddle.jit.to_static(layer, input_spec=[spec]), str(folder / "product"))
    [graph] = [path for path in folder.iterdir() if path.suffix in (".json", ".pdmodel")]
    config = inference.Config(str(graph), str(folder / "product.pdiparams"))
    config.disable_glog_info()
    config.enable_mkldnn()
    config.set_cpu_math_library_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    predictor = inference.create_predictor(config)
    predictor.get_input_handle("x").copy_from_cpu(np.ones(shape, "float32"))
    return predictor.run


BUILDERS = {
    "forward_exported": _forward_exported,
    "forward_dygraph": _forward_dygraph,
    "forward_torch": _forward_torch,
    "train_dygraph": _train_dygraph,
    "train_torch": _train_torch,
    "product_dygraph": _product_dygraph,
    "product_exported": _product_exported,
}


# Benchmarks


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
            "conv": lambda x=x, w=layer.weight, g=geometry: F.conv2d(x, w, **g),
            "partial": lambda x=x, m=mask, f=layer: f(x, m)[0],
            "usual": lambda x=x, m=mask, w=layer.weight, g=geometry: reference_partial_conv(x, m, w, **g)[0],
        }
        times = in_turn(
            {k: functools.partial(_seconds, forward_backward(f)) for k, f in contenders.items()}, options.repeats
        )
        medians = {name: statistics.median(values) for name, values in times.items()}
        rows.append(
            {
                "shape": f"{n}×{c_in}×{side}², {kernel}×{kernel}/{stride} → {c_out}",
                "Conv2D ms": medians["conv"] * 1e3,
                "PartialConv2D ms": medians["partial"] * 1e3,
                "usual way ms": medians["usual"] * 1e3,
                "partial / conv": medians["partial"] / medians["conv"],
                "usual / conv": medians["usual"] / medians["conv"],
            }
        )
    return rows


def forward_backward(forward: Callable) -> Callable[[], None]:
    """A step of ``forward``: run it, go back from its sum, and wait for the device."""
    import paddle

    def step():
        forward().sum().backward()
        if paddle.get_device().startswith("gpu"):
            paddle.device.cuda.synchronize()

    return step


def network_benchmark(options: argparse.Namespace) -> list[dict]:
    """One picture through the networks, and the floor: their multiplications at the machine's rate."""
    from models import build_model

    rate = matrix_rate(options)
    print(f"matrix product of {MATRIX}², the machine's rate: {rate / 1e9:.0f} billion multiply-adds a second")
    network = build_model("pconv_unet", base_channels=options.base_channels, depth=options.depth)
    rows = []
    for size in options.sizes:
        found = compare(NETWORK_CONTENDERS, options, size, options.batch_size or 1)
        multiplications = multiply_adds(network, size, size) * (options.batch_size or 1)
        floor = {"contender": "floor", "size": size, "ms": 1e3 * multiplications / rate}
        rows += [
            {**row, "to the first": row["ms"] / found[0]["ms"], "to the floor": row["ms"] / floor["ms"]}
            for row in (*found, floor)
            if found
        ]
    return [_with_all_columns(row, rows[0], options) for row in rows]


def deepfill_benchmark(options: argparse.Namespace) -> list[dict]:
    """One picture through DeepFillv1, whose attention grows with the square of the pixels, and through the U-Net."""
    rows = []
    for size in options.sizes:
        found = compare(DEEPFILL_CONTENDERS, options, size, options.batch_size or 1)
        rows += [{**row, "to the last": row["ms"] / found[-1]["ms"]} for row in found]
    return rows


def train_benchmark(options: argparse.Namespace) -> list[dict]:
    """One training step with the L1 terms: forward, backward, Adam."""
    rows = []
    for size in options.sizes:
        found = compare(TRAIN_CONTENDERS, options, size, options.batch_size or 4)
        conv = {row["contender"]: row["ms"] for row in found}.get("conv_unet", float("nan"))
        rows += [{**row, "to conv_unet": row["ms"] / conv} for row in found]
    return rows


def _with_all_columns(row: dict, first: dict, options: argparse.Namespace) -> dict:
    pixels = row["size"] ** 2 * (options.batch_size or 1)
    return {key: row.get(key, "") for key in first} | {"ns / pixel": row["ms"] * 1e6 / pixels}


def matrix_rate(options: argparse.Namespace) -> float:
    """Multiply-adds a second of a large matrix product, by the faster of the two libraries that Paddle brings."""
    shared = {"size": MATRIX, "device": options.device, "threads": options.threads}
    times, _ = race({name: Work(kind, **shared) for name, kind in PRODUCTS.items()}, options.repeats)
    return MATRIX**3 / min(statistics.median(values) for values in some(times).values())


def compare(table: dict, options: argparse.Namespace, size: int, batch_size: int) -> list[dict]:
    """A row for each contender of ``table``: name, size, median of milliseconds, peak memory."""
    shared = {"size": size, "batch_size": batch_size, "base_channels": options.base_channels, "depth": options.depth}
    shared |= {"device": options.device, "threads": options.threads}
    works = {name: Work(kind, model, **shared) for name, (kind, model) in runnable(table).items()}
    times, peaks = race(works, options.repeats)
    return [
        {
            "contender": name,
            "size": size,
            "ms": statistics.median(values) * 1e3,
            "peak MiB": peaks[name] / 2**20,
        }
        for name, values in times.items()
    ]


def some(found):
    """What was found, unless that is nothing."""
    if not found:
        raise InputError("expected a contender that runs, got none: see above")
    return found


def runnable(table: dict) -> dict:
    """The contenders whose framework is installed."""
    if torch_is_there():
        return table
    print("PyTorch is not installed: its row is left out")
    return {name: entry for name, entry in table.items() if "torch" not in entry[0]}


def race(works: dict[str, Work], repeats: int) -> tuple[dict[str, list[float]], dict[str, int]]:
    """Seconds of each turn and bytes of peak memory for each; one that fails is told and left out."""
    contenders, failed = {name: Contender(work) for name, work in works.items()}, {}

    def guarded(name: str) -> Callable[[], float]:
        def turn() -> float:
            time.sleep(PAUSE)
            try:
                return contenders[name].turn() if name not in failed else float("nan")
            except RuntimeError as error:
                failed[name] = str(error)
                tqdm.write(f"{name} is left out: {error}")
                return float("nan")

        return turn

    times = in_turn({name: guarded(name) for name in works}, repeats)
    left = [name for name in works if name not in failed]
    return {name: times[name] for name in left}, {name: contenders[name].stop() for name in left}


def in_turn(contenders: dict[str, Callable[[], float]], repeats: int, warm_up: int = WARM_UP) -> dict[str, list[float]]:
    """Seconds of each, asked A B C A B C ... so that the machine's moods meet all alike."""
    times = {name: [] for name in contenders}
    for turn in tqdm(range(warm_up + repeats), desc="turns", leave=False):
        for name, run in contenders.items():
            seconds = run()
            if turn >= warm_up:
                times[name].append(seconds)
    return times


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
            rows.append(
                {"workers": workers, "crop": size, "images / s": rate, "for each process": rate / max(1, workers)}
            )
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


BENCHMARKS = {
    "layer": layer_benchmark,
    "network": network_benchmark,
    "deepfill": deepfill_benchmark,
    "train": train_benchmark,
    "loader": loader_benchmark,
}


if __name__ == "__main__":
    run_cleanly(main)
