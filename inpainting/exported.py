"""Networks as static models, which run without their Python code: written, checked and run.

An exported directory holds the graph and its parameters as ``paddle.jit.save`` writes them (the graph's suffix differs
between versions of Paddle), ``meta.json``, and on request ``model.onnx``. Batch size, height and width are free.
``meta.json`` is that of the weights, with ``format``, the names of the inputs, and the sha256 of each file, since
Paddle's own reader may crash on a file that is damaged or too new.
"""

import copy
import importlib.util
import json
import os
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import paddle
from paddle import inference, nn
from paddle.static import InputSpec

from inpainting.checkpoint import EXPORTED_PARAMS, META, library_versions, network_shapes, read_meta
from models.folding import fold_for_inference
from utils.errors import InputError
from utils.files import is_file, replace_folder, sha256_of, temporary_beside

FORMAT = "paddle_inference"
INPUTS = {"image": [None, 3, None, None], "mask": [None, 1, None, None], "guide": [None, 3, None, None]}
GRAPH_SUFFIXES = (".json", ".pdmodel")  # of Paddle 3 and 2
ONNX, ONNX_OPSET = "model.onnx", 17
CHECKED_SHAPES = ((1, 64, 64), (2, 51, 83))  # batch, height, width
TOLERANCE = 1e-4  # of an output in [0, 1], on a CPU; a hundredfold on a GPU, whose TF32 keeps three digits


def export_model(model: nn.Layer, directory: str | os.PathLike, onnx: bool = False, **meta) -> dict[str, float]:
    """Write a network made by ``build_model`` as an exported directory, whole or not at all.

    Args:
        model: is left in evaluation mode, its filters as they are.
        directory: new or empty.
        onnx: also write ``model.onnx``.
        meta: further entries of meta.json (iter, about, ...).
    Returns the largest difference from ``model``'s own output, by what ran the export; of outputs beyond 1, relative.
    Raises:
        InputError: the directory holds files, or ONNX is asked for and its packages are absent.
        RuntimeError: an export that does not agree with the network, of which nothing is kept.
    """
    model.eval()
    directory = Path(directory).resolve()
    if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
        raise InputError(f"--output: expected a new or an empty folder, got {directory}; choose another, or remove it")
    if onnx:
        require_onnx()
    temporary = temporary_beside(directory)
    temporary.mkdir()
    try:
        _write_graph(model, temporary)
        if onnx:
            _write_onnx(temporary)
        _write_meta(temporary, {**meta, "model": model.model_name, "options": model.model_options})
        differences = _compare(model, temporary)
        replace_folder(temporary, directory)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return differences


class StaticModel:
    """An exported network run by Paddle Inference: oneDNN on CPU, CUDA on GPU, as ``paddle.set_device`` says.

    One call at a time: threads must not share it.

    Args:
        directory: what ``export_model`` wrote.
    Shape:
        image: [N, 3, H, W] float32 in [0, 1], RGB.   mask: [N, 1, H, W] float32, {0, 1}, 1 = valid.   Any N, H and W.
        guide: [N, 3, H, W] float32 in [0, 1], for a network with a prior (``has_prior``); zeros when not given.
        Returns [N, 3, H, W] float32 in [0, 1] scale, not clipped.
    Raises:
        InputError: files are missing or damaged, or are of a version of Paddle that this one cannot read.
    """

    def __init__(self, directory: str | os.PathLike):
        directory = Path(directory)
        meta = _read_export(directory)
        network_shapes(directory, meta)  # an unknown network is refused here, not when its reach is asked for
        self.model_name, self.model_options = meta["model"], meta["options"]
        self.has_prior = has_prior(self.model_options)
        [graph] = _graphs(meta)
        config = inference.Config(str(directory / graph), str(directory / EXPORTED_PARAMS))
        try:
            _configure(config)
            self._predictor = inference.create_predictor(config)
        except Exception:  # the files are whole, so whatever Paddle raises, it cannot read them
            raise _unreadable(directory, meta) from None

    def __call__(self, image: np.ndarray, mask: np.ndarray, guide: np.ndarray | None = None) -> np.ndarray:
        for name, array in named_inputs(self.model_options, image, mask, guide).items():
            self._predictor.get_input_handle(name).copy_from_cpu(np.ascontiguousarray(array, "float32"))
        self._predictor.run()
        [output] = self._predictor.get_output_names()
        return self._predictor.get_output_handle(output).copy_to_cpu()


