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


def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value.encode())) + value.encode()


def number(value: int) -> bytes:
    """Of any size."""
    return pickle.dumps(value, 2)[2:-1]


def a_tuple(*items: bytes) -> bytes:
    return b"(" + b"".join(items) + b"t"


def a_storage(kind: str, key: str, count: int, view: bytes = b"") -> bytes:
    return a_tuple(text("storage"), name("torch", f"{kind}Storage"), text(key), text("cpu"), number(count), view) + b"Q"


def a_tensor(kind: str, key: str, count: int, offset: int, shape: list, strides: list, view: bytes = b"") -> bytes:
    sides = (a_tuple(*map(number, numbers)) for numbers in (shape, strides))
    hooks = name("collections", "OrderedDict") + b")R"
    arguments = a_tuple(a_storage(kind, key, count, view), number(offset), *sides, b"\x89", hooks)
    return name("torch._utils", "_rebuild_tensor_v2") + arguments + b"R"


def torch_zip(program: bytes, storages: Mapping[str, bytes], byteorder: bytes = b"little") -> bytes:
    """The format since PyTorch 1.6."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("archive/data.pkl", program)
        archive.writestr("archive/byteorder", byteorder)
        for key, numbers in storages.items():
            archive.writestr(f"archive/data/{key}", numbers)
        archive.writestr("archive/version", b"3\n")
    return content.getvalue()


def old_format(program: bytes, storages: Mapping[str, bytes]) -> bytes:
    """The format before it, of storages of four bytes a number."""
    machine = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}
    parts = [pickle.dumps(part, 2) for part in (0x1950A86A20F9469CFC6C, 1001, machine)]
    parts += [program, pickle.dumps(list(storages), 2)]
    return b"".join(parts) + b"".join(struct.pack("<q", len(n) // 4) + n for n in storages.values())


def a_state(arrays: Mapping[str, np.ndarray]) -> tuple[bytes, dict[str, bytes]]:
    """A state_dict with the versions of its layers, as instructions, and the storages that they speak of."""
    items, storages = b"", {}
    for i, (key, array) in enumerate(arrays.items()):
        strides = [int(np.prod(array.shape[axis + 1 :])) for axis in range(array.ndim)]
        kind = KINDS[array.dtype.str[1:]]
        items += text(key) + a_tensor(kind, str(i), array.size, 0, list(array.shape), strides)
        storages[str(i)] = array.tobytes()
    versions = b"}" + text("_metadata") + b"}" + text("") + b"}" + text("version") + number(1) + b"sssb"
    return name("collections", "OrderedDict") + b")R(" + items + b"u" + versions, storages


def write_torch(path: Path, arrays: Mapping[str, np.ndarray], kind: Callable = torch_zip, under: str = "") -> Path:
    """Write a state_dict, under a key of a checkpoint where one is given."""
    state, storages = a_state(arrays)
    checkpoint = DICTIONARY + text("n_iter") + number(7) + b"s" + text(under) + state + b"s." if under else None
    path.write_bytes(kind(checkpoint or b"\x80\x02" + state + b".", storages))
    return path
