"""Masks: polarity, what counts as a mask, hole ratio, bucket edges, resizing, holes off the border."""

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from datasets.images import sample_photo, write_picture
from datasets.mask_generator import generate_mask
from datasets.masks import (
    border_kind,
    bucket_of,
    hole_from_levels,
    hole_ratio,
    outline,
    read_mask,
    resize_mask,
    write_mask,
)
from utils.errors import InputError


@pytest.fixture
def mask():
    mask = np.ones([24, 40], np.float32)
    mask[3:9, 5:20] = 0
    return mask


def test_buckets_are_open_below_and_closed_above():
    assert [bucket_of(ratio) for ratio in (0.01, 0.0100001, 0.1, 0.6, 0.6000001)] == [
        *(None, "0.01-0.1", "0.01-0.1", "0.5-0.6", None)
    ]


@given(
    st.integers(1, 40), st.integers(1, 40), st.floats(0, 1), st.integers(0, 999), st.sampled_from(["white", "black"])
)
@settings(max_examples=40)
def test_any_mask_comes_back_as_it_was_and_resized_as_its_own_pixels(
    tmp_path_factory, height, width, share, seed, hole
):
    rng = np.random.default_rng(seed)
    mask = (rng.random([height, width]) < share).astype(np.float32)
    path = tmp_path_factory.mktemp("masks") / "a.png"
    write_mask(path, mask, hole)
    read = read_mask(path, hole)
    assert read.dtype == np.float32 and np.array_equal(read, mask)
    sides = [int(side) for side in rng.integers(1, 50, 2)]
    resized = resize_mask(mask, *sides)
    assert list(resized.shape) == sides and resized.dtype == np.float32
    assert set(np.unique(resized)) <= set(np.unique(mask))
    assert np.array_equal(resize_mask(1 - mask, *sides), 1 - resized)
    assert hole_ratio(mask) == pytest.approx(1 - mask.mean(), abs=1e-6)
    assert border_kind(mask) == border_kind(np.flip(mask)) == border_kind(mask.T)


@pytest.mark.parametrize("channels", [(), (3,)])
@pytest.mark.parametrize("check", [True, False])
def test_a_mask_of_0_and_1_is_refused_with_the_remedy(tmp_path, mask, channels, check):
    levels = np.broadcast_to((mask == 0).reshape(*mask.shape, *([1] * len(channels))), [*mask.shape, *channels])
    write_picture(tmp_path / "a.png", np.ascontiguousarray(levels, np.uint8))
    with pytest.raises(InputError, match=r"expected a mask of 0 and 255, got 0 and 1 in .*a\.png: multiply it"):
        read_mask(tmp_path / "a.png", check=check)


@st.composite
def grey_levels(draw):
    """Levels of any kind: noise with much or little grey, or strokes with a soft edge."""
    height, width, seed = draw(st.integers(3, 40)), draw(st.integers(3, 40)), draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    if draw(st.booleans()):
        levels = rng.integers(0, 256, [height, width])
        levels[rng.random([height, width]) < draw(st.floats(0, 1))] = 0
    else:
        levels = cv2.GaussianBlur(np.where(rng.random([height, width]) < 0.1, 255.0, 0), (0, 0), rng.uniform(0.3, 1))
    return levels.astype(np.uint8)


@given(grey_levels(), st.sampled_from(["white", "black"]))
@settings(max_examples=200)
def test_what_is_marked_is_filled_or_told(levels, hole):
    """The hole holds all pixels of 60 % and all of more than 3 % that touch it; others of 10 % are few, and counted."""
    strength = levels if hole == "white" else 255 - levels
    strong = levels >= 153 if hole == "white" else levels < 153
    try:
        found, notes = hole_from_levels(levels, hole, "a.png")
    except InputError:
        assert ((strength > 25) & (strength < 230)).any() or levels.max() == 1
        return
    grey = (strength > 7.65) & ~strong
    assert found[strong].all() and not found[~strong & ~grey].any()
    assert not (grey & ~found)[outline(found)].any()
    apart = np.count_nonzero((strength > 25) & ~found)
    assert apart <= 0.05 * np.count_nonzero(strong | grey)
    assert len(notes) == int(apart > 0) + int((found & ~strong).any())


