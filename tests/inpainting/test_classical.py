"""The classical methods."""

import importlib.util
import sys

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from datasets.images import sample_face
from datasets.mask_generator import generate_mask
from inpainting.classical import CLASSICAL
from utils.errors import InputError

HAS_PATCHMATCH = importlib.util.find_spec("patchmatch") is not None
METHODS = sorted(name for name in CLASSICAL if name != "patchmatch" or HAS_PATCHMATCH)


@pytest.fixture
def picture():
    return np.random.default_rng(0).integers(0, 256, [24, 32, 3], dtype=np.uint8)


@pytest.fixture
def hole():
    hole = np.zeros([24, 32], bool)
    hole[5:12, 8:20] = True
    hole[20:, 28:] = True
    return hole


SHAPES = st.lists(
    st.tuples(st.integers(0, 239), st.integers(0, 319), st.integers(1, 9), st.integers(-30, 30)), min_size=1, max_size=6
)


@settings(max_examples=25, deadline=None)
@given(SHAPES)
def test_a_box_around_each_hole_gives_the_same_bytes_as_the_whole_picture(shapes):
    """Discs and strokes anywhere, also over the border: OpenCV sees each with what is around it."""
    picture = np.random.default_rng(0).integers(0, 256, [240, 320, 3], dtype=np.uint8)
    hole = np.zeros([240, 320], np.uint8)
    for y, x, width, slope in shapes:
        if width > 5:
            cv2.circle(hole, (x, y), width, 1, -1)
        else:
            cv2.line(hole, (x, y), (x + slope, y + 20), 1, width)
    known = np.where(hole[..., None], np.uint8(0), picture)
    for method, flag in (("telea", cv2.INPAINT_TELEA), ("navier_stokes", cv2.INPAINT_NS)):
        assert np.array_equal(CLASSICAL[method](picture, hole > 0), cv2.inpaint(known, hole, 3, flag))


def test_a_missing_patchmatch_is_said_in_one_line(monkeypatch, picture, hole):
    monkeypatch.setitem(sys.modules, "patchmatch", None)
    with pytest.raises(InputError, match=r"patchmatch needs the package pypatchmatch.*pip install pypatchmatch"):
        CLASSICAL["patchmatch"](picture, hole)


@pytest.mark.parametrize("method", METHODS)
def test_known_pixels_are_untouched_and_the_arguments_too(method, picture, hole):
    before, hole_before = picture.copy(), hole.copy()
    result = CLASSICAL[method](picture, hole)
    assert result.shape == picture.shape and result.dtype == np.uint8
    assert np.array_equal(result[~hole], before[~hole])
    assert np.array_equal(picture, before) and np.array_equal(hole, hole_before)


@pytest.mark.parametrize("method", METHODS)
def test_what_lies_in_an_irregular_hole_changes_nothing(method):
    """A small block hides what only thin holes show: OpenCV's Telea reads inside the hole there."""
    picture = sample_face()
    hole = generate_mask(np.random.default_rng(0), 128, 128, (0.05, 0.1)) == 0
    noise = np.random.default_rng(1).integers(0, 256, picture.shape, dtype=np.uint8)
    other = np.where(hole[..., None], noise, picture)
    assert np.array_equal(CLASSICAL[method](picture, hole), CLASSICAL[method](other, hole))


@pytest.mark.parametrize("method", METHODS)
def test_no_hole_gives_a_copy_and_all_hole_is_refused(method, picture):
    nothing = np.zeros(picture.shape[:2], bool)
    result = CLASSICAL[method](picture, nothing)
    assert np.array_equal(result, picture) and not np.shares_memory(result, picture)
    with pytest.raises(InputError, match="whole picture"):
        CLASSICAL[method](picture, ~nothing)
