"""Arrays out of pickles: bit for bit what Paddle and NumPy wrote, and nothing run of what others wrote."""

import io
import os
import pickle
import struct
import subprocess
import sys
from collections import OrderedDict

import numpy as np
import paddle
import pytest

from inpainting.pickled import load_pickle
from tests.inpainting.torch_by_hand import a_tuple, name, number, text
from utils.errors import InputError

RNG = np.random.default_rng(0)
ARRAYS = {
    "plain": RNG.standard_normal([3, 4, 5]).astype("float32"),
    "half": RNG.standard_normal(7).astype("float16"),
    "double": RNG.standard_normal([2, 2]),
    "columns": np.asfortranarray(RNG.standard_normal([4, 3]).astype("float32")),
    "strided": RNG.standard_normal([6, 6]).astype("float32")[::2, 1::3],
    "big endian": np.arange(5, dtype=">f4"),
    "one": np.array(1.5, "float32"),
    "none": np.zeros([0, 3], "float32"),
    "nan": np.array([np.nan, -0.0, np.inf], "float32"),
    "bytes": np.arange(256, dtype="uint8"),
    "whole": np.array([-(2**63), 2**63 - 1]),
    "bool": np.array([True, False]),
}


def load(content):
    return load_pickle(io.BytesIO(content), len(content))


def assert_same(found, expected):
    assert list(found) == list(expected)
    for key, array in expected.items():
        assert found[key].dtype == array.dtype.newbyteorder("=") and found[key].shape == array.shape
        assert found[key].tobytes() == array.astype(found[key].dtype).tobytes(), key


@pytest.mark.parametrize("kind", [dict, OrderedDict])
@pytest.mark.parametrize("protocol", range(6))
def test_arrays_of_every_protocol_come_back_bit_for_bit(protocol, kind):
    assert_same(load(pickle.dumps(kind(ARRAYS), protocol)), ARRAYS)


@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_what_paddle_saves_comes_back_bit_for_bit(tmp_path, protocol):
    arrays = {name: ARRAYS[name] for name in ("plain", "half", "double", "nan", "whole", "bool", "one")}
    paddle.save({name: paddle.to_tensor(a) for name, a in arrays.items()}, str(tmp_path / "a"), protocol=protocol)
    found = load((tmp_path / "a").read_bytes())
    found.pop("StructuredToParameterName@@", None)
    assert_same(found, arrays)


# A pickle by hand.


def data(content):
    return b"B" + struct.pack("<I", len(content)) + content


def a_type(kind="f4", state=None):
    return name("numpy", "dtype") + a_tuple(text(kind), FALSE, TRUE) + b"R" + (state or type_state()) + b"b"


def type_state(version=3, order="<", fields=(b"N", b"N", b"N"), size=-1, alignment=-1, flags=0):
    return a_tuple(number(version), text(order), *fields, number(size), number(alignment), number(flags))


def unfilled():
    return name("numpy.core.multiarray", "_reconstruct") + a_tuple(
        name("numpy", "ndarray"), a_tuple(number(0)), data(b"b")
    )


def an_array(kind=None, shape=(2,), content=bytes(8)):
    content = content if content[:1] == b"]" else data(content)
    state = a_tuple(number(1), a_tuple(*map(number, shape)), kind or a_type(), FALSE, content)
    return unfilled() + b"R" + state + b"b"


def a_dictionary(value):
    return b"\x80\x02}" + text("w") + value + b"s."


FALSE, TRUE = b"\x89", b"\x88"
POINTER = struct.pack("<Q", 0x4141414141414141)
SYSTEM = name("os", "system") + a_tuple(text("touch witness"))
DAMAGED = None


def test_the_pickle_by_hand_is_one():
    """Else the hostile ones below would be refused for another reason than theirs."""
    by_hand = a_dictionary(an_array(content=struct.pack("<2f", 1, 2)))
    assert pickle.loads(by_hand)["w"].tolist() == [1, 2] == load(by_hand)["w"].tolist()


