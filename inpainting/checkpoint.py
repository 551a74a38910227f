"""Weights on disk.

A weights directory holds ``model.pdparams`` (arrays by name, as ``paddle.save`` writes them) and ``meta.json`` (which
network, its options, how it came about). A training checkpoint (``engine.training_state``) is one too, and may hold
``model_ema.pdparams``, the weights averaged over the last iterations: whoever runs the network takes those.
``.pdparams`` is a pickle, and a pickle can run any code: it is read by an unpickler that knows arrays and plain values
and refuses everything else.
"""

import json
import os
import pickle
from collections import OrderedDict
from pathlib import Path

import numpy as np
import paddle
from paddle import nn

from errors import InputError
from files import atomic_path
from models import build_model

PARAMS, EMA_PARAMS, META = "model.pdparams", "model_ema.pdparams", "meta.json"
EXPORTED_PARAMS = "model.pdiparams"  # of a static model, see inpainting/exported.py
LATEST = "latest"

_reconstruct = np.zeros(1).__reduce__()[0]  # numpy's own, under whichever of its two homes
_SAFE = {
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("numpy.core.multiarray", "_reconstruct"): _reconstruct,
    ("numpy._core.multiarray", "_reconstruct"): _reconstruct,
    ("collections", "OrderedDict"): OrderedDict,
}


class _ArrayUnpickler(pickle.Unpickler):
    def find_class(self, module, name):
        if (module, name) not in _SAFE:
            raise InputError(f"it refers to {module}.{name}, which is no array and may be hostile")
        return _SAFE[module, name]


def save_weights(model: nn.Layer, directory: str | os.PathLike, dtype: str = "float32", **meta) -> None:
    """Write a network made by ``build_model`` as a weights directory; each file is whole or not there.

    Args:
        dtype: of floating-point arrays on disk; "float16" halves the file. Running statistics stay as they are: a
            variance may be more than float16 can hold, or so little that it would lose its digits.
        meta: further entries of meta.json (iter, seed, ...).
    Raises:
        InputError: a weight that ``dtype`` cannot hold; nothing is written.
    """
    directory, statistics = Path(directory), set(model.running_statistics())
    arrays = {name: t.numpy() for name, t in model.state_dict().items()}
    with np.errstate(over="ignore"):  # told below
        stored = {name: a.astype(dtype) if _shrinks(name, a, statistics) else a for name, a in arrays.items()}
    if lost := [name for name, a in stored.items() if np.isinf(a).any() and np.isfinite(arrays[name]).all()]:
        raise InputError(
            f"{dtype}: expected weights of at most {np.finfo(dtype).max:g}, got {np.abs(arrays[lost[0]]).max():g} in "
            f"{lost[0]}; use float32"
        )
    write_arrays(stored, directory / PARAMS)
    write_meta(model, directory, **meta)


def _shrinks(name: str, array: np.ndarray, statistics: set[str]) -> bool:
    """Whether an array may be stored in another type."""
    return array.dtype.kind == "f" and name not in statistics


def write_meta(model: nn.Layer, directory: Path, **meta) -> None:
    """Write meta.json of a network made by ``build_model``; ``meta`` holds further entries."""
    meta = {"model": model.model_name, "options": model.model_options, **meta, "versions": library_versions()}
    with atomic_path(directory / META) as temporary:
        temporary.write_text(json.dumps(meta, indent=2) + "\n")


def write_arrays(arrays: dict, path: Path) -> None:
    """Write arrays or tensors by name, the file whole or not at all."""
    with atomic_path(path) as temporary:
        paddle.save(arrays, str(temporary))


def load_weights(path: str | os.PathLike) -> nn.Layer:
    """Make the network that a weights directory (or the ``model.pdparams`` in it) describes, in evaluation mode.

    Averaged weights are taken where there are any. Never runs code from the file.
    Raises:
        InputError: nothing there, a damaged or hostile file, an unknown network, or arrays that are not this network's.
    """
    directory = weights_directory(path)
    meta = read_meta(directory)
    try:
        model = build_model(meta["model"], **meta["options"])
    except (ValueError, TypeError) as error:
        raise InputError(f"{directory / META}: {error}") from None
    load_arrays_into(model, weights_file(directory))
    model.eval()
    return model


