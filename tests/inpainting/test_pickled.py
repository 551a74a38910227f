"""Arrays out of pickles: bit for bit what Paddle and NumPy wrote, and nothing run of what others wrote."""

import io
import os
import pickle
import resource
import struct
from collections import OrderedDict
from pathlib import Path

import numpy as np
import paddle
import pytest

from inpainting.pickled import load_pickle
from tests.inpainting.torch_by_hand import a_tuple, name, plain
from utils.errors import InputError

RNG = np.random.default_rng(0)
ARRAYS = {
    "plain": RNG.standard_normal([3, 4, 5]).astype("float32"),
    "half": RNG.standard_normal(7).astype("float16"),
    "double": RNG.standard_normal([2, 2]),
    "nan": np.array([np.nan, -0.0, np.inf], "float32"),
    "whole": np.array([-(2**63), 2**63 - 1]),
    "bool": np.array([True, False]),
    "one": np.array(1.5, "float32"),
}
OF_NUMPY = ARRAYS | {
    "columns": np.asfortranarray(RNG.standard_normal([4, 3]).astype("float32")),
    "strided": RNG.standard_normal([6, 6]).astype("float32")[::2, 1::3],
    "none": np.zeros([0, 3], "float32"),
    "scalar": np.float32(2),
    "bytes": np.arange(256, dtype="uint8"),
}


def load(content):
    return load_pickle(io.BytesIO(content), len(content))


def assert_same(found, expected):
    assert list(found) == list(expected)
    for key, array in expected.items():
        assert found[key].dtype == array.dtype and found[key].shape == array.shape
        assert found[key].tobytes() == array.tobytes(), key


@pytest.mark.parametrize("kind", [dict, OrderedDict])
@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_arrays_of_numpy_come_back_bit_for_bit(protocol, kind):
    assert_same(load(pickle.dumps(kind(OF_NUMPY), protocol)), OF_NUMPY)


@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_what_paddle_saves_comes_back_bit_for_bit(tmp_path, protocol):
    state = {name: paddle.to_tensor(a) for name, a in ARRAYS.items()}
    for nested in (False, True):  # where it writes tuples of name and array
        paddle.save({"net": state} if nested else state, str(tmp_path / "a"), protocol=protocol)
        found = load((tmp_path / "a").read_bytes())
        assert nested or len(found.pop("StructuredToParameterName@@")) == len(ARRAYS)
        assert_same(found["net"] if nested else found, ARRAYS)


# A pickle by hand.


def a_type(kind="f4", order="<", size=-1, flags=0):
    state = plain((3, order, None, None, None, size, -1, flags))
    return name("numpy", "dtype") + plain((kind, False, True)) + b"R" + state + b"b"


def unfilled():
    array = name("numpy", "ndarray")
    return name("numpy.core.multiarray", "_reconstruct") + a_tuple(array, plain((0,)), b"U\x01b") + b"R"


def an_array(kind=None, shape=(2,), content=bytes(8)):
    content = content if content[:1] == b"]" else b"B" + struct.pack("<I", len(content)) + content
    return unfilled() + a_tuple(plain(1), plain(shape), kind or a_type(), plain(False), content) + b"b"


def a_dictionary(value):
    return b"\x80\x02}" + plain("w") + value + b"s."


POINTER = struct.pack("<Q", 0x4141414141414141)
SYSTEM = name("os", "system") + a_tuple(plain("touch witness"))
DAMAGED = None


def test_the_pickle_by_hand_is_one():
    """Else the hostile ones below would be refused for another reason than theirs."""
    by_hand = a_dictionary(an_array(content=struct.pack("<2f", 1, 2)))
    assert pickle.loads(by_hand, encoding="latin1")["w"].tolist() == [1, 2] == load(by_hand)["w"].tolist()


