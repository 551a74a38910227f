"""Ways in which a file can be other than it should be: what stands in its place, given its path and what was there."""

import io
import json
import os
import pickle
import random
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

from tests.hostile.harness import Damage

DEEP = 100_000


def text(content: str) -> Damage:
    return lambda path, _: path.write_text(content, encoding="utf-8")


def content(data: bytes) -> Damage:
    return lambda path, _: path.write_bytes(data)


def changed(change: Callable[[bytes], bytes]) -> Damage:
    return lambda path, before: path.write_bytes(change(before))


def edited(**entries) -> Damage:
    """A JSON object with other entries; ``...`` takes one away."""

    def edit(before: bytes) -> bytes:
        whole = {**json.loads(before), **entries}
        return json.dumps({key: value for key, value in whole.items() if value is not ...}).encode()

    return changed(edit)


def _sparse(path: Path, _: bytes) -> None:
    with open(path, "wb") as file:
        file.truncate(1 << 40)


ANY: dict[str, Damage] = {  # of a file of any kind
    "empty": content(b""),
    "half": changed(lambda before: before[: len(before) // 2]),
    "random": content(random.Random(0).randbytes(4096)),
    "zeros": content(bytes(100_000)),
    "other": text("this is something else\n"),
    "utf16": content("\ufeffimage,mask\n".encode("utf-16-le")),
    "terabyte": _sparse,
    "folder": lambda path, _: path.mkdir(),
    "pipe": lambda path, _: os.mkfifo(path),
    "endless": lambda path, _: path.symlink_to("/dev/zero"),
    "loop": lambda path, _: path.symlink_to(path.name),
    "gone": lambda path, _: path.symlink_to("nothing"),
}

TEXTS: dict[str, Damage] = {  # of one that holds text
    "nul": text("a\0b\n"),
    "bracket": text("[" * DEEP),
    "brace": text('{"a":' * DEEP),
    "digits": text("9" * 5000),
    "long line": text("a" * 200_000),
    "escapes": text("\x1b[31m\x1b]0;title\x07\u202e\n"),
    "bytes": content(b"\xff\xfe\xfa\x00\xff" * 50),
}


def png(width: int, height: int, data: bytes = b"", bits: int = 8, colour: int = 2) -> bytes:
    """A PNG file that says of itself what one likes."""
    head = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, 0)
    chunks = (b"IHDR", head), (b"IDAT", zlib.compress(data)), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )


PICTURES: dict[str, Damage] = {
    "postscript": content(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(/etc/passwd) run\n"),
    "bomb": content(png(30_000, 30_000)),
    "width of 2 to 31": content(png(2**31 - 1, 1)),
    "no width": content(png(0, 7)),
    "16 bits": content(png(2, 2, bytes(2 * (1 + 12)), bits=16)),
    "no rows": content(png(40, 48)),
    "few rows": content(png(40, 48, bytes(300))),
    "svg": text('<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"/>'),
    "gif": content(
        b"GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02D\x01\x00;"
    ),
}


def pickled(value: object, protocol: int = 2) -> bytes:
    return pickle.dumps(value, protocol)


class _Calls:
    """Pickled, a call of any function."""

    def __init__(self, function: Callable, *arguments):
        self.call = function, arguments

    def __reduce__(self):
        return self.call


def _forged_dtype() -> bytes:
    """An array whose type says, by flags that no type of its name has, that its bytes are pointers to objects."""
    dtype = b"cnumpy\ndtype\n(X\x02\x00\x00\x00f8K\x00K\x01tR"
    dtype += b"(K\x03X\x01\x00\x00\x00|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x3ftb"
    array = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\x00tC\x01btR(K\x01(K\x01t" + dtype
    data = struct.pack("<Q", 0x4141414141414141)
    return b"\x80\x03}X\x01\x00\x00\x00a" + array + b"\x89C\x08" + data + b"tbs."


PICKLES: dict[str, bytes] = {
    "forged dtype": _forged_dtype(),
    "system": pickled({"a": _Calls(os.system, "kill -9 $PPID")}),
    "exec": pickled({"a": _Calls(exec, "import os; os.abort()")}),
    "eval in a list": pickled([_Calls(eval, "1/0")]),
    "deep lists": b"\x80\x02" + b"]" * 1_000_000 + b"a" * 999_999 + b".",
    "deep tuples": b"\x80\x02)" + b"\x85" * 1_000_000 + b".",
    "marks": b"\x80\x02" + b"(" * 1_000_000 + b".",
    "laughs": b"\x80\x02]q\x00"
    + b"".join(b"](h%c%s" % (i, b"h%c" % i * 50 + b"eq%c" % (i + 1)) for i in range(40))
    + b".",
    "digits": b"}X\x01\x00\x00\x00aI" + b"9" * 5000 + b"\ns.",
    "said to be huge": b"\x80\x04\x8e" + struct.pack("<Q", 1 << 60) + b"abc.",
    "no end": pickled({"a": np.zeros(3)})[:-1],
    "objects": pickled({"a": np.array([None, []], object)}),
    "text": pickled({"a": np.array(["text"])}),
    "a list": pickled([1, 2]),
    "numbers as names": pickled({1: np.zeros(3)}),
    "not arrays": pickled({"a": "b"}),
    "persistent": b"\x80\x02}X\x01\x00\x00\x00aPx\ns.",
    "extension": b"\x80\x02\x82\x01.",
}


def npz(arrays: dict[str, np.ndarray], **settings) -> bytes:
    file = io.BytesIO()
    np.savez(file, **arrays, **settings)
    return file.getvalue()


def of_arrays(change: Callable[[dict], object]) -> Damage:
    """A weights file, of which the arrays are changed."""

    def damage(path: Path, before: bytes) -> None:
        arrays = {name: value for name, value in pickle.loads(before).items() if isinstance(value, np.ndarray)}
        path.write_bytes(pickled(change(arrays)))

    return damage


def _first(arrays: dict, change: Callable[[np.ndarray], np.ndarray]) -> dict:
    """Arrays of which the first with a shape of its own is changed."""
    name = next(name for name, a in arrays.items() if a.ndim > 1 or "moment" in name)
    return {**arrays, name: change(arrays[name])}


ARRAYS: dict[str, Damage] = {
    "NaN": of_arrays(lambda arrays: _first(arrays, lambda a: np.full_like(a, np.nan))),
    "infinity": of_arrays(lambda arrays: _first(arrays, lambda a: np.full_like(a, -np.inf))),
    "beyond float32": of_arrays(lambda arrays: _first(arrays, lambda a: np.full(a.shape, 1e300))),
    "integers": of_arrays(lambda arrays: _first(arrays, lambda a: a.astype("int64"))),
    "booleans": of_arrays(lambda arrays: _first(arrays, lambda a: a > 0)),
    "complex": of_arrays(lambda arrays: _first(arrays, lambda a: a.astype("complex64"))),
    "other shape": of_arrays(lambda arrays: _first(arrays, lambda a: a.reshape(-1)[:1])),
    "one number": of_arrays(lambda arrays: _first(arrays, lambda a: np.float32(1))),
    "one missing": of_arrays(lambda arrays: dict(list(arrays.items())[1:])),
    "none": of_arrays(lambda arrays: {}),
}
