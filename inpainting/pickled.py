"""Arrays from a pickle, without running anything in it.

A pickle can call any function of any module; even NumPy's own functions do harm with forged arguments. Here
``find_class`` looks nothing up: it knows the dozen names that arrays need and returns stand-ins, which only record
their arguments. Arrays are made from these records: a plain number type, a shape, and just the right count of bytes.

Before that all instructions are read once: those that arrays do not need are refused, and so are programs that would
fill the memory or the stack.
"""

import io
import math
import pickle
import pickletools
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

import numpy as np

from utils.errors import InputError, one_line

NUMBERS = frozenset({"b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8"})

# A network of a thousand arrays takes some fifty thousand instructions, seven thousand of them tuples, four deep. A
# hundred thousand tuples in one another would overflow the stack when hashed.
MAX_INSTRUCTIONS, MAX_TUPLES, MAX_MEMO, MAX_VALUES, MAX_DEPTH = 500_000, 60_000, 500_000, 100_000, 5
_INSTRUCTIONS = """
PROTO FRAME STOP MARK MEMOIZE PUT BINPUT LONG_BINPUT GET BINGET LONG_BINGET NONE NEWTRUE NEWFALSE INT BININT BININT1
BININT2 LONG LONG1 FLOAT BINFLOAT UNICODE SHORT_BINUNICODE BINUNICODE BINUNICODE8 SHORT_BINBYTES BINBYTES BINBYTES8
BYTEARRAY8 EMPTY_DICT EMPTY_LIST EMPTY_TUPLE LIST DICT TUPLE TUPLE1 TUPLE2 TUPLE3 APPEND APPENDS SETITEM SETITEMS GLOBAL
STACK_GLOBAL REDUCE BUILD BINPERSID
"""
INSTRUCTIONS = frozenset(_INSTRUCTIONS.split())


def load_pickle(file: BinaryIO, size: int) -> Any:
    """What a pickle holds: dictionaries, lists, tuples, plain values, and arrays of numbers in the machine's order.

    Args:
        size: of the file, in bytes.
    Raises:
        InputError: it holds anything else; the message goes on "it ...".
        Exception: of any other type, it is truncated or damaged.
    """
    return finished(Reader(io.BytesIO(file.read(size))).load())


class Reader(pickle.Unpickler):
    """An unpickler that finds no classes and functions but those of ``stand_ins``.

    Args:
        stream: in memory, so that no instruction can ask for more bytes than there are. More pickles may follow.
        names: further stand-ins by "module.name".
    """

    def __init__(self, stream: io.BytesIO, names: dict[str, Callable | None] | None = None):
        super().__init__(stream)
        self.stream, self.names = stream, _STAND_INS | (names or {})

    def load(self) -> Any:
        """What the next pickle of the stream leaves; for ``finished``."""
        start = self.stream.tell()
        check_instructions(self.stream)
        self.stream.seek(start)
        return super().load()

    def find_class(self, module: str, name: str) -> "Name":
        # NumPy 2 renamed its inside, and Python 3 the module of its built-in functions.
        known = f"{module}.{name}".replace("numpy._core.", "numpy.core.").replace("__builtin__.", "builtins.")
        if known not in self.names:
            raise InputError(f"it refers to {one_line(f'{module}.{name}', 80)}, which is no array and may be hostile")
        return Name(known, self.names[known])

    def persistent_load(self, _: Any) -> Any:
        raise InputError("it has the instruction BINPERSID, which no array needs, and may be hostile")


def check_instructions(stream: io.BytesIO) -> None:
    """Read a pickle to its end, and refuse instructions that arrays do not need, or too many."""
    tuples = 0
    for count, (instruction, argument, _) in enumerate(pickletools.genops(stream)):
        if instruction.name not in INSTRUCTIONS:
            raise InputError(f"it has the instruction {instruction.name}, which no array needs, and may be hostile")
        tuples += "TUPLE" in instruction.name
        # takes memory up to there
        too_far = instruction.name in ("PUT", "LONG_BINPUT") and not 0 <= argument < MAX_MEMO
        if count >= MAX_INSTRUCTIONS or tuples > MAX_TUPLES or too_far:
            raise InputError("it has more instructions than arrays need, and may be hostile")


class StandIn:
    """What takes the place of an object. The unpickler sets no attributes of it: it has a ``__setstate__``."""

    __slots__ = ()

    def __setstate__(self, state: Any) -> None:
        raise InputError("it sets the state of what has none, and may be hostile")


class Name(StandIn):
    """A function or class that the file refers to; it is never looked up.

    Args:
        make: takes the place of a call of it; None for what is never called.
    """

    __slots__ = ("make", "name")

    def __init__(self, name: str, make: Callable | None):
        self.name, self.make = name, make

    def __call__(self, *arguments: Any) -> Any:
        if self.make is None:
            raise InputError(f"it calls {self.name}, which makes no array, and may be hostile")
        return self.make(*arguments)


