"""Arrays out of PyTorch's files: what it wrote, in both of its formats, and what others might write.

``by_torch_1.pth`` and ``by_torch_2.pth`` were written by PyTorch, with the same content: a small network's state_dict,
its optimiser's, a tensor of each type, and views of one storage. Everything else here is written by hand.
"""

import io
import os
import pickle
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest

from inpainting import torch_files
from inpainting.array_files import read_arrays, read_state
from tests.inpainting.torch_by_hand import (
    DICTIONARY,
    a_storage,
    a_tensor,
    a_tuple,
    name,
    number,
    old_format,
    text,
    torch_zip,
)
from utils.errors import InputError

HERE = Path(__file__).parent
BY_TORCH = [HERE / "by_torch_1.pth", HERE / "by_torch_2.pth"]
LINE = np.arange(12, dtype="float32")


@pytest.mark.parametrize("path", BY_TORCH, ids=lambda path: path.stem)
def test_a_checkpoint_of_pytorch_comes_back(path):
    content = read_state(path)
    assert content["n_iter"] == 7 and content["about"] == ("text", 1.5, None, True)
    model = content["model"]
    norm = [f"1.{part}" for part in ("weight", "bias", "running_mean", "running_var", "num_batches_tracked")]
    assert list(model) == ["0.weight", "0.bias", *norm]
    np.testing.assert_array_equal(model["0.weight"], np.arange(18, dtype="float32").reshape(2, 1, 3, 3))
    np.testing.assert_array_equal(model["1.bias"], [3, 4])
    assert model["1.num_batches_tracked"].shape == () and model["1.num_batches_tracked"] == 1
    assert content["optimizer"]["param_groups"][0]["lr"] == 0.25
    assert content["optimizer"]["state"][0]["exp_avg"].shape == (2, 1, 3, 3)


@pytest.mark.parametrize("path", BY_TORCH, ids=lambda path: path.stem)
def test_every_type_and_views_of_one_storage_come_back(path):
    content = read_state(path)
    assert len(content["kinds"]) == 10
    for kind, array in content["kinds"].items():
        assert array.dtype == ("float32" if kind == "bfloat16" else kind)
        np.testing.assert_array_equal(array, [False, True, True] if kind == "bool" else [0, 1, 2])
    views = {"whole": LINE, "turned": LINE.reshape(3, 4).T, "part": LINE[5:9], "steps": LINE[1::3], "one": LINE[7]}
    views |= {"none": np.zeros([0, 3]), "parameter": LINE[:2]}
    assert set(content["views"]) == set(views)
    for key, array in views.items():
        assert content["views"][key].shape == array.shape
        np.testing.assert_array_equal(content["views"][key], array)


def test_another_byte_order_is_refused(tmp_path):
    program = DICTIONARY + text("a") + a_tensor("Float", "0", 3, 0, [3], [1]) + b"s."
    content = np.arange(3, dtype=">f4").tobytes()
    (tmp_path / "a.pth").write_bytes(torch_zip(program, {"0": content}, byteorder=b"big"))
    with pytest.raises(InputError, match="another byte order"):
        read_arrays(tmp_path / "a.pth")


def a_file(value, **storages):
    return torch_zip(DICTIONARY + text("a") + value + b"s.", {key: bytes(content) for key, content in storages.items()})


