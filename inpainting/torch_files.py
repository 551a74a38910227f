"""Arrays from files of ``torch.save``, without PyTorch and without running code from the file.

Both of its formats are read. Since PyTorch 1.6 a file is a zip archive: ``NAME/data.pkl`` is a pickle, and
``NAME/data/KEY`` the bytes of one storage each. Before that it is a series of pickles (a magic number, a version, the
machine, the content, the storages' keys), then the length and numbers of each storage.

In the pickle a tensor is a storage (a "persistent" reference: type, key, count), an offset, a shape and strides.
"""

import io
import math
import zipfile
from collections.abc import Callable
from operator import index
from typing import Any, BinaryIO

import numpy as np

from inpainting.pickled import MAKERS, NUMBERS, Reader, resolved
from utils.errors import InputError

TORCH_SUFFIXES = (".pth", ".pt", ".ckpt", ".bin", ".tar")
MAGIC = 0x1950A86A20F9469CFC6C  # of the older format
MAX_COMPRESSION = 20  # weights hardly compress; a zip bomb does so a thousandfold

_ZIP = b"PK\x03\x04"
_BFLOAT16 = "torch.BFloat16Storage"  # the upper half of a float32; NumPy lacks it
_STORAGES = {f"torch.{name}Storage": np.dtype(number) for number, name in NUMBERS.items()} | {_BFLOAT16: np.dtype("u2")}


def load_torch(file: BinaryIO, size: int) -> Any:
    """What ``torch.save`` wrote: dictionaries, lists, tuples, plain values, and arrays of numbers.

    bfloat16 becomes float32.

    Args:
        size: of the file, in bytes.
    Raises:
        InputError: it holds anything else; the message goes on "it ...".
        Exception: of any other type, it is truncated or damaged.
    """
    start = file.read(len(_ZIP))
    file.seek(0)
    return (_load_zip if start == _ZIP else _load_pickles)(file, size)


def open_zip(file: BinaryIO, size: int) -> zipfile.ZipFile:
    """A zip archive of weights; InputError where it unpacks to far more than ``size``, that of the file."""
    archive = zipfile.ZipFile(file)
    if sum(member.file_size for member in archive.infolist()) > MAX_COMPRESSION * size + (1 << 20):
        raise InputError("it unpacks to far more than weights do")
    return archive


def _load_zip(file: BinaryIO, size: int) -> Any:
    with open_zip(file, size) as archive:
        [program] = [name for name in archive.namelist() if name.rpartition("/")[2] == "data.pkl"]
        folder = program.removesuffix("data.pkl")
        content = Reader(io.BytesIO(archive.read(program)), _NAMES).load()
        return resolved(content, _makers(lambda key: archive.read(f"{folder}data/{key}")), size)


def _load_pickles(file: BinaryIO, size: int) -> Any:
    stream = io.BytesIO(file.read(size))
    magic, version, machine, content, keys = (Reader(stream, _NAMES) for _ in range(5))
    if magic.load() != MAGIC:
        raise InputError("it is no file of torch.save")
    version.load(), machine.load()
    left, sizes, contents = content.load(), {}, {}
    for kind, key in content.references:
        sizes[key] = _STORAGES[kind].itemsize
    for key in map(str, keys.load()):
        count = int.from_bytes(stream.read(8), "little")
        contents[key] = stream.read(count * sizes[key])
    return resolved(left, _makers(contents.__getitem__), size)


def _makers(fetch: Callable[[str], bytes]) -> dict[str, Callable | None]:
    """What makes arrays of tensors, for ``resolved``.

    Args:
        fetch: the bytes of a storage by its key.
    """

    def storage(_, kind: str, key: str) -> np.ndarray:
        flat = np.frombuffer(fetch(key), _STORAGES[kind])
        return (flat.astype("u4") << 16).view("f4") if kind == _BFLOAT16 else flat

    return MAKERS | {
        **dict.fromkeys(_STORAGES),
        "storage": storage,
        "torch._utils._rebuild_tensor": _tensor,
        "torch._utils._rebuild_tensor_v2": _tensor,
        "torch._utils._rebuild_parameter": lambda _, tensor, *hooks: tensor,
    }


def _tensor(_, flat: np.ndarray, offset: int, shape: tuple, strides: tuple, *hooks) -> np.ndarray:
    """A view of a storage. NumPy checks it too, but its check overflows with huge strides."""
    offset, shape, strides = index(offset), [*map(index, shape)], [*map(index, strides)]
    count = math.prod(shape)
    last = offset + sum((side - 1) * stride for side, stride in zip(shape, strides, strict=True))
    if min(0, offset, *shape, *strides) < 0 or count > flat.size or (count and last >= flat.size):
        raise ValueError(f"a tensor is larger than its storage of {flat.size} numbers")
    if not count:
        return np.zeros(shape, flat.dtype)
    each = flat.itemsize
    view = np.ndarray(shape, flat.dtype, flat, offset * each, [stride * each for stride in strides])
    return np.asarray(view, order="C")


_NAMES = frozenset(_makers(lambda _: b""))
