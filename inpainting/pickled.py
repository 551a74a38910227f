"""Arrays out of a pickle, with nothing in it run.

A pickle is a program: it may name any function of any module and have it called, and even NumPy's own functions, let
loose on forged arguments, write where they should not (a type that says its bytes are pointers to objects). So no
unpickler runs here. The program is followed instruction by instruction, those that arrays by name need and no others;
what it would call is known by name and done by this module: an array is made of the name of a plain type of numbers,
its shape, and bytes of just the right count. How long the program is and how deep it nests are bounded.
"""

import math
import pickletools
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from utils.errors import InputError, one_line

NUMBERS = frozenset({"b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8"})

# A network of a thousand arrays takes some fifty thousand instructions, and nests four deep.
MAX_INSTRUCTIONS, MAX_STACK, MAX_MARKS, MAX_VALUES, MAX_DEPTH = 500_000, 100_000, 20, 100_000, 5
MAX_LINE = 10_000  # bytes, of the old protocols' instructions that end with their line


def load_pickle(file: BinaryIO, size: int) -> Any:
    """What a pickle holds: dictionaries, lists, tuples, plain values, and arrays of numbers in the machine's order.

    Args:
        size: of the file, in bytes.
    Raises:
        InputError: it holds anything else; the message goes on "it ...".
        Exception: of any other type, it is truncated or damaged.
    """
    return finished(Machine().run(Stream(file, size)))


class Stream:
    """A file that never gives less than it is asked for, and takes no memory for what it does not have."""

    def __init__(self, file: BinaryIO, size: int):
        self.file, self.left = file, size

    def read(self, count: int) -> bytes:
        if not 0 <= count <= self.left:
            return b""  # which is told as the end of the file
        self.left -= count
        return self.file.read(count)

    def readline(self) -> bytes:
        line = self.file.readline(MAX_LINE)
        self.left -= len(line)
        return line


class Name(NamedTuple):
    """A function or class that the file refers to. It is never looked up."""

    module: str
    name: str


class _Type:
    """A type of numbers: its name, and after a state has come its byte order."""

    def __init__(self, name: str):
        self.name, self.order = name, "|"


class Array:
    """An array, and before its state has come the place of one."""

    value: np.ndarray | None = None