class Dictionary(dict):
    """An ``OrderedDict``; PyTorch sets attributes of it (versions of layers), which are passed over."""

    __slots__ = ()

    def __setstate__(self, state: Any) -> None:
        pass


class Type(StandIn):
    """``numpy.dtype(name, align, copy)`` of a plain type of numbers; its state is its byte order."""

    __slots__ = ("name", "order")

    def __init__(self, name: str, *_):
        if name not in NUMBERS:
            raise InputError(f"it holds an array of type {one_line(name, 20)!r}, which is no plain type of numbers")
        self.name, self.order = name, "|"

    def __setstate__(self, state: tuple) -> None:
        version, order, *others = state
        if version not in (3, 4) or order not in tuple("<>|=") or others != [None, None, None, -1, -1, 0]:
            raise InputError("it holds a type of numbers in a forged state, and may be hostile")
        self.order = order


class Array(StandIn):
    """An array; of ``_reconstruct`` what it holds comes as its state."""

    __slots__ = ("value",)

    def __init__(self, value: np.ndarray | None = None):
        self.value = value

    def __setstate__(self, state: tuple) -> None:
        _, shape, numbers, by_columns, data = state
        self.value = _array(numbers, shape, by_columns, data)


def expect(value: Any, *types: type) -> Any:
    """The value, where it is of one of these very types; a damaged file has anything anywhere."""
    if type(value) not in types:
        raise TypeError(f"expected {' or '.join(t.__name__ for t in types)}, got {type(value).__name__}")
    return value


def _array(numbers: Type, shape: tuple, by_columns: bool, data: bytes) -> np.ndarray:
    expect(numbers, Type), expect(by_columns, bool)
    sides = [expect(n, int) for n in expect(shape, tuple)]
    if isinstance(data, list):
        raise InputError("it holds an array of objects, and may be hostile")
    return array_of(numbers.order + numbers.name, sides, expect(data, bytes, bytearray), by_columns)


def array_of(numbers: str, shape: list[int], data: bytes, by_columns: bool = False) -> np.ndarray:
    """An array from its bytes, in the machine's byte order.

    Args:
        numbers: a byte order and one of ``NUMBERS``.
    Raises:
        InputError: the bytes are not as many as the shape says.
    """
    dtype = np.dtype(numbers)
    if min(shape, default=0) < 0 or math.prod(shape) * dtype.itemsize != len(data):
        raise InputError(f"it holds an array of shape {one_line(list(shape), 80)} with {len(data)} bytes of {dtype}")
    flat = np.frombuffer(data, "u1") != 0 if dtype.kind == "b" else np.frombuffer(data, dtype)
    return flat.reshape(shape, order="F" if by_columns else "C").astype(dtype.newbyteorder("="), copy=False)


def _encoded(text: str, encoding: str) -> bytes:
    """Bytes as protocol 2 writes them: as text of as many letters."""
    if encoding not in ("latin1", "latin-1"):
        raise InputError(f"it encodes text as {one_line(encoding, 20)!r}, which no array needs")
    return expect(text, str).encode("latin-1")


_STAND_INS: dict[str, Callable | None] = {
    "numpy.ndarray": None,
    "numpy.dtype": Type,
    "numpy.core.multiarray._reconstruct": lambda *_: Array(),
    "numpy.core.multiarray.scalar": lambda numbers, data: Array(_array(numbers, (), False, data)),
    "numpy.core.numeric._frombuffer": lambda data, numbers, shape, order: Array(
        _array(numbers, shape, order == "F", data)
    ),
    "builtins.bytes": lambda: b"",
    "_codecs.encode": _encoded,
    "collections.OrderedDict": lambda: Dictionary(),
}


def finished(value: Any) -> Any:
    """What a ``Reader`` leaves, with arrays in the places of their stand-ins."""
    return _finished(value, iter(range(MAX_VALUES)))


def _finished(value: Any, budget: Iterator, depth: int = 0) -> Any:
    """``finished`` of a part; one step of the budget for each, shared ones each time."""
    if depth > MAX_DEPTH or next(budget, None) is None:
        raise InputError("it nests deeper than arrays do, and may be hostile")
    if isinstance(value, Array):
        if (array := value.value) is None:
            raise InputError("it holds an array without content")
        return array
    if isinstance(value, dict):
        return {expect(key, str, int): _finished(part, budget, depth + 1) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_finished(part, budget, depth + 1) for part in value)
    if isinstance(value, StandIn):
        raise InputError("it holds something that is no array")
    return value