HOSTILE = {
    "type of objects": (an_array(a_type("O8", type_state(order="|", flags=63)), (1,), POINTER), "array of type 'O8'"),
    # NumPy takes the flags as they come: with 1 in place of 63 it believes that these bytes are a pointer.
    "forged flags of objects": (an_array(a_type("O8", type_state(order="|", flags=1)), (1,), POINTER), "of type 'O8'"),
    "forged size": (an_array(a_type(state=type_state(size=1 << 20))), "forged state"),
    "forged fields": (an_array(a_type(state=type_state(fields=(b"N", a_tuple(text("a")), b"}")))), "forged state"),
    "other byte order": (an_array(a_type(state=type_state(order="?"))), "forged state"),
    "structured type": (an_array(a_type("V8")), "no plain type of numbers"),
    "type of a very long name": (an_array(a_type("f" * 100_000)), "no plain type of numbers"),
    "objects as data": (an_array(content=b"](K\x01K\x02e"), "array of objects"),
    "too few bytes": (an_array(shape=(1 << 30,)), "of shape"),
    "sides that overflow": (an_array(shape=(1 << 30, 1 << 30, 1 << 30, 1 << 30)), "of shape"),
    "an array without content": (unfilled() + b"R", "without content"),
    "a type as a value": (a_type(), "no array"),
    "a class called": (name("numpy", "ndarray") + a_tuple(a_tuple(number(9))) + b"R", "calls numpy.ndarray"),
    "a call of an array": (an_array() + a_tuple(number(9)) + b"R", DAMAGED),
    "NEWOBJ": (name("numpy", "ndarray") + a_tuple(a_tuple(number(9))) + b"\x81", "instruction NEWOBJ"),
    "OrderedDict of something": (name("collections", "OrderedDict") + a_tuple(b"]") + b"R", DAMAGED),
    "bytes of a number": (name("builtins", "bytes") + a_tuple(b"J" + b"\xff\xff\xff\x7f") + b"R", DAMAGED),
    "os.system": (SYSTEM + b"R", "refers to os.system"),
    "eval": (name("builtins", "eval") + a_tuple(text("open('witness', 'w')")) + b"R", "refers to builtins.eval"),
    "name with a line's end": (text("numpy\nx") + text("\x1b[31mdtype") + b"\x93", r"refers to numpy x\. \[31mdtype"),
    "INST": (b"(" + text("touch witness") + b"ios\nsystem\n", "instruction INST"),
    "OBJ": (b"(" + SYSTEM[:11] + text("touch witness") + b"o", "instruction OBJ"),
    "BINPERSID": (text("witness") + b"Q", "instruction BINPERSID"),
    "state of a name": (name("numpy", "dtype") + b"}" + text("make") + text("x") + b"sb", "sets the state"),
    "state of an array in a dictionary": (unfilled() + b"R}b", DAMAGED),
    "an array as a key": (b"}" + an_array() + number(2) + b"s", DAMAGED),
    "a deeper tuple as a key": (b"}" + b")" + b"\x85" * 400_000 + number(2) + b"s", "more instructions"),
    "a list in itself": (b"]q\x00h\x00a", "nests deeper"),
    "deep lists": (b"]" * 400_000 + b"a" * 399_999, DAMAGED),
    "deep lists from inside": (b"(]q\x00" + b"]h\x00aq\x00" * 50_000 + b"t", "nests deeper"),
    "laughs": (
        b"(]q\x00" + b"".join(b"](" + (b"h" + bytes([i])) * 99 + b"eq" + bytes([i + 1]) for i in range(9)) + b"t",
        "nests deeper",
    ),
    "endless": (b"N" * 1_000_000, "more instructions"),
    "a memory up to there": (b"r\xff\xff\xff\x7f", "more instructions"),
    "a number of 5,000 digits": (b"L" + b"9" * 5000 + b"L\n", DAMAGED),
    "a line without end": (b"c" + b"a" * 1_000_000, DAMAGED),
    "more bytes than there are": (b"\x8e" + struct.pack("<Q", 1 << 62), DAMAGED),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_pickles_are_refused_and_run_nothing(tmp_path, monkeypatch, case):
    monkeypatch.chdir(tmp_path)
    content, message = HOSTILE[case]
    with pytest.raises(InputError if message else Exception, match=message) as caught:
        load(a_dictionary(content))
    # Any Exception is told by read_state; what must not come is the end of the process, or of its memory.
    assert not isinstance(caught.value, MemoryError)
    assert len(str(caught.value)) < 300 and "\n" not in str(caught.value).strip()
    assert os.listdir(tmp_path) == []
    assert_same(load(pickle.dumps(ARRAYS)), ARRAYS)  # and nothing of it stays for the next file


def test_hostile_pickles_take_no_memory():
    """All of them in a process that may have 400 MiB above its start, and the largest of which has 1 MB."""
    code = """if True:
        import resource
        from pathlib import Path
        from tests.inpainting.test_pickled import HOSTILE, a_dictionary, load
        size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize() + (400 << 20)
        resource.setrlimit(resource.RLIMIT_AS, (size, size))
        for content, _ in HOSTILE.values():
            try:
                load(a_dictionary(content))
            except MemoryError:
                raise SystemExit("out of memory")
            except Exception:
                pass
        """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=400)
    assert done.returncode == 0, done.stderr
