"""Where a photograph is filled: each way of marking it finds the same hole, and says what is wrong with it."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageDraw

from datasets.holes import Marks, colour_hole, find_hole, fit_hole, grow_hole
from datasets.images import sample_photo
from datasets.masks import read_mask
from datasets.photographs import Photograph

HEIGHT, WIDTH = 40, 60


@pytest.fixture
def photograph():
    return Photograph(np.ascontiguousarray(sample_photo("chelsea")[100 : 100 + HEIGHT, 100 : 100 + WIDTH]))


@pytest.fixture
def hole():
    hole = np.zeros([HEIGHT, WIDTH], bool)
    hole[10:25, 20:50] = True
    return hole


def painted(hole, kind):
    """A mask file's picture with that hole white."""
    levels = (hole * 255).astype(np.uint8)
    if kind == "layer":  # white strokes on nothing
        return Image.fromarray(np.dstack([levels.repeat(3).reshape(*hole.shape, 3) * 0 + 255, levels]))
    if kind == "16":
        return Image.fromarray(levels.astype(np.uint16) * 257)
    if kind == "LA":
        return Image.fromarray(levels).convert("LA")
    return Image.fromarray(levels).convert(kind)


@pytest.mark.parametrize("kind", ["1", "L", "LA", "P", "RGB", "RGBA", "16", "layer"])
@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_masks_of_any_common_kind_are_read(tmp_path, hole, kind, suffix):
    painted(hole, kind).save(tmp_path / f"a.{suffix}")
    assert np.array_equal(read_mask(tmp_path / f"a.{suffix}") == 0, hole)
    if kind != "layer":
        assert np.array_equal(read_mask(tmp_path / f"a.{suffix}", "black") == 0, ~hole)


def test_every_way_of_marking_finds_the_same_hole(tmp_path, photograph, hole):
    painted(hole, "L").save(tmp_path / "mask.png")
    copy = photograph.pixels.copy()
    copy[hole] = 255, 0, 255
    Image.fromarray(copy).save(tmp_path / "painted.png")
    alpha = np.where(hole, 100, 255).astype(np.uint8)
    Image.fromarray(np.dstack([photograph.pixels, alpha])).save(tmp_path / "erased.png")
    ways = [
        (photograph, Marks(file=tmp_path / "mask.png")),
        (photograph, Marks(file=tmp_path / "painted.png", colour=(255, 0, 255))),
        (Photograph(copy), Marks(colour=(255, 0, 255))),
        (photograph, Marks(file=tmp_path / "erased.png", alpha=True)),
        (Photograph(photograph.pixels, alpha), Marks(alpha=True)),
        (photograph, Marks(boxes=[(20, 10, 30, 15)])),
        (photograph, Marks(boxes=[(20, 10, 10, 15), (30, 10, 20, 15)])),
        (photograph, Marks(polygons=[[(20, 10), (49, 10), (49, 24), (20, 24)]])),
        (photograph, Marks(file=tmp_path / "mask.png", boxes=[(25, 12, 2, 2)])),
    ]
    for picture, marks in ways:
        found, notes = find_hole(picture, marks)
        assert np.array_equal(found, hole) and notes == [], marks
        assert not marks.is_empty


@given(st.integers(1, 6), st.integers(0, 2**32 - 1))
def test_growing_takes_all_within_so_many_pixels(by, seed):
    hole = np.random.default_rng(seed).random([17, 23]) < 0.02
    rows, columns = np.nonzero(hole)
    y, x = np.mgrid[:17, :23]
    near = ((y[..., None] - rows) ** 2 + (x[..., None] - columns) ** 2 <= by**2).any(axis=-1)
    assert np.array_equal(grow_hole(hole, by), near)


@pytest.mark.parametrize(("name", "least"), [("a.png", 0.25), ("a.jpg", 0.5)])
@pytest.mark.parametrize("width", [3, 10])
def test_a_soft_brush_leaves_no_edge_behind(tmp_path, name, least, width):
    photo = sample_photo("chelsea")[:200, :200]
    drawn = Image.new("L", (800, 800))
    ImageDraw.Draw(drawn).line([(90, 130), (700, 200), (300, 660)], fill=255, width=4 * width)
    share = np.asarray(drawn.resize((200, 200), Image.Resampling.BOX))[..., None] / 255
    painted = np.rint(photo * (1 - share) + np.array([255, 0, 255]) * share).astype(np.uint8)
    Image.fromarray(painted).save(tmp_path / name, quality=90)
    found, notes = find_hole(Photograph(photo), Marks(file=tmp_path / name, colour=(255, 0, 255)))
    marked = share[..., 0] > least
    assert found[marked].mean() > 0.98 and not found[~grow_hole(marked, 5)].any()
    assert "pixels of nearly that colour touch the hole" in notes[0]


@given(st.integers(0, 2**32 - 1), st.sampled_from([(255, 0, 255), (0, 255, 0), (10, 20, 240)]))
def test_a_hard_brush_is_the_hole_to_the_pixel(seed, colour):
    rng = np.random.default_rng(seed)
    pixels, hole = sample_photo("coffee")[:50, :70].copy(), rng.random([50, 70]) < rng.uniform(0.01, 0.6)
    pixels[hole] = colour
    assert np.array_equal(colour_hole(pixels, colour), hole)


@given(st.integers(0, 2**32 - 1), st.sampled_from([0.05, 0.25, 0.4, 0.65, 0.95]))
def test_a_mask_brought_down_keeps_thin_lines_whole(seed, scale):
    rng = np.random.default_rng(seed)
    size = max(round(60 * scale), 1), max(round(80 * scale), 1)
    mask = np.zeros([60, 80], bool)
    mask[rng.integers(60), :] = mask[:, rng.integers(80)] = True
    photograph = Photograph(np.zeros([*size, 3], np.uint8))
    fitted, _ = fit_hole(mask, photograph, "m.png")
    assert fitted.all(axis=1).any() and fitted.all(axis=0).any() and fitted.sum() <= 2 * sum(size)
