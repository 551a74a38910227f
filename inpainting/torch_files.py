"""Arrays out of what ``torch.save`` writes, without PyTorch and with nothing in the file run.

Both of its formats are read. Since PyTorch 1.6 a file is a zip archive, uncompressed: ``NAME/data.pkl`` is a pickle,
and ``NAME/data/KEY`` the bytes of one storage each. Before that it is pickles one behind the other (a magic number, a
version, what machine it was, the content, the storages' keys), then each storage: how many numbers it has, and they.

In the pickle a tensor is a storage (a "persistent" reference: type, key, count), an offset, a shape and strides. As in
``inpainting.pickled`` no unpickler runs; a tensor that would reach beyond its storage is refused, and so are tensors
that together are more than twice the file, which would be one storage laid out again and again.
"""

import math
import zipfile
from collections.abc import Callable
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from inpainting.pickled import Array, Machine, Name, Stream, array_of, expect, finished
from utils.errors import InputError, one_line

TORCH_SUFFIXES = (".pth", ".pt", ".ckpt", ".bin", ".tar")
MAGIC, VERSION = 0x1950A86A20F9469CFC6C, 1001  # of the older format
STORAGES = {"Float": "f4", "Double": "f8", "Half": "f2", "BFloat16": "bf16", "Long": "i8", "Int": "i4", "Short": "i2"}
STORAGES |= {"Char": "i1", "Byte": "u1", "Bool": "b1"}
MAX_LAID_OUT = 2  # bytes of tensors for each of the file

_ZIP = b"PK\x03\x04"


def load_torch(file: BinaryIO, size: int) -> Any:
    """What ``torch.save`` wrote: dictionaries, lists, tuples, plain values, and arrays of numbers.

    bfloat16, which NumPy has not, comes as float32.
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
        order = _order_of(archive, f"{folder}byteorder")
        machine = _TorchMachine(lambda key: archive.read(f"{folder}data/{key}"), order, MAX_LAID_OUT * size)
        with archive.open(program) as content:
            left = machine.run(Stream(content, program.file_size))
        return finished(left)


def _order_of(archive: zipfile.ZipFile, name: str) -> str:
    """Of the storages' numbers, which newer files tell."""
    if name not in archive.namelist():
        return "<"
    return {b"little": "<", b"big": ">"}[archive.read(name)]


def _load_pickles(file: BinaryIO, size: int) -> Any:
    stream, contents = Stream(file, size), {}
    machine = _TorchMachine(contents.__getitem__, "<", MAX_LAID_OUT * size)
    if machine.run(stream) != MAGIC or machine.run(stream) != VERSION:
        raise InputError("it is no file of torch.save")
    if finished(machine.run(stream)).get("little_endian") is not True:
        raise InputError("it was written by a machine of another byte order")
    left = machine.run(stream)
    for key in expect(machine.run(stream), list):
        count = int.from_bytes(_exactly(stream, 8), "little")
        contents[key] = _exactly(stream, count * machine.storages[key].bytes_each)
    return finished(left)


def _exactly(stream: Stream, count: int) -> bytes:
    content = stream.read(count)
    if len(content) != count:
        raise ValueError("the file ends too soon")
    return content


class _Storage(NamedTuple):
    """Numbers in a line, which tensors are views of; their bytes are fetched by the key."""

    numbers: str
    key: str
    count: int

    @property
    def bytes_each(self) -> int:
        return 2 if self.numbers == "bf16" else np.dtype(self.numbers).itemsize


class _Tensor(Array):
    """A view of a storage, laid out when it is asked for: in the older format its bytes come after it."""

    def __init__(self, machine: "_TorchMachine", storage: _Storage, offset: int, shape: tuple, strides: tuple):
        self.machine, self.storage = machine, expect(storage, _Storage)
        self.offset = expect(offset, int)
        self.shape, self.strides = ([expect(n, int) for n in expect(sides, tuple)] for sides in (shape, strides))

    @property
    def value(self) -> np.ndarray:
        flat = self.machine.numbers_of(self.storage)
        count = math.prod(self.shape)
        ends = zip(self.shape, self.strides, strict=True)
        last = self.offset + sum((side - 1) * stride for side, stride in ends)
        if min([0, self.offset, *self.shape, *self.strides]) < 0 or count > flat.size or (count and last >= flat.size):
            raise InputError(f"it has a tensor of shape {one_line(self.shape, 80)} beyond its {flat.size} numbers")
        self.machine.lay_out(count * flat.itemsize)
        if not count:
            return np.zeros(self.shape, flat.dtype)
        strides = [stride * flat.itemsize for stride in self.strides]
        view = np.lib.stride_tricks.as_strided(flat[self.offset :], self.shape, strides)
        return view if view.flags.c_contiguous else view.copy()


class _TorchMachine(Machine):
    """A ``Machine`` that knows tensors and storages.

    Args:
        fetch: the bytes of a storage by its key.
        order: of bytes, "<" or ">".
        room: bytes that all tensors together may have.
    """

    keys = (str, int)  # an optimiser's state is by number

    def __init__(self, fetch: Callable[[str], bytes], order: str, room: int):
        super().__init__()
        self.fetch, self.order, self.room = fetch, order, room
        self.storages: dict[str, _Storage] = {}
        self.fetched: dict[str, np.ndarray] = {}
        self.calls = self.calls | {
            Name("torch._utils", "_rebuild_tensor_v2"): lambda *words: _Tensor(self, *words[:4]),
            Name("torch._utils", "_rebuild_tensor"): lambda *words: _Tensor(self, *words),
            Name("torch._utils", "_rebuild_parameter"): lambda tensor, *_: expect(tensor, _Tensor),
        }
        self.names = self.names | {Name("torch", f"{kind}Storage") for kind in STORAGES}

    def load_persistent(self) -> None:
        word, kind, key, _, count, *view = expect(self.stack.pop(), tuple)
        if word != "storage" or any(part is not None for part in view):
            raise InputError("it refers to something beside itself that is no storage")
        numbers = STORAGES[expect(kind, Name).name.removesuffix("Storage")]
        storage = _Storage(numbers, expect(key, str), expect(count, int))
        if self.storages.setdefault(key, storage) != storage:
            raise InputError(f"it has two storages of one name, {one_line(key, 20)}")
        self.stack.append(storage)

    def set_state(self) -> None:
        """A dictionary's attributes (versions of the layers that the arrays are of) are passed over."""
        if type(self.stack[-2]) is dict:
            expect(self.stack.pop(), dict)
        else:
            super().set_state()

    def numbers_of(self, storage: _Storage) -> np.ndarray:
        """All of a storage, in a line."""
        if storage.key not in self.fetched:
            numbers = "u2" if storage.numbers == "bf16" else storage.numbers
            flat = array_of(self.order + numbers, [storage.count], self.fetch(storage.key))
            if storage.numbers == "bf16":  # the upper half of a float32
                flat = (flat.astype("u4") << 16).view("f4")
            self.fetched[storage.key] = flat
        return self.fetched[storage.key]

    def lay_out(self, count: int) -> None:
        """Take so many bytes of the room."""
        self.room -= count
        if self.room < 0:
            raise InputError("its tensors are far more than it has bytes")