@given(st.integers(0, 2**32 - 1), st.sampled_from([75, 90, 95]), st.booleans(), st.sampled_from(["white", "black"]))
@settings(max_examples=40)
def test_hard_masks_come_out_of_png_and_jpeg_to_the_pixel(tmp_path_factory, seed, quality, border, hole):
    mask = generate_mask(np.random.default_rng(seed), 96, 128, (0.1, 0.4), border)
    folder = tmp_path_factory.mktemp("hard")
    write_mask(folder / "a.png", mask, hole)
    Image.open(folder / "a.png").save(folder / "a.jpg", quality=quality)
    for name in ("a.png", "a.jpg"):
        assert np.array_equal(read_mask(folder / name, hole), mask), name


def soft_scratches(size=160, width=6):
    """Lines of 1.5 px, drawn at four times the size: their share of each pixel, 0 to 255."""
    drawn, rng = Image.new("L", (4 * size, 4 * size)), np.random.default_rng(2)
    for _ in range(3):
        ImageDraw.Draw(drawn).line([*map(int, rng.integers(0, 4 * size, 4))], fill=255, width=width)
    return np.asarray(drawn.resize((size, size), Image.Resampling.BOX))


@pytest.mark.parametrize("hole", ["white", "black"])
@pytest.mark.parametrize(("name", "least"), [("a.png", 8), ("a.jpg", 64), ("a.webp", 64)])
def test_soft_scratches_are_filled_whole(tmp_path, hole, name, least):
    levels = soft_scratches()
    assert np.mean(levels > 0) > 1.4 * np.mean(levels >= 153) > 0
    Image.fromarray(levels if hole == "white" else 255 - levels).save(tmp_path / name, quality=90)
    read = read_mask(tmp_path / name, hole)
    assert not read[levels >= least].any() and read[levels == 0].mean() > 0.99


@pytest.mark.parametrize(
    ("paint", "told"),
    [
        (lambda levels: levels.__setitem__(np.s_[4:12, 4:12], 120), "grey"),  # small, and grey all over
        (lambda levels: levels.__setitem__(np.s_[5, 5:60], 120), "touch no white"),  # a line too faint to be white
        (lambda levels: levels.__setitem__(np.s_[:], np.arange(200, dtype=np.uint8)), "is it a photograph"),
    ],
)
def test_grey_is_judged_against_what_is_marked(tmp_path, paint, told):
    levels = np.zeros([300, 200], np.uint8)
    paint(levels)
    write_picture(tmp_path / "a.png", levels)
    assert read_mask(tmp_path / "a.png", check=False).any()
    with pytest.raises(InputError, match=told):
        read_mask(tmp_path / "a.png")


def test_photographs_are_no_masks(tmp_path):
    write_picture(tmp_path / "colour.jpg", sample_photo("chelsea"))
    for check in (True, False):
        with pytest.raises(InputError, match="colour"):
            read_mask(tmp_path / "colour.jpg", check=check)


@pytest.mark.parametrize(("height", "width"), [(512, 512), (256, 300), (64, 20)])
def test_border_kind_looks_at_50_of_512_of_each_side(height, width):
    rows, columns = 50 * height // 512, 50 * width // 512
    inside = np.ones([height, width], np.float32)
    inside[rows : height - rows, columns : width - columns] = 0
    assert border_kind(inside) == "N"
    for y, x in ((rows - 1, width // 2), (height // 2, columns - 1), (height - rows, width // 2)):
        beyond = inside.copy()
        beyond[y, x] = 0
        assert border_kind(beyond) == "B"
