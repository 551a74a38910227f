"""Arrays from a pickle, without running anything in it.

A pickle can call any function of any module. Here nothing is looked up and nothing is called while reading: names of a
short table and calls of them become ``Record``s, other names are refused. Arrays are then made from the records: a
plain type of numbers, a shape, and bytes.

Protocols 1 to 4 are read; ``paddle.save`` writes 2 to 4, ``torch.save`` 2.
"""

import io
import pickle
from collections.abc import Callable, Collection, Mapping
from typing import Any, BinaryIO

import numpy as np

from utils.errors import InputError, one_line

# NumPy's types, and what PyTorch calls them.
NUMBERS = {"f4": "Float", "f8": "Double", "f2": "Half", "i8": "Long", "i4": "Int", "i2": "Short", "i1": "Char"}
NUMBERS |= {"u1": "Byte", "b1": "Bool"}

# Bytes of arrays for each byte of the file. Several arrays may share bytes, and bfloat16 doubles; but a small file
# cannot fill the memory.
MAX_MADE = 8


class Record:
    """A name in a pickle, or a call of it.

    Args:
        arguments: a tuple; None for the name alone.
    """

    __slots__ = ("arguments", "name", "state")

    def __init__(self, name: str, arguments: Any = None):
        self.name, self.arguments, self.state = name, arguments, None

    def __setstate__(self, state: Any) -> None:
        self.state = state


class Dictionary(dict):
    """A dictionary with plain keys: to hash a tuple of a hundred thousand levels would overflow the stack."""

    def __setitem__(self, key: str | int, value: Any) -> None:
        if type(key) not in (str, int):
            raise TypeError(f"a key is a {type(key).__name__}")
        super().__setitem__(key, value)

    def __setstate__(self, _: Any) -> None:
        """PyTorch sets attributes of its dictionaries (versions of layers), which are not needed."""


class Reader(pickle._Unpickler):
    """An unpickler that makes dictionaries, lists, tuples, plain values and records; for ``resolved``.

    It is the one in Python, since that in C takes memory up to the highest index of the pickle's memo.

    Args:
        stream: in memory, so that no instruction can ask for more bytes than there are. More pickles may follow.
        names: those that the file may have.
    """

    def __init__(self, stream: io.BytesIO, names: Collection[str]):
        super().__init__(stream)
        self.names, self.references = names, {}

    def find_class(self, module: str, name: str) -> Record:
        # NumPy 2 renamed its inside, and Python 3 the module of its built-in functions.
        known = f"{module}.{name}".replace("numpy._core.", "numpy.core.").replace("__builtin__.", "builtins.")
        if known not in self.names:
            raise InputError(f"it refers to {one_line(f'{module}.{name}', 80)}, which is no array and may be hostile")
        return Record(known)

    def persistent_load(self, reference: tuple) -> Record:
        """A storage of PyTorch's: ("storage", type, key, device, count, view); one record for each."""
        _, kind, key, _, _, *view = reference
        if type(key) is not str or view not in ([], [None]):
            raise InputError("it has storages that are views of others; save it with a newer PyTorch")
        return self.references.setdefault((kind.name, key), Record("storage", (kind.name, key)))

    def _call(self) -> None:
        arguments, name = self.stack.pop(), self.stack[-1].name
        self.stack[-1] = Record(name, arguments)
        if name == "collections.OrderedDict":
            self.stack[-1], items = Dictionary(), arguments[0] if arguments else []  # Python 2 gave items here
            for key, value in items:
                self.stack[-1][key] = value
            items.clear()  # else a small file could take the same ones again and again

    dispatch = pickle._Unpickler.dispatch | {pickle.REDUCE[0]: _call}
    dispatch[pickle.EMPTY_DICT[0]] = lambda self: self.append(Dictionary())
    # Those that hash anything, and BYTEARRAY8, which takes memory before it reads.
    for _code in (pickle.DICT, pickle.FROZENSET, pickle.ADDITEMS, pickle.BYTEARRAY8):
        del dispatch[_code[0]]


def resolved(content: Any, makers: Mapping[str, Callable | None], size: int) -> Any:
    """What a ``Reader`` read, with arrays in the places of their records.

    Args:
        makers: by name, what makes the value of a record from its state and arguments.
        size: of the file, in bytes.
    Raises:
        InputError: the arrays are more than ``MAX_MADE`` times the file, or no arrays of numbers.
        Exception: of any other type, the file is damaged.
    """
    done, room = {}, MAX_MADE * size

    def value_of(part: Any) -> Any:
        if not isinstance(part, Record | dict | list | tuple):
            return part
        if id(part) not in done:  # else shared parts of shared parts would take forever
            done[id(part)] = make(part)
        return done[id(part)]

    def make(part: Any) -> Any:
        nonlocal room
        if isinstance(part, dict):
            return {key: value_of(value) for key, value in part.items()}
        if not isinstance(part, Record):
            return type(part)(map(value_of, part))
        if part.arguments is None:
            return part.name
        made = makers[part.name](value_of(part.state), *value_of(part.arguments))
        room -= getattr(made, "nbytes", 0)
        if room < 0:
            raise InputError("its arrays are far more than it has bytes")
        return made

    return value_of(content)


def load_pickle(file: BinaryIO, size: int) -> Any:
    """What a pickle holds: dictionaries, lists, tuples, plain values, and arrays of numbers.

    Args:
        size: of the file, in bytes.
    Raises:
        InputError: it holds anything else; the message goes on "it ...".
        Exception: of any other type, it is truncated or damaged.
    """
    return resolved(Reader(io.BytesIO(file.read(size)), MAKERS).load(), MAKERS, size)


def _dtype(state: tuple, name: str, *_) -> np.dtype:
    """``numpy.dtype(name, align, copy)``; of its state only the byte order matters."""
    kind = f"{state[1] if state else '|'}{name}"
    if kind[1:] not in NUMBERS or kind[0] == ">":
        raise InputError(f"it holds an array of type {one_line(kind, 20)!r}, which is no plain type of numbers")
    return np.dtype(kind[1:])


def _array(dtype: np.dtype, shape: tuple, data: bytes, by_columns: bool = False) -> np.ndarray:
    if not isinstance(dtype, np.dtype):
        raise TypeError("the type of an array is none")
    return np.frombuffer(data, dtype).reshape(shape, order="F" if by_columns else "C")


def _rebuilt(state: tuple, *_) -> np.ndarray:
    """``_reconstruct`` makes an empty array, and its state fills it."""
    _, shape, dtype, by_columns, data = state
    return _array(dtype, shape, data, by_columns)


MAKERS: dict[str, Callable | None] = {
    # Of None only the name occurs.
    "numpy.ndarray": None,
    "numpy.dtype": _dtype,
    "numpy.core.multiarray._reconstruct": _rebuilt,
    "numpy.core.multiarray.scalar": lambda _, dtype, data: _array(dtype, (), data),
    "builtins.bytes": lambda _: b"",
    "builtins.tuple": lambda _, pair: pair[1],  # a tensor in a nested dictionary of Paddle's: its name, and the array
    # Bytes as protocol 2 writes them; an array, since it counts as memory.
    "_codecs.encode": lambda _, text, encoding: np.frombuffer(text.encode("latin-1"), "u1"),
    "collections.OrderedDict": None,
}