def require_onnx() -> None:
    """Raise InputError where ``model.onnx`` cannot be written."""
    installed = all(importlib.util.find_spec(name) for name in ("paddle2onnx", "onnxruntime"))
    if _major(paddle.__version__) < 3 or not installed:
        raise InputError(
            f"--onnx: expected Paddle 3, paddle2onnx and onnxruntime, got Paddle {paddle.__version__}"
            f"{'' if installed else ' and not both of the others'}; "
            'in an environment with Paddle 3: pip install "paddle2onnx>=2.1" onnxruntime'
        )


def input_names(model_options: dict) -> list[str]:
    """What a graph of a network of these options is fed with; one with a prior takes a guide."""
    return [name for name in INPUTS if name != "guide" or has_prior(model_options)]


def has_prior(model_options: dict) -> bool:
    return model_options.get("prior", "none") != "none"


def named_inputs(
    model_options: dict, image: np.ndarray, mask: np.ndarray, guide: np.ndarray | None = None
) -> dict[str, np.ndarray]:
    """The arrays by their inputs' names; the guide is 0 when not given."""
    arrays = {"image": image, "mask": mask, "guide": np.zeros_like(image) if guide is None else guide}
    return {name: arrays[name] for name in input_names(model_options)}


class _Graph(nn.Layer):
    """What is traced: the network with its constants folded."""

    def __init__(self, network: nn.Layer):
        super().__init__()
        self.network = fold_for_inference(copy.deepcopy(network))

    def forward(self, image, mask):
        return _as_written(self.network, image, mask)


class _GuidedGraph(_Graph):
    """The same for a network with a prior."""

    def forward(self, image, mask, guide):
        return _as_written(self.network, image, mask, guide)


@paddle.jit.not_to_static  # else its checks of shapes would be rewritten as conditions inside the graph
def _as_written(network, *inputs):
    return network(*inputs)


def _write_graph(model: nn.Layer, directory: Path) -> None:
    names = input_names(model.model_options)
    graph = (_GuidedGraph if "guide" in names else _Graph)(model)
    inputs = [InputSpec(INPUTS[name], "float32", name) for name in names]
    with warnings.catch_warnings():  # Paddle's remarks on its own tracing
        warnings.simplefilter("ignore")
        paddle.jit.save(paddle.jit.to_static(graph, input_spec=inputs, full_graph=True), str(directory / "model"))
    for leftover in directory.glob("*.info"):  # Paddle 2.6's, for going on with training
        leftover.unlink()


def _write_onnx(directory: Path) -> None:
    """Convert the graph in ``directory``, in another process: the converter prints much, and may abort."""
    [graph] = (path.name for path in directory.iterdir() if path.name != EXPORTED_PARAMS)
    command = [sys.executable, "-m", "paddle2onnx.command", "--model_dir", str(directory), "--model_filename", graph]
    command += ["--params_filename", EXPORTED_PARAMS, "--save_file", str(directory / ONNX)]
    command += ["--opset_version", str(ONNX_OPSET), "--optimize_tool", "polygraphy"]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace")
    if done.returncode or not (directory / ONNX).is_file():
        lines = (done.stdout + done.stderr).strip().splitlines() or ["no message"]
        raise InputError(
            f"--onnx: paddle2onnx could not convert the model: {lines[-1]}; with Paddle 3.3 use paddle2onnx 2.1"
        )


