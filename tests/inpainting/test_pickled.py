"""Arrays out of pickles: bit for bit what Paddle and NumPy wrote, and nothing run of what others wrote."""

import io
import os
import pickle
import struct
from collections import OrderedDict

import numpy as np
import paddle
import pytest

from inpainting import pickled
from inpainting.pickled import load_pickle
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
    for name, array in expected.items():
        assert found[name].dtype == array.dtype.newbyteorder("=") and found[name].shape == array.shape
        assert found[name].tobytes() == array.astype(found[name].dtype).tobytes(), name


@pytest.fixture
def no_unpickler(monkeypatch):
    for name in ("load", "loads", "Unpickler", "_Unpickler"):
        monkeypatch.setattr(pickle, name, lambda *_, **__: pytest.fail("an unpickler was used"))


@pytest.mark.parametrize("kind", [dict, OrderedDict])
@pytest.mark.parametrize("protocol", range(6))
def test_arrays_of_every_protocol_come_back_bit_for_bit(protocol, kind, no_unpickler):
    assert_same(load(pickle.dumps(kind(ARRAYS), protocol)), ARRAYS)


@pytest.mark.parametrize("protocol", [2, 3, 4])
def test_what_paddle_saves_comes_back_bit_for_bit(tmp_path, protocol, no_unpickler):
    arrays = {name: ARRAYS[name] for name in ("plain", "half", "double", "nan", "whole", "bool", "one")}
    paddle.save({name: paddle.to_tensor(a) for name, a in arrays.items()}, str(tmp_path / "a"), protocol=protocol)
    found = load((tmp_path / "a").read_bytes())
    found.pop("StructuredToParameterName@@", None)
    assert_same(found, arrays)


@pytest.mark.parametrize("protocol", range(6))
def test_plain_values_come_back_with_their_arrays(protocol):
    state = {"step": 7, "rate": 0.1, "name": "Adam", "on": True, "off": None, "list": [1, 2.5, "x"], "pair": (3, 4)}
    state |= {"large": 2**40, "nested": {"a": {"b": 1}}, "empty": {}, "number": np.float32(2.5)}
    found = load(pickle.dumps(state, protocol))
    assert found == state and type(found["on"]) is bool
    assert found["number"].dtype == np.float32


def test_the_same_array_under_two_names_is_two_names_of_it():
    found = load(pickle.dumps({"a": ARRAYS["plain"], "b": ARRAYS["plain"]}, 4))
    assert_same(found, {"a": ARRAYS["plain"], "b": ARRAYS["plain"]})


# A pickle by hand.


def name(module, function):
    return f"c{module}\n{function}\n".encode()


def text(value):
    return b"X" + struct.pack("<I", len(value.encode())) + value.encode()


def number(value):
    return b"J" + struct.pack("<i", value)


def data(content):
    return b"B" + struct.pack("<I", len(content)) + content


def a_tuple(*items):
    return b"(" + b"".join(items) + b"t"


def a_type(kind="f4", state=None):
    return name("numpy", "dtype") + a_tuple(text(kind), FALSE, TRUE) + b"R" + (state or type_state()) + b"b"


def type_state(version=3, order="<", fields=(b"N", b"N", b"N"), size=-1, alignment=-1, flags=0):
    return a_tuple(number(version), text(order), *fields, number(size), number(alignment), number(flags))


def an_array(kind=None, shape=(2,), content=bytes(8), fortran=None):
    made = name("numpy.core.multiarray", "_reconstruct")
    made += a_tuple(name("numpy", "ndarray"), a_tuple(number(0)), data(b"b")) + b"R"
    content = content if content[:1] == b"]" else data(content)
    return made + a_tuple(number(1), a_tuple(*map(number, shape)), kind or a_type(), fortran or FALSE, content) + b"b"


def a_dictionary(value):
    return b"\x80\x02}" + text("w") + value + b"s."


FALSE, TRUE = b"\x89", b"\x88"
POINTER = struct.pack("<Q", 0x4141414141414141)