TEN = bytes(40)  # ten numbers
HOSTILE = {
    "os.system": (a_file(name("os", "system") + a_tuple(text("touch witness")) + b"R"), "refers to os.system"),
    "a network as an object": (a_file(name("net", "PConvUNet") + b")\x81}b"), "instruction NEWOBJ"),
    "another function of torch": (
        a_file(name("torch.hub", "load") + a_tuple(text("witness")) + b"R"),
        "refers to torch.hub.load",
    ),
    "a storage that is called": (a_file(name("torch", "FloatStorage") + b")R"), "calls torch.FloatStorage"),
    "a type of storage that is none": (a_file(a_tensor("Witness", "0", 10, 0, [10], [1]), s0=TEN), "WitnessStorage"),
    "beyond the end": (a_file(a_tensor("Float", "s0", 10, 1, [10], [1]), s0=TEN), "beyond its 10 numbers"),
    "backwards": (a_file(a_tensor("Float", "s0", 10, 9, [3], [-1]), s0=TEN), "beyond its 10 numbers"),
    "below nothing": (a_file(a_tensor("Float", "s0", 10, 0, [-1, -1], [1, 1]), s0=TEN), "beyond its 10 numbers"),
    "one number a billion times": (
        a_file(a_tensor("Float", "s0", 10, 0, [1 << 30, 1 << 30], [0, 0]), s0=TEN),
        "beyond its 10 numbers",
    ),
    "fewer bytes than numbers": (a_file(a_tensor("Float", "s0", 11, 0, [10], [1]), s0=TEN), "40 bytes of float32"),
    "a storage that is not there": (a_file(a_tensor("Float", "s1", 10, 0, [10], [1]), s0=TEN), "truncated or damaged"),
    "shape and strides that differ": (a_file(a_tensor("Float", "s0", 10, 0, [5, 2], [1]), s0=TEN), "damaged"),
    "one storage as two types": (
        a_file(b"]" + a_tensor("Float", "s0", 10, 0, [10], [1]) + b"a" + a_storage("Int", "s0", 10) + b"a", s0=TEN),
        "two storages of one name",
    ),
    "state of a storage": (
        a_file(a_storage("Float", "s0", 10) + b"}" + text("numbers") + text("O8") + b"sb", s0=TEN),
        "state",
    ),
    "something beside itself": (
        a_file(a_tuple(text("file"), name("torch", "FloatStorage"), text("a"), text("b"), number(1)) + b"Q"),
        "no storage",
    ),
    "a tensor of no storage": (
        a_file(name("torch._utils", "_rebuild_tensor") + a_tuple(number(1), number(0), a_tuple(), a_tuple()) + b"R"),
        "truncated or damaged",
    ),
    "one storage again and again": (
        a_file(b"](" + b"".join(a_tensor("Float", "s0", 999, 0, [999], [1]) for _ in range(99)) + b"e", s0=bytes(3996)),
        "far more than it has bytes",
    ),
    "a pickle": (pickle.dumps({"a": np.ones(2)}), "no file of torch.save"),
    "another magic number": (pickle.dumps(torch_files.MAGIC + 1, 2) + pickle.dumps(1001, 2), "no file of torch.save"),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_files_are_refused_and_run_nothing(tmp_path, monkeypatch, case):
    monkeypatch.chdir(tmp_path)
    content, message = HOSTILE[case]
    (tmp_path / "a.pth").write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        read_state(tmp_path / "a.pth")
    assert len(str(caught.value)) < 400 and "\n" not in str(caught.value) and "a.pth" in str(caught.value)
    assert os.listdir(tmp_path) == ["a.pth"]


def test_compressed_archives_are_refused(tmp_path):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a/data.pkl", b"\x80\x02}.")
        archive.writestr("a/data/0", bytes(100_000_000))
    (tmp_path / "a.pth").write_bytes(content.getvalue())
    with pytest.raises(InputError, match="it is compressed, as no file of"):
        read_state(tmp_path / "a.pth")


def test_members_over_one_another_are_refused(tmp_path):
    """Each name in the archive's list leads to the same bytes, so that they unpack to more than there are."""
    whole = torch_zip(b"\x80\x02}.", {"0": bytes(5000)})
    lists, entries = whole.index(b"PK\x01\x02"), whole.index(b"PK\x05\x06")
    start = whole.rindex(b"PK\x01\x02", 0, whole.index(b"archive/data/0", lists))
    entry = whole[start : whole.index(b"PK", start + 2)]
    listed = whole[lists:entries] + entry * 9
    end = struct.pack("<IHHHHIIH", 0x06054B50, 0, 0, 13, 13, len(listed), lists, 0)
    (tmp_path / "a.pth").write_bytes(whole[:lists] + listed + end)
    with pytest.raises(InputError, match="unpacks to more than it has bytes"):
        read_state(tmp_path / "a.pth")


def test_views_between_storages_of_the_oldest_files_are_refused(tmp_path):
    view = a_tuple(text("1"), number(0), number(5))
    value = a_tensor("Float", "0", 10, 0, [10], [1], view)
    (tmp_path / "a.pth").write_bytes(old_format(DICTIONARY + text("a") + value + b"s.", {"0": TEN}))
    with pytest.raises(InputError, match="no storage"):
        read_state(tmp_path / "a.pth")
