"""Files of arrays in three formats: round trips, and every way in which one can be wrong."""

import io
import json
import os
import pickle
import struct
import zipfile
from pathlib import Path

import numpy as np
import pytest
from numpy.lib import format as npy

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


@pytest.mark.parametrize("file", ["weights/demo/model.pdparams", "weights/vgg16_pool3.npz"])
def test_the_files_of_the_repository_are_read_bit_for_bit(file):
    path = ROOT / file
    if path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as archive:
            expected = dict(archive)
    else:
        expected = pickle.loads(path.read_bytes())
        expected.pop("StructuredToParameterName@@", None)
    found = read_arrays(path)
    assert list(found) == list(expected)
    assert all(found[name].tobytes() == array.tobytes() for name, array in expected.items())
    assert all((found[name].dtype, found[name].shape) == (a.dtype, a.shape) for name, a in expected.items())


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("share", [0, 0.01, 0.3, 0.7, 0.99])
def test_every_truncation_is_told(tmp_path, suffix, share):
    path = write(tmp_path / f"a{suffix}")
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    refused(path, "truncated or damaged")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_what_is_no_file_is_refused_at_once(tmp_path, suffix):
    os.mkfifo(tmp_path / f"pipe{suffix}")
    refused(tmp_path / f"pipe{suffix}", "a pipe or a device")
    refused(tmp_path / f"nothing{suffix}", "no such file")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_more_bytes_than_weights_have_are_refused_unread(tmp_path, suffix):
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


def a_zip(method=zipfile.ZIP_STORED, **members):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", method) as archive:
        for name, member in members.items():
            archive.writestr(f"{name}.npy", member)
    return content.getvalue()


def a_npy(header, content=bytes(8)):
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + content


def npy_header(descr="'<f4'", order="False", shape="(2,)"):
    return f"{{'descr': {descr}, 'fortran_order': {order}, 'shape': {shape}, }}          \n"


def a_saved(array):
    content = io.BytesIO()
    npy.write_array(content, array)
    return content.getvalue()


def safetensors(header, content=b""):
    header = json.dumps(header).encode()
    return struct.pack("<Q", len(header)) + header + content


def an_entry(dtype="F32", shape=(2,), offsets=(0, 8)):
    return {"w": {"dtype": dtype, "shape": shape, "data_offsets": offsets}}


HOSTILE = {
    "objects.npz": (a_zip(w=a_npy(npy_header("'|O'"))), "truncated or damaged"),
    "complex.npz": (a_zip(w=a_npy(npy_header("'<c8'", shape="(1,)"))), "no plain type of numbers"),
    "code.npz": (
        a_zip(w=a_npy(npy_header(shape="(__import__('os').system('touch witness'),)"))),
        "truncated or damaged",
    ),
    "much.npz": (a_zip(w=a_npy(npy_header(shape="(1000000000000,)"))), "truncated or damaged"),
    "bomb.npz": (a_zip(zipfile.ZIP_DEFLATED, w=a_saved(np.zeros(10_000_000, "float32"))), "unpacks to far more"),
    "much.safetensors": (safetensors(an_entry(shape=(1 << 40,), offsets=(0, 1 << 42)), bytes(8)), "truncated"),
    "overlap.safetensors": (safetensors(an_entry() | {"v": an_entry()["w"]}, bytes(8)), "truncated or damaged"),
    "bf16.safetensors": (safetensors(an_entry("BF16", offsets=(0, 4)), bytes(4)), "array of BF16 .* convert it to F32"),
    "objects.pdparams": (pickle.dumps({"w": np.array([{}], dtype=object)}), "not loaded"),
    "list.pdparams": (pickle.dumps([1, 2]), "a dictionary of arrays, got list"),
    "nested.pdparams": (pickle.dumps({"w": {"v": np.ones(2)}}), "something else under 'w'"),
    "control.pdparams": (pickle.dumps({"\x1b[31m\n" + "w" * 5000: 1}), r"something else under '\[31m www"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_and_damaged_files_are_refused_and_run_nothing(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    content, message = HOSTILE[name]
    (tmp_path / name).write_bytes(content)
    refused(tmp_path / name, message)
    assert os.listdir(tmp_path) == [name]