class Machine:
    """The stack machine that a pickle is a program for."""

    keys: tuple[type, ...] = (str,)  # what a dictionary's keys may be

    def __init__(self):
        self.stack: list = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}
        self.calls: dict[Name, Callable] = _CALLED
        self.names: set[Name] = {_NDARRAY}  # that may be spoken of, and not called

    def run(self, stream: Stream) -> Any:
        """Follow the next program of the stream to its end; what it leaves is for ``finished``."""
        for count, (instruction, argument, _) in enumerate(pickletools.genops(stream)):
            if count == 0 and instruction.name not in _FIRST:
                raise ValueError("no pickle of a dictionary")
            if count == MAX_INSTRUCTIONS:
                raise InputError("it has more instructions than arrays need")
            self.follow(instruction.name, argument)
        return self.stack.pop()

    def follow(self, instruction: str, argument: Any) -> None:
        """Do one instruction."""
        if instruction in _PUSHING:
            self.stack.append(argument)
        elif instruction in _CONSTANTS:
            self.stack.append(_CONSTANTS[instruction])
        elif instruction in _EMPTY:
            self.stack.append(_EMPTY[instruction]())
        elif instruction in _REMEMBERING:
            self.memo[argument] = self.stack[-1]
        elif instruction in _RECALLING:
            self.stack.append(self.memo[argument])
        elif instruction in _OTHERS:
            _OTHERS[instruction](self, argument)
        else:
            raise InputError(f"it has the instruction {instruction}, which no array needs, and may be hostile")
        if len(self.stack) > MAX_STACK or len(self.marks) > MAX_MARKS:
            raise InputError("it nests deeper than arrays do, and may be hostile")

    def nothing(self, _) -> None:
        pass

    def memoize(self, _) -> None:
        self.memo[len(self.memo)] = self.stack[-1]

    def mark(self, _) -> None:
        self.marks.append(len(self.stack))

    def since_mark(self) -> list:
        """What was put on the stack since the last mark, taken off it."""
        start = self.marks.pop()
        items = self.stack[start:]
        del self.stack[start:]
        return items

    def make_list(self, _) -> None:
        self.stack.append(self.since_mark())

    def make_dict(self, _) -> None:
        items = self.since_mark()
        self.stack.append({})
        self.put_in(items)

    def make_tuple(self, count: int | None) -> None:
        items = self.since_mark() if count is None else [self.stack.pop() for _ in range(count)][::-1]
        if any(isinstance(part, tuple) for item in items if type(item) is tuple for part in item):
            raise InputError("it nests deeper than arrays do, and may be hostile")
        self.stack.append(tuple(items))

    def append(self, items: list) -> None:
        expect(self.stack[-1], list).extend(items)

    def put_in(self, items: list) -> None:
        target = expect(self.stack[-1], dict)
        for key, value in zip(items[::2], items[1::2], strict=True):
            target[expect(key, *self.keys)] = value

    def name(self, words: str) -> None:
        self.stack.append(self.known(*words.split(" ", 1)))

    def name_from_stack(self, _) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        self.stack.append(self.known(expect(module, str), expect(name, str)))

    def known(self, module: str, name: str) -> Name:
        found = Name(module, name)
        if found not in self.calls and found not in self.names:
            raise InputError(f"it refers to {one_line(f'{module}.{name}', 80)}, which is no array and may be hostile")
        return found

    def call(self, _) -> None:
        arguments, called = expect(self.stack.pop(), tuple), expect(self.stack.pop(), Name)
        if called not in self.calls:
            raise InputError(f"it calls {called.module}.{called.name}, which makes no array, and may be hostile")
        self.stack.append(self.calls[called](*arguments))

    def load_persistent(self) -> None:
        raise InputError("it has the instruction BINPERSID, which no array needs, and may be hostile")

    def set_state(self) -> None:
        state, target = expect(self.stack.pop(), tuple), expect(self.stack[-1], _Type, Array)
        if isinstance(target, _Type):
            target.order = _byte_order(*state)
        else:
            _, shape, numbers, by_columns, data = state
            target.value = _array(numbers, shape, by_columns, data)


