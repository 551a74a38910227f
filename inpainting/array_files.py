"""Arrays by name in files: ``.pdparams`` (a pickle, as ``paddle.save`` writes it), ``.safetensors``, ``.npz``, and what
``torch.save`` writes (``.pth``, ``.pt``, ``.ckpt``, ``.bin``, ``.tar``).

No code in a file is run, and a small file cannot fill the memory.
"""

import errno
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import paddle

from inpainting.pickled import load_pickle
from inpainting.torch_files import TORCH_SUFFIXES, load_torch, open_zip
from utils.errors import InputError, one_line
from utils.files import atomic_path, open_regular

SAFETENSORS = ".safetensors"
SUFFIXES = (".pdparams", SAFETENSORS, ".npz", *TORCH_SUFFIXES)
MAX_BYTES = 8 << 30  # the largest network here, with Adam's two moments, has less than a quarter of it

_PARAMETER_NAMES = "StructuredToParameterName@@"  # Paddle's own entry


def read_arrays(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """Arrays by name, of finite numbers in float32's range; never runs code from the file.

    Raises:
        InputError: no such file, truncated, damaged, or holding anything else.
    """
    arrays = read_state(path)
    if wrong := [name for name, a in arrays.items() if not (isinstance(name, str) and isinstance(a, np.ndarray))]:
        raise InputError(
            f"{path}: expected arrays by name, got something else under {one_line(wrong[0], 80)!r}; "
            "is it a weights file?"
        )
    refuse_bad_numbers(path, arrays)
    return arrays


def read_state(path: str | os.PathLike) -> dict:
    """Arrays and plain values by name, never running code from the file; without Paddle's entry of parameter names.

    Raises:
        InputError: no such file, truncated, damaged, or hostile.
    """
    with open_regular(path, "a weights file") as file:
        size = os.fstat(file.fileno()).st_size
        if size > MAX_BYTES:
            raise InputError(f"{path}: expected weights, at most {MAX_BYTES >> 30} GiB, got {size / 2**30:.1f} GiB")
        try:
            content = _reader(path)(file, size)
        except InputError as error:
            raise InputError(
                f"{path}: not loaded, since {error}; expected arrays only: use weights from a source you trust"
            ) from None
        except Exception as error:  # a damaged file can raise anything
            if isinstance(error, OSError) and error.errno not in (None, errno.EINVAL):  # a seek to where no file is
                raise
            raise InputError(
                f"{path}: expected a whole weights file, got a truncated or damaged one ({type(error).__name__}); "
                "copy it again"
            ) from None
    if not isinstance(content, dict):
        raise InputError(
            f"{path}: expected a dictionary of arrays, got {type(content).__name__}; is it a weights file?"
        )
    content.pop(_PARAMETER_NAMES, None)
    return content


def refuse_bad_numbers(path: str | os.PathLike, arrays: Mapping[str, np.ndarray]) -> None:
    """Raise InputError for NaN, infinity, or more than float32 holds, naming the array."""
    for name, array in arrays.items():
        with np.errstate(over="ignore"):
            if array.dtype.kind != "f" or np.isfinite(array.astype("float32", copy=False)).all():
                continue
        problem = "numbers beyond float32's 3.4e+38" if np.isfinite(array).all() else "NaN or infinity"
        raise InputError(
            f"{path}: expected finite weights, got {problem} in {one_line(name, 80)}; use an earlier checkpoint or "
            "another file"
        )


def write_arrays(arrays: Mapping[str, np.ndarray | paddle.Tensor], path: Path) -> None:
    """Write arrays or tensors by name, whole or not at all; the suffix decides the format."""
    with atomic_path(path) as temporary:
        if path.suffix != SAFETENSORS:
            paddle.save(arrays, str(temporary))
            return
        from safetensors.numpy import save

        temporary.write_bytes(save({name: np.asarray(a, order="C") for name, a in arrays.items()}))


def _reader(path: str | os.PathLike) -> Callable[[BinaryIO, int], Any]:
    """The reader for a suffix; it takes an open file and its size."""
    readers = {".npz": _read_npz, SAFETENSORS: _read_safetensors} | dict.fromkeys(TORCH_SUFFIXES, load_torch)
    return readers.get(Path(path).suffix, load_pickle)


def _read_safetensors(file: BinaryIO, _: int) -> dict:
    from safetensors import safe_open

    with safe_open(file.name, "numpy") as archive:
        try:
            return {name: archive.get_tensor(name) for name in archive.keys()}  # noqa: SIM118  it is no dictionary
        except (TypeError, AttributeError):  # bfloat16
            raise InputError("it holds numbers of a type that NumPy lacks: convert them to float32") from None


def _read_npz(file: BinaryIO, size: int) -> dict:
    open_zip(file, size)
    file.seek(0)
    with np.load(file, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}
