"""Files of arrays in three formats: round trips, and every way in which one can be wrong."""

import io
import json
import os
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from inpainting.array_files import read_arrays, write_arrays
from utils.errors import InputError

ROOT = Path(__file__).resolve().parents[2]
SUFFIXES = (".pdparams", ".safetensors", ".npz")
ARRAYS = {
    "a.weight": np.random.default_rng(0).standard_normal([3, 4]).astype("float32"),
    "half": np.array([1.5, -2], "float16"),
    "double": np.array([[0.1]]),
    "count": np.array([1, 2]),
    "on": np.array([True, False]),
    "one": np.array(3, "float32"),
    "none": np.zeros([0, 2], "float32"),
}


def write(path, arrays=ARRAYS):
    if path.suffix == ".npz":
        np.savez(path, **arrays)
    else:
        write_arrays(arrays, path)
    return path


def refused(path, message):
    with pytest.raises(InputError, match=message) as caught:
        read_arrays(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value) and len(str(caught.value)) < 600


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_round_trips_are_exact(tmp_path, suffix):
    found = read_arrays(write(tmp_path / f"a{suffix}"))
    assert set(found) == set(ARRAYS)
    for name, array in ARRAYS.items():
        assert found[name].dtype == array.dtype
        np.testing.assert_array_equal(found[name], array)


@pytest.mark.parametrize("file", ["weights/demo/model.safetensors", "weights/vgg16_pool3.npz"])
def test_the_files_of_the_repository_are_read_bit_for_bit(file):
    path = ROOT / file
    if path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as archive:
            expected = dict(archive)
    else:
        expected = load_file(path)
    found = read_arrays(path)
    assert list(found) == list(expected)
    assert all(found[name].tobytes() == array.tobytes() for name, array in expected.items())
    assert all((found[name].dtype, found[name].shape) == (a.dtype, a.shape) for name, a in expected.items())


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("share", [0, 0.01, 0.5, 0.99])
def test_every_truncation_is_told(tmp_path, suffix, share):
    path = write(tmp_path / f"a{suffix}")
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    refused(path, "truncated or damaged")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_no_file_and_too_large_a_file_are_refused_unread(tmp_path, suffix):
    os.mkfifo(tmp_path / f"pipe{suffix}")
    refused(tmp_path / f"pipe{suffix}", "a pipe or a device")
    refused(tmp_path / f"nothing{suffix}", "no such file")
    with open(tmp_path / f"a{suffix}", "wb") as file:
        file.truncate(1 << 40)  # which takes no room on the disk
    refused(tmp_path / f"a{suffix}", "at most 8 GiB, got 1024.0 GiB")


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.array([1, np.nan], "float32"), "NaN or infinity in b"),
        (np.array([-np.inf], "float16"), "NaN or infinity in b"),
        (np.array([1e39]), r"numbers beyond float32's 3\.4e\+38 in b"),
    ],
)
def test_numbers_that_no_network_can_have_are_refused(tmp_path, suffix, array, message):
    refused(write(tmp_path / f"a{suffix}", {"a": np.ones(2), "b": array}), f"expected finite weights, got {message}")


def an_npz(array, compressed=False):
    content = io.BytesIO()
    (np.savez_compressed if compressed else np.savez)(content, w=array)
    return content.getvalue()


def a_bfloat16():
    header = json.dumps({"w": {"dtype": "BF16", "shape": (4,), "data_offsets": (0, 8)}}).encode()
    return struct.pack("<Q", len(header)) + header + bytes(8)


HOSTILE = {
    "objects.npz": (an_npz(np.array([{}], dtype=object)), "truncated or damaged"),
    **dict.fromkeys(
        ("bomb.npz", "bomb.pth"), (an_npz(np.zeros(10_000_000, "float32"), compressed=True), "unpacks to far more")
    ),
    "bf16.safetensors": (a_bfloat16(), "a type that NumPy lacks: convert them to float32"),
    "objects.pdparams": (pickle.dumps({"w": np.array([{}], dtype=object)}, 4), "not loaded"),
    "list.pdparams": (pickle.dumps([1, 2], 4), "a dictionary of arrays, got list"),
    "nested.pdparams": (pickle.dumps({"w": {"v": np.ones(2)}}, 4), "something else under 'w'"),
    "control.pdparams": (pickle.dumps({"\x1b[31m\n" + "w" * 5000: 1}, 4), r"something else under '\[31m www"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_and_damaged_files_are_refused_and_run_nothing(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    content, message = HOSTILE[name]
    (tmp_path / name).write_bytes(content)
    refused(tmp_path / name, message)
    assert os.listdir(tmp_path) == [name]