def test_the_pickle_by_hand_is_one():
    """Else the hostile ones below would be refused for another reason than theirs."""
    by_hand = a_dictionary(an_array(content=struct.pack("<2f", 1, 2)))
    assert pickle.loads(by_hand)["w"].tolist() == [1, 2] == load(by_hand)["w"].tolist()


HOSTILE = {
    "type of objects": an_array(a_type("O8", type_state(order="|", flags=63)), (1,), POINTER),
    # NumPy takes the flags as they come: with 1 in place of 63 it believes that these bytes are a pointer.
    "type of objects with forged flags": an_array(a_type("O8", type_state(order="|", flags=1)), (1,), POINTER),
    "forged flags": an_array(a_type(state=type_state(flags=1))),
    "forged size": an_array(a_type(state=type_state(size=1 << 20))),
    "forged alignment": an_array(a_type(state=type_state(alignment=3))),
    "forged fields": an_array(a_type(state=type_state(fields=(b"N", a_tuple(text("a")), b"}")))),
    "forged subtype": an_array(a_type(state=type_state(fields=(a_tuple(a_type(), a_tuple(number(9))), b"N", b"N")))),
    "other version of state": an_array(a_type(state=type_state(version=9))),
    "other byte order": an_array(a_type(state=type_state(order="?"))),
    "short state": an_array(a_type(state=a_tuple(number(3)))),
    "structured type": an_array(a_type("V8")),
    "text type": an_array(a_type("U2")),
    "dates": an_array(a_type("M8")),
    "complex numbers": an_array(a_type("c8")),
    "type of a very long name": an_array(a_type("f" * 100_000)),
    "type of no name": name("numpy", "dtype") + a_tuple(number(1), FALSE, TRUE) + b"R",
    "objects as data": an_array(content=b"](K\x01K\x02e"),
    "too few bytes": an_array(shape=(1 << 30,)),
    "too many bytes": an_array(shape=(1,)),
    "sides below 0": an_array(shape=(-1, -2)),
    "sides that overflow": an_array(shape=(1 << 30, 1 << 30, 1 << 30, 1 << 30)),
    "no bytes of an endless shape": an_array(shape=(0, 1 << 30, 1 << 30, 1 << 30), content=b""),
    "sides of no number": an_array().replace(number(2), text("2"), 1),
    "an array as its own type": name("numpy.core.multiarray", "_reconstruct")
    + a_tuple(name("numpy", "ndarray"), a_tuple(number(0)), data(b"b"))
    + b"Rq\x00"
    + a_tuple(number(1), a_tuple(number(2)), b"h\x00", FALSE, data(bytes(8)))
    + b"b",
    "an array without content": an_array().partition(b"R")[0] + b"R",
    "a type as a value": a_type(),
    "a class as a value": name("numpy", "ndarray"),
    "a class called": name("numpy", "ndarray") + a_tuple(a_tuple(number(9))) + b"R",
    "NEWOBJ": name("numpy", "ndarray") + a_tuple(a_tuple(number(9))) + b"\x81",
    "OrderedDict of something": name("collections", "OrderedDict") + a_tuple(b"]") + b"R",
    "bytes of a number": name("builtins", "bytes") + a_tuple(b"J" + b"\xff\xff\xff\x7f") + b"R",
    "another encoding": name("_codecs", "encode") + a_tuple(text("a"), text("zlib")) + b"R",
    "another function of codecs": name("_codecs", "lookup") + a_tuple(text("a")) + b"R",
    "os.system": name("os", "system") + a_tuple(text("touch witness")) + b"R",
    "os.system by protocol 4": text("os") + text("system") + b"\x93" + a_tuple(text("touch witness")) + b"R",
    "eval": name("builtins", "eval") + a_tuple(text("open('witness', 'w')")) + b"R",
    "attribute of a module that is allowed": name("numpy", "core.multiarray._reconstruct"),
    "name with a line's end": text("numpy\nx") + text("\x1b[31mdtype") + b"\x93",
    "INST": b"(" + text("touch witness") + b"ios\nsystem\n",
    "OBJ": b"(" + name("os", "system") + text("touch witness") + b"o",
    "EXT1": b"\x82\x01",
    "PERSID": b"Pwitness\n",
    "BINPERSID": text("witness") + b"Q",
    "NEXT_BUFFER": b"\x97",
    "a set": b"\x8f",
    "state of a list": b"]}b",
    "state of an array in a dictionary": an_array().partition(b"R")[0] + b"R}b",
    "a key of no text": b"}" + number(1) + number(2) + b"s",
    "an array as a key": b"}" + an_array() + number(2) + b"s",
    "a deep tuple as a key": b"}" + b")" + b"\x85" * 100 + number(2) + b"s",
    "a list in itself": b"]q\x00h\x00a",
    "a dictionary in itself": b"}q\x00" + text("a") + b"h\x00s",
    "deep lists": b"]" * 100_001,
    "deep marks": b"(" * 1_000_000,
    "deep tuples": b")" + b"\x85" * 1_000_000,
    "deep lists from inside": b"(]q\x00" + b"]h\x00aq\x00" * 50_000 + b"t",
    "deep dictionaries": (b"}" + text("a")) * 50_000,
    "endless": b"N0" * 1_000_000,
    "laughs": b"(]q\x00" + b"".join(b"](" + (b"h" + bytes([i])) * 99 + b"eq" + bytes([i + 1]) for i in range(9)) + b"t",
    "a number of 5,000 digits": b"L" + b"9" * 5000 + b"L\n",
    "a number of many bytes": b"\x8b" + struct.pack("<i", 100_000) + b"\x7f" * 100_000,
    "a line without end": b"c" + b"a" * 1_000_000,
    "more bytes than there are": b"\x8e" + struct.pack("<Q", 1 << 62),
    "a memory that was never filled": b"h\x07",
    "nothing on the stack": b"aaaa",
    "no mark": b"t",
    "zeros": bytes(1000),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_pickles_are_refused_and_run_nothing(tmp_path, monkeypatch, case, no_unpickler):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Exception) as caught:
        load(a_dictionary(HOSTILE[case]))
    # Any Exception is told by read_state; what must not come is the end of the process, or of its memory.
    assert not isinstance(caught.value, (MemoryError, AssertionError)), caught.value
    assert len(str(caught.value)) < 300 and "\n" not in str(caught.value).strip()
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("case", "message"),
    [
        ("type of objects with forged flags", "an array of type 'O8'"),
        ("forged flags", "forged state"),
        ("objects as data", "array of objects"),
        ("too few bytes", "shape"),
        ("os.system", "refers to os.system"),
        ("os.system by protocol 4", "refers to os.system"),
        ("INST", "instruction INST"),
        ("deep lists", "nests deeper"),
        ("deep marks", "nests deeper"),
        ("deep tuples", "nests deeper"),
        ("deep lists from inside", "nests deeper"),
        ("deep dictionaries", "nests deeper"),
        ("a list in itself", "nests deeper"),
        ("laughs", "nests deeper"),
        ("endless", "instruction POP"),
        ("name with a line's end", r"refers to numpy x\. \[31mdtype"),
    ],
)
def test_a_refusal_says_why(case, message):
    with pytest.raises(InputError, match=message):
        load(a_dictionary(HOSTILE[case]))


def test_an_endless_program_is_cut_short(monkeypatch):
    monkeypatch.setattr(pickled, "MAX_INSTRUCTIONS", 1000)
    with pytest.raises(InputError, match="more instructions than arrays need"):
        load(b"\x80\x02" + b"Nq\x00" * 1000 + b".")


@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_every_truncation_and_most_changes_of_a_byte_are_noticed_or_harmless(protocol):
    whole = pickle.dumps({"a": np.arange(3, dtype="float32"), "b": np.ones([2, 2], "float32")}, protocol)
    for end in range(len(whole)):
        with pytest.raises((ValueError, TypeError, LookupError, ArithmeticError, AttributeError)):
            load(whole[:end])
    for place in range(len(whole)):
        changed = bytearray(whole)
        changed[place] ^= 1 << RNG.integers(8)
        try:
            found = load(bytes(changed))
        except (ValueError, TypeError, LookupError, ArithmeticError, AttributeError):
            continue
        assert not isinstance(found, dict) or sum(a.nbytes for a in found.values() if isinstance(a, np.ndarray)) <= 64
