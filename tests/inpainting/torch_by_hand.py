"""Files as ``torch.save`` writes them, byte by byte and without PyTorch: for tests of those who read them."""

import io
import pickle
import struct
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

DICTIONARY = b"\x80\x02}"  # protocol 2, an empty dictionary
KINDS = {"f4": "Float", "f8": "Double", "f2": "Half", "i8": "Long"}


def name(module: str, function: str) -> bytes:
    return f"c{module}\n{function}\n".encode()


def plain(value: object) -> bytes:
    """The instructions for a plain value."""
    return pickle.dumps(value, 2)[2:-1]


def a_tuple(*items: bytes) -> bytes:
    return b"(" + b"".join(items) + b"t"


def a_tensor(kind: str, key: str, offset: int, shape: tuple, strides: tuple, *view: bytes) -> bytes:
    storage = a_tuple(plain("storage"), name("torch", f"{kind}Storage"), *map(plain, (key, "cpu", 1)), *view) + b"Q"
    hooks = name("collections", "OrderedDict") + b")R"
    arguments = a_tuple(storage, *map(plain, (offset, shape, strides, False)), hooks)
    return name("torch._utils", "_rebuild_tensor_v2") + arguments + b"R"


def torch_zip(program: bytes, storages: Mapping[str, bytes]) -> bytes:
    """The format since PyTorch 1.6."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("archive/data.pkl", program)
        for key, numbers in storages.items():
            archive.writestr(f"archive/data/{key}", numbers)
    return content.getvalue()


def old_format(program: bytes, storages: Mapping[str, bytes]) -> bytes:
    """The format before it, of storages of four bytes a number."""
    parts = [pickle.dumps(part, 2) for part in (0x1950A86A20F9469CFC6C, 1001, {"little_endian": True})]
    parts += [program, pickle.dumps(list(storages), 2)]
    return b"".join(parts) + b"".join(struct.pack("<q", len(n) // 4) + n for n in storages.values())


def a_state(arrays: Mapping[str, np.ndarray]) -> tuple[bytes, dict[str, bytes]]:
    """A state_dict with the versions of its layers, as instructions, and the storages that they speak of."""
    items = b""
    for key, array in arrays.items():
        strides = tuple(stride // array.itemsize for stride in array.strides)
        items += plain(key) + a_tensor(KINDS[array.dtype.str[1:]], key, 0, array.shape, strides)
    versions = plain({"_metadata": {"": {"version": 1}}}) + b"b"
    storages = {key: array.tobytes() for key, array in arrays.items()}
    return name("collections", "OrderedDict") + b")R(" + items + b"u" + versions, storages


def write_torch(path: Path, arrays: Mapping[str, np.ndarray], kind: Callable = torch_zip, under: str = "") -> Path:
    """Write a state_dict, under a key of a checkpoint where one is given."""
    state, storages = a_state(arrays)
    checkpoint = plain({"n_iter": 7}) + plain(under) + state + b"s" if under else state
    path.write_bytes(kind(b"\x80\x02" + checkpoint + b".", storages))
    return path
