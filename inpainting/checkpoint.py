"""Weights on disk.

A weights directory holds the arrays by name, as ``model.safetensors`` (what ``save_weights`` writes) or as
``model.pdparams`` (what ``paddle.save`` writes), and ``meta.json`` (network, options, training). A training checkpoint
(``engine.training_state``) is one too, and may hold ``model_ema.pdparams``, the weights averaged over the last
iterations, which are used for inference. A network is built only after the arrays' shapes were checked.
"""

import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import paddle
from paddle import nn

from inpainting.array_files import read_arrays, write_arrays
from inpainting.meta import META, read_meta
from models import build_model, model_shapes, present_name
from utils.errors import InputError, one_line
from utils.files import atomic_path, is_file, kind_of, sha256_of
from utils.run_folder import CHECKPOINTS

log = logging.getLogger("paddle_pconv")

PARAMS, SAFE_PARAMS, EMA_PARAMS = "model.pdparams", "model.safetensors", "model_ema.pdparams"
EXPORTED_PARAMS = "model.pdiparams"  # of a static model, see inpainting/exported.py
LATEST = "latest"


def save_weights(
    model: nn.Layer, directory: str | os.PathLike, dtype: str = "float32", file_name: str = SAFE_PARAMS, **meta
) -> None:
    """Write a network made by ``build_model`` as a weights directory; each file is written whole or not at all.

    Args:
        dtype: of floating-point arrays on disk; "float16" halves the file. Running statistics stay float32,
            since variances may exceed the range of float16.
        file_name: ``SAFE_PARAMS`` or ``PARAMS``, which decides the format.
        meta: further entries of meta.json (iter, seed, ...).
    Raises:
        InputError: a weight that ``dtype`` cannot hold, or weights of the other format are there; nothing is written.
    """
    directory, statistics = Path(directory), set(model.running_statistics())
    other = PARAMS if file_name == SAFE_PARAMS else SAFE_PARAMS
    if (directory / other).exists():
        raise InputError(f"{directory}: expected a folder without {other}, which would be read as well; move it away")
    arrays = {name: t.numpy() for name, t in model.state_dict().items()}
    with np.errstate(over="ignore"):  # reported below
        stored = {
            name: a.astype(dtype) if a.dtype.kind == "f" and name not in statistics else a for name, a in arrays.items()
        }
    if lost := [name for name, a in stored.items() if np.isinf(a).any() and np.isfinite(arrays[name]).all()]:
        raise InputError(
            f"{dtype}: expected weights of at most {np.finfo(dtype).max:g}, got {np.abs(arrays[lost[0]]).max():g} in "
            f"{lost[0]}; use float32"
        )
    write_arrays(stored, directory / file_name)
    write_meta(model, directory, **meta, files={file_name: sha256_of(directory / file_name)})


def write_meta(model: nn.Layer, directory: Path, **meta) -> None:
    """Write meta.json of a network made by ``build_model``; ``meta`` holds further entries."""
    meta = {"model": model.model_name, "options": model.model_options, **meta, "versions": library_versions()}
    with atomic_path(directory / META) as temporary:
        temporary.write_text(json.dumps(meta, indent=2) + "\n")


def load_weights(path: str | os.PathLike) -> nn.Layer:
    """Build the network of a weights directory (or of the file in it), in evaluation mode.

    Averaged weights are preferred.

    Raises:
        InputError: nothing there, a damaged or hostile file, an unknown network, or arrays that are not this network's.
    """
    directory = weights_directory(path)
    meta, file = read_meta(directory), weights_file(directory)
    network = f"{meta['model']} {meta['options']}"
    arrays = _read_for(file, network_shapes(directory, meta), f"{network}, as {META} says")
    if (written := meta.get("files", {}).get(file.name)) and written != sha256_of(file):
        log.warning(
            f"warning: {directory / META} was written beside another {file.name}: the network may be another than "
            f"{network}; copy the two from one place"
        )
    model = build_model(meta["model"], **meta["options"])
    model.set_state_dict(arrays)
    model.eval()
    return model