def _write_meta(directory: Path, meta: dict) -> None:
    files = {path.name: sha256_of(path) for path in sorted(directory.iterdir())}
    inputs = input_names(meta["options"])
    meta |= {"format": FORMAT, "inputs": inputs, "files": files, "versions": library_versions()}
    (directory / META).write_text(json.dumps(meta, indent=2) + "\n")


def _compare(model: nn.Layer, directory: Path) -> dict[str, float]:
    """The largest difference between the network and each way to run its export, over ``CHECKED_SHAPES``."""
    runs = {"Paddle Inference": StaticModel(directory)}
    if (directory / ONNX).is_file():
        runs["ONNX Runtime"] = _onnx_model(directory / ONNX, model.model_options)
    differences = dict.fromkeys(runs, 0.0)
    for inputs in _checked_inputs(len(input_names(model.model_options))):
        with paddle.no_grad():
            expected = model(*map(paddle.to_tensor, inputs)).numpy()
        scale = max(1.0, float(np.abs(expected).max()))  # an untrained network's output can be far from [0, 1]
        for name, run in runs.items():
            differences[name] = max(differences[name], float(np.abs(run(*inputs) - expected).max()) / scale)
    allowed = TOLERANCE if paddle.get_device() == "cpu" else 100 * TOLERANCE
    for name, difference in differences.items():
        if not difference <= allowed:
            raise RuntimeError(f"{name} differs from the network by {difference:.2g}, which is a bug; nothing written")
    return differences


def _checked_inputs(count: int) -> Iterator[tuple[np.ndarray, ...]]:
    rng = np.random.default_rng(0)
    for n, h, w in CHECKED_SHAPES:
        mask = np.ones([n, 1, h, w], "float32")
        mask[..., h // 4 : h // 2, w // 4 :] = 0
        image, guide = rng.random([2, n, 3, h, w]).astype("float32")
        yield (image, mask, guide)[:count]


def _onnx_model(path: Path, model_options: dict) -> Callable[..., np.ndarray]:
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return lambda *inputs: session.run(None, named_inputs(model_options, *inputs))[0]


def _configure(config: inference.Config) -> None:
    config.disable_glog_info()
    if paddle.get_device().startswith("gpu"):
        config.enable_use_gpu(256, int(paddle.get_device().partition(":")[2] or 0))
        return
    config.disable_gpu()
    config.enable_mkldnn()
    config.set_cpu_math_library_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1").split(",")[0]))


def _read_export(directory: Path) -> dict:
    """meta.json of an export whose files are all there, whole, and of a Paddle that this one can read."""
    meta = read_meta(directory)
    files = meta.get("files", {})
    if meta.get("format") != FORMAT or EXPORTED_PARAMS not in files or len(_graphs(meta)) != 1:
        raise InputError(f"{directory / META}: expected that of an exported model, got another; run export.py again")
    for name, digest in files.items():
        path = directory / name
        if name == ONNX:  # for other runtimes: Paddle does without
            continue
        if not is_file(path):
            raise InputError(f"{path}: expected a file of the exported model, got none; copy the whole directory")
        if sha256_of(path) != digest:
            raise InputError(f"{path}: expected the exported file, got a damaged or changed one; copy it again")
    if _major(meta.get("versions", {}).get("paddle", "")) > _major(paddle.__version__):
        raise _unreadable(directory, meta)
    return meta


def _unreadable(directory: Path, meta: dict) -> InputError:
    return InputError(
        f"{directory}: expected a model that Paddle {paddle.__version__} can read, got one exported with "
        f"{meta.get('versions', {}).get('paddle', 'another')}; export the weights again with this Paddle"
    )


def _graphs(meta: dict) -> list[str]:
    """Names of the files with a graph, of which an export has one."""
    return [name for name in meta["files"] if name.endswith(GRAPH_SUFFIXES)]


def _major(version: str) -> int:
    number = version.partition(".")[0]
    return int(number) if number.isascii() and number.isdigit() else 0
