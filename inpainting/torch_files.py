"""Arrays from files of ``torch.save``, without PyTorch and without running code from the file.

Both of its formats are read. Since PyTorch 1.6 a file is a zip archive, uncompressed: ``NAME/data.pkl`` is a pickle,
and ``NAME/data/KEY`` the bytes of one storage each. Before that it is a series of pickles (a magic number, a
version, the machine, the content, the storages' keys), then the length and numbers of each storage.

In the pickle a tensor is a storage (a "persistent" reference: type, key, count), an offset, a shape and strides. They
are read as in ``inpainting.pickled``. A tensor that would reach beyond its storage is refused, and so are tensors that
together are more than twice the file, which would be one storage laid out again and again.
"""

import functools
import io
import math
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import numpy as np

from inpainting.pickled import Array, Name, Reader, StandIn, array_of, expect, finished
from utils.errors import InputError, one_line

TORCH_SUFFIXES = (".pth", ".pt", ".ckpt", ".bin", ".tar")
MAGIC, VERSION = 0x1950A86A20F9469CFC6C, 1001  # of the older format
STORAGES = {"Float": "f4", "Double": "f8", "Half": "f2", "BFloat16": "bf16", "Long": "i8", "Int": "i4", "Short": "i2"}
STORAGES |= {"Char": "i1", "Byte": "u1", "Bool": "b1"}
MAX_LAID_OUT = 2  # bytes of tensors for each of the file

_ZIP = b"PK\x03\x04"


def load_torch(file: BinaryIO, size: int) -> Any:
    """What ``torch.save`` wrote: dictionaries, lists, tuples, plain values, and arrays of numbers.

    bfloat16, which NumPy lacks, becomes float32.

    Args:
        size: of the file, in bytes.
    Raises:
        InputError: it holds anything else; the message goes on "it ...".
        Exception: of any other type, it is truncated or damaged.
    """
    start = file.read(len(_ZIP))
    file.seek(0)
    return (_load_zip if start == _ZIP else _load_pickles)(file, size)


def _load_zip(file: BinaryIO, size: int) -> Any:
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        if any(member.compress_type != zipfile.ZIP_STORED for member in members):
            raise InputError("it is compressed, as no file of torch.save is")
        if sum(member.file_size for member in members) > size:
            raise InputError("it unpacks to more than it has bytes")
        [program] = [member for member in members if member.filename.rpartition("/")[2] == "data.pkl"]
        folder = program.filename.removesuffix("data.pkl")
        if (order := f"{folder}byteorder") in archive.namelist() and archive.read(order) != b"little":
            raise InputError("it was written by a machine of another byte order")
        storages = _Storages(lambda key: archive.read(f"{folder}data/{key}"), MAX_LAID_OUT * size)
        return finished(_TorchReader(io.BytesIO(archive.read(program)), storages).load())


def _load_pickles(file: BinaryIO, size: int) -> Any:
    stream, contents = io.BytesIO(file.read(size)), {}
    storages = _Storages(contents.__getitem__, MAX_LAID_OUT * size)
    if _TorchReader(stream, storages).load() != MAGIC or _TorchReader(stream, storages).load() != VERSION:
        raise InputError("it is no file of torch.save")
    if finished(_TorchReader(stream, storages).load()).get("little_endian") is not True:
        raise InputError("it was written by a machine of another byte order")
    left = _TorchReader(stream, storages).load()
    for key in expect(_TorchReader(stream, storages).load(), list):
        count = int.from_bytes(_exactly(stream, 8), "little")
        contents[key] = _exactly(stream, count * storages[key].bytes_each)
    return finished(left)


def _exactly(stream: io.BytesIO, count: int) -> bytes:
    content = stream.read(count)
    if len(content) != count:
        raise ValueError("the file ends too soon")
    return content


@dataclass
class _Storage(StandIn):
    """A flat array of numbers, of which tensors are views."""

    numbers: str
    count: int
    fetch: Callable[[], bytes] = field(compare=False)

    @property
    def bytes_each(self) -> int:
        return 2 if self.numbers == "bf16" else np.dtype(self.numbers).itemsize

    @functools.cached_property
    def array(self) -> np.ndarray:
        """All its numbers; float32 for bfloat16, which is the upper half of one."""
        flat = array_of("<" + self.numbers.replace("bf16", "u2"), [self.count], self.fetch())
        return (flat.astype("u4") << 16).view("f4") if self.numbers == "bf16" else flat


class _Storages(dict):
    """The storages of a file by key.

    Args:
        fetch: the bytes of a storage by its key.
        room: bytes that all tensors together may take.
    """

    def __init__(self, fetch: Callable[[str], bytes], room: int):
        super().__init__()
        self.fetch, self.room = fetch, room

    def add(self, word: str, kind: Name, key: str, _, count: int, *view) -> _Storage:
        """The storage of a persistent reference."""
        if word != "storage" or any(part is not None for part in view):
            raise InputError("it refers to something beside itself that is no storage")
        numbers = STORAGES[expect(kind, Name).name.removeprefix("torch.").removesuffix("Storage")]
        storage = _Storage(numbers, expect(count, int), functools.partial(self.fetch, expect(key, str)))
        if self.setdefault(key, storage) != storage:
            raise InputError(f"it has two storages of one name, {one_line(key, 20)}")
        return self[key]

    def lay_out(self, count: int) -> None:
        """Count bytes of tensors; InputError if there are too many."""
        self.room -= count
        if self.room < 0:
            raise InputError("its tensors are far more than it has bytes")


class _Tensor(Array):
    """A view of a storage; made on demand, since in the older format the numbers follow later."""

    __slots__ = ("offset", "shape", "storage", "storages", "strides")

    def __init__(self, storages: _Storages, storage: _Storage, offset: int, shape: tuple, strides: tuple):
        self.storages, self.storage, self.offset = storages, expect(storage, _Storage), expect(offset, int)
        self.shape, self.strides = ([expect(n, int) for n in expect(sides, tuple)] for sides in (shape, strides))

    def __setstate__(self, state: Any) -> None:
        raise InputError("it sets the state of a tensor, and may be hostile")

    @property
    def value(self) -> np.ndarray:
        flat = self.storage.array
        count = math.prod(self.shape)
        ends = zip(self.shape, self.strides, strict=True)
        last = self.offset + sum((side - 1) * stride for side, stride in ends)
        if min([0, self.offset, *self.shape, *self.strides]) < 0 or count > flat.size or (count and last >= flat.size):
            raise InputError(f"it has a tensor of shape {one_line(self.shape, 80)} beyond its {flat.size} numbers")
        self.storages.lay_out(count * flat.itemsize)
        if not count:
            return np.zeros(self.shape, flat.dtype)
        strides = [stride * flat.itemsize for stride in self.strides]
        view = np.lib.stride_tricks.as_strided(flat[self.offset :], self.shape, strides)
        return view if view.flags.c_contiguous else view.copy()


class _TorchReader(Reader):
    """A ``Reader`` that knows tensors and storages."""

    def __init__(self, stream: io.BytesIO, storages: _Storages):
        super().__init__(
            stream,
            {
                "torch._utils._rebuild_tensor_v2": lambda *words: _Tensor(storages, *words[:4]),
                "torch._utils._rebuild_tensor": lambda *words: _Tensor(storages, *words),
                "torch._utils._rebuild_parameter": lambda tensor, *_: expect(tensor, _Tensor),
                **{f"torch.{kind}Storage": None for kind in STORAGES},
            },
        )
        self.storages = storages

    def persistent_load(self, reference: tuple) -> _Storage:
        return self.storages.add(*expect(reference, tuple))