def network_shapes(directory: Path, meta: dict) -> dict[str, list[int]]:
    """The shapes of the network that meta.json names; InputError where there is no such network."""
    try:
        return model_shapes(meta["model"], **meta["options"])
    except (ValueError, TypeError) as error:
        raise InputError(f"{directory / META}: {error}") from None


def weights_directory(path: str | os.PathLike, exported: bool = False) -> Path:
    """The weights directory of a path: itself, the newest checkpoint of a run, or the folder of a weights file.

    Args:
        exported: whether an exported model is accepted.
    """
    path, names = Path(path), (SAFE_PARAMS, PARAMS, *((EXPORTED_PARAMS,) if exported else ()))
    expected = f"expected a directory with {SAFE_PARAMS} or {PARAMS} and {META} in it"
    kind = kind_of(path)
    if kind == "file" and path.name not in names:
        raise InputError(f"{expected} or that file, got the file {path}; is it another kind of file?")
    directory = path.parent if kind == "file" else path
    for candidate in (directory, directory / LATEST, directory / CHECKPOINTS / LATEST):
        if any(is_file(candidate / name) for name in names):
            return candidate
    if is_file(directory / EXPORTED_PARAMS):
        got = f"an exported model, which runs and nothing else: {path}"
    elif kind == "folder":
        got = f"no such file in {directory}"
    else:
        got = f"a {kind}: {path}" if kind else f"no such path: {path}"
    raise InputError(f"{expected}, got {got}; train.py writes such directories")


def weights_file(directory: Path) -> Path:
    """The file with the parameters for inference: averaged ones, if there are any."""
    if all((directory / name).is_file() for name in (PARAMS, SAFE_PARAMS)):
        raise InputError(f"{directory}: expected {SAFE_PARAMS} or {PARAMS}, got both; move one of them away")
    found = (directory / name for name in (EMA_PARAMS, SAFE_PARAMS, PARAMS) if (directory / name).is_file())
    return next(found, directory / EXPORTED_PARAMS)


def is_exported(directory: Path) -> bool:
    """Whether a directory holds an exported model instead of weights."""
    return weights_file(directory).name == EXPORTED_PARAMS


def load_arrays_into(model: nn.Layer, path: str | os.PathLike) -> None:
    """Set all of the network's parameters from a weights file, or raise InputError and set none."""
    model.set_state_dict(read_arrays_of(model, path))


def read_arrays_of(model: nn.Layer, path: str | os.PathLike) -> dict[str, np.ndarray]:
    """The arrays of a weights file as float32, with names and shapes of the network.

    Raises:
        InputError: as ``read_arrays``, or arrays of another network.
    """
    shapes = {name: list(t.shape) for name, t in model.state_dict().items()}
    return _read_for(path, shapes, f"{model.model_name} {model.model_options}")


def _read_for(path: str | os.PathLike, shapes: Mapping[str, list[int]], network: str) -> dict[str, np.ndarray]:
    """The arrays of a weights file, of any version, as float32; InputError if they are not a network's."""
    arrays = {present_name(name): array for name, array in read_arrays(path).items()}
    got = {name: list(a.shape) for name, a in arrays.items()}
    if differing := [name for name in {**shapes, **got} if shapes.get(name) != got.get(name)]:
        name = differing[0]
        raise InputError(
            f"{path}: expected the arrays of {network}, got {len(differing)} that differ, first "
            f"{one_line(name, 80)}: expected {shapes.get(name, 'none')}, got {one_line(got.get(name, 'none'), 80)}; "
            "these are the weights of another network"
        )
    for name, array in arrays.items():
        if array.dtype.kind != "f":
            raise InputError(
                f"{path}: expected floating-point weights, got {array.dtype} in {name}; convert them to float32"
            )
        if name.endswith("._variance") and (array < 0).any():
            raise InputError(f"{path}: expected variances of 0 or more, got negative ones in {name}; copy it again")
    return {name: array.astype("float32", copy=False) for name, array in arrays.items()}


def library_versions() -> dict[str, str]:
    """Versions to record in meta.json."""
    return {"paddle": paddle.__version__, "numpy": np.__version__}
