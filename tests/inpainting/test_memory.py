"""Memory: what is refused before the work, and what is reported when it runs out all the same."""

import types

import numpy as np
import paddle
import pytest

from inpainting import Inpainter, memory
from models import build_model
from utils.errors import InputError

GIB = 1 << 30


@pytest.mark.parametrize(
    ("container", "free"),
    [
        ({}, 8 * GIB),
        ({"memory.max": "max\n", "memory.current": "5\n"}, 8 * GIB),
        ({"memory.max": f"{3 * GIB}\n", "memory.current": f"{GIB}\n"}, 2 * GIB),
        ({"memory.max": f"{3 * GIB}", "memory.current": f"{GIB}", "memory.stat": f"inactive_file {GIB}"}, 3 * GIB),
    ],
)
def test_free_memory_is_the_least_of_machine_and_container(tmp_path, monkeypatch, container, free):
    for name, content in container.items():
        (tmp_path / name).write_text(content)
    monkeypatch.setattr(memory, "_CGROUPS", [(tmp_path / "memory.max", tmp_path / "memory.current")])
    monkeypatch.setattr(memory.psutil, "virtual_memory", lambda: types.SimpleNamespace(available=8 * GIB))
    monkeypatch.setattr(paddle, "get_device", lambda: "cpu")
    assert memory.free_memory() == free


def test_a_single_pass_over_too_large_a_picture_is_refused_before_it(monkeypatch):
    inpainter = Inpainter(build_model("pconv_unet", base_channels=4, depth=2), scales=1)
    picture, hole = np.zeros([64, 48, 3], np.uint8), np.zeros([64, 48], bool)
    hole[20:30, 20:30] = True
    needed = memory.pass_bytes("pconv_unet", {"base_channels": 4}, 64 * 48)
    monkeypatch.setattr(memory, "free_memory", lambda: needed)
    assert inpainter(picture, hole).shape == picture.shape
    monkeypatch.setattr(memory, "free_memory", lambda: needed - 1)
    for fill in (inpainter, inpainter.raw, inpainter.views):
        with pytest.raises(InputError, match=r"a picture of 48x64 pixels: expected .* of free memory"):
            fill(picture, hole)


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("ResourceExhaustedError: Out of memory error on CPU")])
def test_memory_that_ends_in_the_midst_is_told_of_the_picture(error, monkeypatch):
    inpainter = Inpainter(build_model("pconv_unet", base_channels=4, depth=2))
    picture, hole = np.zeros([64, 48, 3], np.uint8), np.zeros([64, 48], bool)
    hole[20:30, 20:30] = True

    def fail(*_):
        raise error

    monkeypatch.setattr(type(inpainter.model), "forward", fail)
    with pytest.raises(InputError, match="a picture of 48x64 pixels: expected more memory than the system could give"):
        inpainter(picture, hole)