HOSTILE = {
    "type of objects": (an_array(a_type("O8", "|", flags=63), (1,), POINTER), r"array of type '\|O8'"),
    # NumPy takes the flags as they come: with 1 in place of 63 it believes that these bytes are a pointer.
    "forged flags of objects": (an_array(a_type("O8", "|", flags=1), (1,), POINTER), r"of type '\|O8'"),
    "text as a type": (an_array(plain("O8"), (1,), POINTER), DAMAGED),
    "another byte order": (an_array(a_type(order=">")), "of type '>f4'"),
    "objects as data": (an_array(content=b"](K\x01K\x02e"), DAMAGED),
    "too few bytes": (an_array(shape=(1 << 30,)), DAMAGED),
    "sides that overflow": (an_array(shape=(1 << 30,) * 4), DAMAGED),
    "an array without content": (unfilled(), DAMAGED),
    "a class called": (name("numpy", "ndarray") + plain(((9,),)) + b"R", DAMAGED),
    "a new object": (name("numpy", "ndarray") + plain(((9,),)) + b"\x81", DAMAGED),
    "os.system": (SYSTEM + b"R", "refers to os.system"),
    "eval": (name("builtins", "eval") + a_tuple(plain("open('witness', 'w')")) + b"R", "refers to builtins.eval"),
    "name with a line's end": (plain("numpy\nx") + plain("\x1b[31mdtype") + b"\x93", r"refers to numpy x\. \[31mdtype"),
    "INST": (b"(" + plain("touch witness") + b"ios\nsystem\n", "refers to os.system"),
    "a reference": (plain("witness") + b"Q", DAMAGED),
    "an array as a key": (b"}" + an_array() + plain(2) + b"s", DAMAGED),
    "a deep tuple as a key": (b"}" + b")" + b"\x85" * 200_000 + plain(2) + b"s", DAMAGED),
    "a deep tuple in a set": (b"(" + b")" + b"\x85" * 200_000 + b"\x91", DAMAGED),
    "a list in itself": (b"]q\x00h\x00a", DAMAGED),
    "deep lists": (b"]" * 200_000 + b"a" * 199_999, DAMAGED),
    "bytes again and again": (
        b"](" + plain("é" * 100_000)[:-2] + b"q\x00X\x06\x00\x00\x00latin1\x86q\x010"
        b"c_codecs\nencode\nq\x020" + b"h\x02h\x01R" * 9_999 + b"e",
        "arrays are far more than it has bytes",
    ),
    "a memo up to there": (b"Nr\xff\xff\xff\x7f0" * 2, DAMAGED),
    "a number of 5,000 digits": (b"L" + b"9" * 5000 + b"L\n", DAMAGED),
    "more bytes than there are": (b"\x8e" + struct.pack("<Q", 1 << 62), DAMAGED),
    "more bytes than there are, to write on": (b"\x96" + struct.pack("<Q", 1 << 36), DAMAGED),
}


@pytest.fixture
def little_memory():
    """At most 400 MiB above what the process has; the largest pickle has 1 MB."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + (400 << 20), before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_pickles_are_refused_and_run_nothing(tmp_path, monkeypatch, little_memory, case):
    monkeypatch.chdir(tmp_path)
    content, message = HOSTILE[case]
    with pytest.raises(InputError if message else Exception, match=message) as caught:
        load(a_dictionary(content))
    # Any Exception is told by read_state; what must not come is the end of the process, or of its memory.
    assert not isinstance(caught.value, MemoryError)
    assert len(str(caught.value)) < 300 and "\n" not in str(caught.value).strip()
    assert os.listdir(tmp_path) == []
    assert_same(load(pickle.dumps(ARRAYS, 4)), ARRAYS)  # and nothing of it stays for the next file


def test_lists_of_the_same_lists_take_no_time():
    lists = b"".join(b"](" + (b"h" + bytes([i])) * 99 + b"eq" + bytes([i + 1]) for i in range(9))
    assert len(load(a_dictionary(b"(]q\x00" + lists + b"t"))["w"]) == 10
