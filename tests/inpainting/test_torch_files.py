"""Arrays out of PyTorch's files: what it wrote, in both of its formats, and what others might write.

``by_torch_1.pth`` and ``by_torch_2.pth`` were written by PyTorch, with the same content: a small network's state_dict,
its optimiser's, a tensor of each type, and views of one storage. Everything else here is written by hand.
"""

import os
import pickle
from pathlib import Path

import numpy as np
import pytest

from inpainting.array_files import read_arrays, read_state
from tests.inpainting.torch_by_hand import DICTIONARY, a_tensor, a_tuple, name, old_format, plain, torch_zip
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


def test_a_dictionary_of_python_2_comes_back(tmp_path):
    """It gave the items to the call, and its text was bytes."""
    items = b"]](U\x01a" + a_tensor("Float", "0", 0, (12,), (1,)) + b"ea"
    program = b"\x80\x02" + name("collections", "OrderedDict") + a_tuple(items) + b"R."
    (tmp_path / "a.pth").write_bytes(old_format(program, {"0": LINE.tobytes()}))
    np.testing.assert_array_equal(read_arrays(tmp_path / "a.pth")["a"], LINE)


def a_program(value):
    return DICTIONARY + plain("a") + value + b"s."


def a_file(value):
    return torch_zip(a_program(value), {"0": bytes(40)})


def ten(*view, offset=0, shape=(10,), strides=(1,), key="0"):
    """A tensor of a storage of ten numbers."""
    return a_tensor("Float", key, offset, shape, strides, *view)


DAMAGED = "truncated or damaged"
HOSTILE = {
    "os.system": (a_file(name("os", "system") + a_tuple(plain("touch witness")) + b"R"), "refers to os.system"),
    "a network as an object": (a_file(name("net", "PConvUNet") + b")\x81}b"), r"refers to net\.PConvUNet"),
    "beyond the end": (a_file(ten(offset=1)), DAMAGED),
    "backwards": (a_file(ten(offset=9, shape=(3,), strides=(-1,))), DAMAGED),
    "far, where 64 bits overflow": (a_file(ten(shape=(5,), strides=(1 << 60,))), DAMAGED),
    "one number a billion times": (a_file(ten(shape=(1 << 30, 1 << 30), strides=(0, 0))), DAMAGED),
    "a storage that is not there": (a_file(ten(key="1")), DAMAGED),
    "one storage again and again": (
        torch_zip(a_program(b"](" + ten(shape=(10_000,)) * 50 + b"e"), {"0": bytes(40_000)}),
        "arrays are far more than it has bytes",
    ),
    "a pickle": (pickle.dumps({"a": np.ones(2)}), "no file of torch.save"),
    "views between storages": (
        old_format(a_program(ten(a_tuple(*map(plain, ("1", 0, 5))))), {"0": bytes(40)}),
        "views of others",
    ),
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


@pytest.mark.parametrize("share", [0.01, 0.3, 0.7, 0.99])
@pytest.mark.parametrize("path", BY_TORCH, ids=lambda path: path.stem)
def test_every_truncation_is_told(tmp_path, path, share):
    whole = path.read_bytes()
    (tmp_path / "a.pth").write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(InputError, match=f"{DAMAGED}|refers to torch"):  # the latter in the middle of a name
        read_state(tmp_path / "a.pth")
