"""What the benchmark times, each in a process of its own: built there, called when asked, its memory looked at.

In one process the thread pools of two frameworks would fight, and a peak of memory would be nobody's.
"""

import contextlib
import importlib
import importlib.util
import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from options import setup_device

_SPAWN = multiprocessing.get_context("spawn")
UNTIMED, TIMED = 2, 3  # calls in a turn: caches are cold after the others' turns


@dataclass(frozen=True)
class Work:
    """What a contender is to do."""

    kind: str  # of BUILDERS
    model: str = "pconv_unet"
    size: int = 256  # side of the picture, or of the matrices; of a photograph to fill the longer one
    batch_size: int = 1
    base_channels: int = 64
    depth: int = 7
    device: str = "auto"
    threads: int | None = None
    hole: float = 0.3  # share of a photograph to fill


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
        importlib.import_module("tools.reference_torch")


def _memory(key: str) -> int:
    [line] = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(key + ":")]
    return int(line.split()[1]) * 1024


def _network(work: Work):
    import paddle

    from models import build_model
    from tools.reference import ReferencePConvUNet

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

    from tools.reference_torch import TorchPConvUNet

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


def _fill(work: Work, _stack: contextlib.ExitStack) -> Callable[[], object]:
    """What test.py does with the shipped weights to an enlarged photograph and an irregular hole; model: the scales."""
    import cv2

    from datasets.images import sample_photo
    from datasets.mask_generator import generate_mask
    from datasets.masks import resize_mask
    from inpainting import Inpainter
    from options import DEFAULT_WEIGHTS

    scales = work.model if work.model == "auto" else int(work.model)
    inpainter = Inpainter.from_checkpoint(DEFAULT_WEIGHTS, scales=scales, detail=scales != 1)
    size = (work.size, work.size * 3 // 4)  # width, height
    photo = cv2.resize(sample_photo("coffee"), size, interpolation=cv2.INTER_CUBIC)
    mask = generate_mask(np.random.default_rng(0), 512, 512, (0.9 * work.hole, 1.1 * work.hole))
    hole = resize_mask(mask, *photo.shape[:2]) == 0
    return lambda: inpainter(photo, hole)


BUILDERS = {
    "fill": _fill,
    "forward_exported": _forward_exported,
    "forward_dygraph": _forward_dygraph,
    "forward_torch": _forward_torch,
    "train_dygraph": _train_dygraph,
    "train_torch": _train_torch,
    "product_dygraph": _product_dygraph,
    "product_exported": _product_exported,
}