_FIRST = {"PROTO", "MARK", "EMPTY_DICT", "GLOBAL"}  # GLOBAL: an OrderedDict of protocol 0 or 1
_PUSHING = {"INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "FLOAT", "BINFLOAT"}
_PUSHING |= {"UNICODE", "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8"}
_PUSHING |= {"SHORT_BINBYTES", "BINBYTES", "BINBYTES8", "BYTEARRAY8"}
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_EMPTY = {"EMPTY_DICT": dict, "EMPTY_LIST": list, "EMPTY_TUPLE": tuple}
_REMEMBERING, _RECALLING = {"PUT", "BINPUT", "LONG_BINPUT"}, {"GET", "BINGET", "LONG_BINGET"}
_OTHERS = {
    "PROTO": Machine.nothing,
    "FRAME": Machine.nothing,
    "STOP": Machine.nothing,
    "MARK": Machine.mark,
    "MEMOIZE": Machine.memoize,
    "LIST": Machine.make_list,
    "DICT": Machine.make_dict,
    "TUPLE": lambda machine, _: machine.make_tuple(None),
    "TUPLE1": lambda machine, _: machine.make_tuple(1),
    "TUPLE2": lambda machine, _: machine.make_tuple(2),
    "TUPLE3": lambda machine, _: machine.make_tuple(3),
    "APPEND": lambda machine, _: machine.append([machine.stack.pop()]),
    "APPENDS": lambda machine, _: machine.append(machine.since_mark()),
    "SETITEM": lambda machine, _: machine.put_in([machine.stack.pop(), machine.stack.pop()][::-1]),
    "SETITEMS": lambda machine, _: machine.put_in(machine.since_mark()),
    "GLOBAL": Machine.name,
    "STACK_GLOBAL": Machine.name_from_stack,
    "REDUCE": Machine.call,
    "BUILD": lambda machine, _: machine.set_state(),
    "BINPERSID": lambda machine, _: machine.load_persistent(),
}


def expect(value: Any, *types: type) -> Any:
    """The value, where it is of one of these very types; a damaged file has anything anywhere."""
    if type(value) not in types:
        raise TypeError(f"expected {' or '.join(t.__name__ for t in types)}, got {type(value).__name__}")
    return value


def _type(name: str, *_) -> _Type:
    """What ``numpy.dtype(name, align, copy)`` stands for."""
    if name not in NUMBERS:
        raise InputError(f"it holds an array of type {one_line(name, 20)!r}, which is no plain type of numbers")
    return _Type(name)


def _byte_order(version, order, *others) -> str:
    """Of the state of a type of numbers; all else in it is the same for each of them, and is told where it is not."""
    if version not in (3, 4) or order not in tuple("<>|=") or others != (None, None, None, -1, -1, 0):
        raise InputError("it holds a type of numbers in a forged state, and may be hostile")
    return order


def _array(numbers: _Type, shape: tuple, by_columns: bool, data: bytes) -> np.ndarray:
    """An array of its type, shape, order of storage and bytes."""
    expect(numbers, _Type), expect(by_columns, bool)
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


def _unfilled(kind: Name, *_) -> Array:
    expect(kind, Name)
    return Array()


def _from_buffer(data: bytes, numbers: _Type, shape: tuple, order: str) -> Array:
    return _filled(_array(numbers, shape, order == "F", data))


def _scalar(numbers: _Type, data: bytes) -> Array:
    return _filled(_array(numbers, (), False, data))


def _filled(value: np.ndarray) -> Array:
    array = Array()
    array.value = value
    return array


def _encoded(text: str, encoding: str) -> bytes:
    """Bytes as protocol 2 writes them: as text of as many letters."""
    if encoding not in ("latin1", "latin-1"):
        raise InputError(f"it encodes text as {one_line(encoding, 20)!r}, which no array needs")
    return expect(text, str).encode("latin-1")


# Under NumPy's two names for its inside, and Python's two for its built-in functions.
_NDARRAY = Name("numpy", "ndarray")
_CALLED = {
    Name("numpy", "dtype"): _type,
    **{Name(f"numpy.{core}.multiarray", "_reconstruct"): _unfilled for core in ("core", "_core")},
    **{Name(f"numpy.{core}.multiarray", "scalar"): _scalar for core in ("core", "_core")},
    **{Name(f"numpy.{core}.numeric", "_frombuffer"): _from_buffer for core in ("core", "_core")},
    **{Name(builtins, "bytes"): lambda: b"" for builtins in ("builtins", "__builtin__")},
    Name("_codecs", "encode"): _encoded,
    Name("collections", "OrderedDict"): lambda: {},
}


def finished(value: Any) -> Any:
    """What a machine leaves, with arrays in the places of arrays."""
    return _finished(value, iter(range(MAX_VALUES)))


def _finished(value: Any, budget: Iterator, depth: int = 0) -> Any:
    """``finished`` of a part; one step of the budget for each, shared ones each time."""
    if depth > MAX_DEPTH or next(budget, None) is None:
        raise InputError("it nests deeper than arrays do, and may be hostile")
    if isinstance(value, Array):
        if (array := value.value) is None:
            raise InputError("it holds an array without content")
        return array
    if isinstance(value, Name | _Type):
        raise InputError("it holds something that is no array")
    if isinstance(value, dict):
        return {key: _finished(part, budget, depth + 1) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_finished(part, budget, depth + 1) for part in value)
    return value
