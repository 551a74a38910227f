"""A photograph extended beyond its border: the border is hole, known pixels stay, and test.py does it by one option."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from datasets.images import read_picture
from datasets.photographs import Photograph
from inpainting.photographs import extend_photograph
from utils.errors import InputError

_spec = importlib.util.spec_from_file_location("test_script", Path(__file__).resolve().parents[2] / "test.py")
fill_command = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(fill_command)


@pytest.fixture
def photograph():
    pixels = np.random.default_rng(0).integers(0, 256, [20, 30, 3], np.uint8)
    return Photograph(pixels, alpha=np.arange(600, dtype=np.uint8).reshape(20, 30), icc=b"profile")


def test_known_pixels_and_all_else_stay(photograph):
    hole = np.zeros([20, 30], bool)
    hole[3:5, 6:9] = True
    extended, extended_hole = extend_photograph(photograph, hole, (1, 2, 3, 4))
    assert extended.size == extended_hole.shape == (26, 34) and extended.icc == b"profile"
    inside = np.s_[2:22, 1:31]
    assert np.array_equal(extended.pixels[inside], photograph.pixels)
    assert np.array_equal(extended.alpha[inside], photograph.alpha) and np.array_equal(extended_hole[inside], hole)
    border = np.ones([26, 34], bool)
    border[inside] = False
    assert extended_hole[border].all() and (extended.alpha[border] == 255).all()


def test_the_command_extends_and_fills_no_more_than_that(pictures, small_weights, tmp_path):
    arguments = ["--input", str(pictures / "0.png"), "--weights", str(small_weights), "--detail", "off"]
    fill_command.main([*arguments, "--output", str(tmp_path / "out"), "--extend", "5,0,3,6"])
    before, after = read_picture(pictures / "0.png"), read_picture(tmp_path / "out" / "0.png")
    assert after.shape == (46, 56, 3) and np.array_equal(after[:40, 5:53], before)
    assert [path.name for path in (tmp_path / "out").glob("[!.]*")] == ["0.png"]  # no generated hole
    with pytest.raises(SystemExit):
        fill_command.main([*arguments, "--extend", "5,0,3"])
    with pytest.raises(InputError, match="--extend"):
        fill_command.main([*arguments, "--extend", "5,0,3,6", "--super_resolution", "2"])