def weights_directory(path: str | os.PathLike, exported: bool = False) -> Path:
    """The directory that ``path`` means: itself, a run's newest checkpoint below it, or a weights file's folder.

    Args:
        exported: whether a static model's directory will do as well.
    """
    path, names = Path(path), (PARAMS, EXPORTED_PARAMS) if exported else (PARAMS,)
    if path.is_file() and path.name not in names:
        raise InputError(
            f"weights: expected a directory with {PARAMS} and {META} or that {PARAMS}, got the file {path}"
        )
    directory = path.parent if path.is_file() else path
    for candidate in (directory, directory / LATEST, directory / "checkpoints" / LATEST):
        if any((candidate / name).is_file() for name in names):
            return candidate
    got = f"no {PARAMS} in {directory}" if directory.is_dir() else f"no such path: {path}"
    if (directory / EXPORTED_PARAMS).is_file():
        got = f"an exported model, which runs and nothing else: {path}"
    raise InputError(
        f"weights: expected a directory with {PARAMS} and {META} in it, got {got}; train.py writes such directories"
    )


def weights_file(directory: Path) -> Path:
    """The file with the parameters to run: averaged ones where there are any; of a static model, its own."""
    return next((directory / name for name in (EMA_PARAMS, PARAMS) if (directory / name).is_file()), None) or (
        directory / EXPORTED_PARAMS
    )


def read_meta(directory: Path) -> dict:
    """meta.json of a weights directory, checked for what every reader needs."""
    path = Path(directory) / META
    try:
        meta = json.loads(path.read_text())
        if isinstance(meta["model"], str) and isinstance(meta["options"], dict):
            return meta
        problem = "entries of another type"
    except FileNotFoundError:
        problem = "no such file"
    except KeyError as error:
        problem = f"no entry {error}"
    except (json.JSONDecodeError, UnicodeDecodeError, TypeError):
        problem = "a damaged file"
    raise InputError(
        f"{path}: expected a JSON object with model and options, got {problem}; copy it from where the weights are from"
    )


def load_arrays_into(model: nn.Layer, path: str | os.PathLike) -> None:
    """Set all of the network's parameters from a weights file, or raise InputError and set none."""
    arrays = read_arrays(path)
    expected = {name: list(t.shape) for name, t in model.state_dict().items()}
    got = {name: list(a.shape) for name, a in arrays.items()}
    differing = [name for name in {**expected, **got} if expected.get(name) != got.get(name)]
    if differing:
        name = differing[0]
        raise InputError(
            f"{path}: expected the arrays of {model.model_name} {model.model_options}, got {len(differing)} that "
            f"differ, first {name}: expected {expected.get(name, 'none')}, got {got.get(name, 'none')}; "
            "these are the weights of another network"
        )
    if bad := [name for name, a in arrays.items() if not np.isfinite(a).all()]:
        raise InputError(f"{path}: expected finite weights, got NaN or infinity in {bad[0]}; use an earlier checkpoint")
    model.set_state_dict({name: a.astype("float32") if a.dtype.kind == "f" else a for name, a in arrays.items()})


def read_arrays(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """Arrays by name from a ``.npz`` or a ``.pdparams``, with nothing in it run.

    Raises:
        InputError: no such file, truncated, damaged, or holding anything but arrays.
    """
    arrays = read_state(path)
    arrays.pop("StructuredToParameterName@@", None)  # Paddle's note of parameter names
    if wrong := [
        str(name) for name, a in arrays.items() if not isinstance(a, np.ndarray) or a.dtype.kind not in "fiub"
    ]:
        raise InputError(
            f"{path}: expected arrays of numbers only, got something else under {wrong[0]!r}; is it a weights file?"
        )
    return arrays


def read_state(path: str | os.PathLike) -> dict:
    """The dictionary in a ``.npz`` or pickle of arrays and plain values, with nothing in it run; else InputError."""
    try:
        if Path(path).suffix == ".npz":
            with np.load(path, allow_pickle=False) as archive:
                return dict(archive)
        with open(path, "rb") as file:
            content = _ArrayUnpickler(file).load()
    except InputError as error:
        raise InputError(
            f"{path}: not loaded, since {error}; expected arrays only: use weights from a source you trust"
        ) from None
    except FileNotFoundError:
        raise InputError(f"{path}: expected a weights file, got no such file") from None
    except OSError:
        raise
    except Exception as error:  # a damaged pickle or archive can raise anything
        raise InputError(
            f"{path}: expected a whole weights file, got a truncated or damaged one ({type(error).__name__}); "
            "copy it again"
        ) from None
    if not isinstance(content, dict):
        raise InputError(
            f"{path}: expected a dictionary of arrays, got {type(content).__name__}; is it a weights file?"
        )
    return content


def library_versions() -> dict[str, str]:
    """What a file that is being written should say it was made with."""
    return {"paddle": paddle.__version__, "numpy": np.__version__}
