"""Arrays by name in files: ``.pdparams`` (a pickle, as ``paddle.save`` writes it), ``.safetensors``, ``.npz``, and what
``torch.save`` writes (``.pth``, ``.pt``, ``.ckpt``, ``.bin``, ``.tar``).

No code in a file is run, and shapes, lengths and types are checked against the file's size before arrays are made.
"""

import errno
import os
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import paddle

from inpainting.pickled import NUMBERS, load_pickle
from inpainting.torch_files import TORCH_SUFFIXES, load_torch
from utils.errors import InputError, one_line
from utils.files import atomic_path, open_regular

SAFETENSORS = ".safetensors"
SUFFIXES = (".pdparams", SAFETENSORS, ".npz", *TORCH_SUFFIXES)
MAX_BYTES = 8 << 30  # the largest network here, with Adam's two moments, has less than a quarter of it
MAX_ARRAYS = 100_000
MAX_COMPRESSION = 20  # weights hardly compress; a zip bomb does so a thousandfold

_PARAMETER_NAMES = "StructuredToParameterName@@"  # Paddle's own entry


def read_arrays(path: str | os.PathLike) -> dict[str, np.ndarray]:
    """Arrays by name, of finite numbers in float32's range; never runs code from the file.

    Raises:
        InputError: no such file, truncated, damaged, or holding anything else.
    """
    arrays = read_state(path)
    if other := [name for name in arrays if not isinstance(name, str)]:
        raise InputError(f"{path}: expected names of arrays, got {one_line(other[0], 80)}; is it a weights file?")
    if wrong := [name for name, a in arrays.items() if not isinstance(a, np.ndarray)]:
        raise InputError(
            f"{path}: expected arrays of numbers only, got something else under {one_line(wrong[0], 80)!r}; "
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
    most = np.finfo(np.float32).max
    for name, array in arrays.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            problem = "NaN or infinity"
        elif array.dtype == np.float64 and (np.abs(array) > most).any():
            problem = f"numbers beyond float32's {most:.2g}"
        else:
            continue
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


def _read_safetensors(file: BinaryIO, size: int) -> dict:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file.name, "numpy") as archive:
            names = list(archive.keys())
            for name in names:
                if (kind := archive.get_slice(name).get_dtype()) not in _SAFETENSORS_TYPES:
                    raise InputError(f"it holds an array of {kind} ({one_line(name, 80)}): convert it to F32")
            return {name: archive.get_tensor(name) for name in names}
    except SafetensorError as error:
        raise ValueError(str(error)) from None


_SAFETENSORS_TYPES = {"BOOL"} | {f"{name[0].upper()}{8 * int(name[1])}" for name in NUMBERS - {"b1"}}


def _read_npz(file: BinaryIO, size: int) -> dict:
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        unpacked = sum(member.file_size for member in members)
    if len(members) > MAX_ARRAYS or unpacked > MAX_COMPRESSION * size + (1 << 20):
        raise InputError("it unpacks to far more than weights do")
    file.seek(0)
    with np.load(file, allow_pickle=False) as archive:
        return {name: _plain(archive[name]) for name in archive.files}


def _plain(array: Any) -> np.ndarray:
    """An array in the machine's byte order."""
    if not isinstance(array, np.ndarray) or array.dtype.str[1:] not in NUMBERS:
        raise InputError(
            f"it holds an array of type {getattr(array, 'dtype', 'none')}, which is no plain type of numbers"
        )
    return array.astype(array.dtype.newbyteorder("="), copy=False)
