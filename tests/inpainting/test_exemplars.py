"""Holes painted from known patches: texture only where it is known, nothing else changes, always the same bytes."""

import cv2
import numpy as np
import pytest

import inpainting.exemplars as exemplars
from inpainting import inpainter
from inpainting.exemplars import add_exemplars, find_offsets, without_thin

HEIGHT, WIDTH = 96, 128


@pytest.fixture
def hole():
    hole = np.zeros([HEIGHT, WIDTH], bool)
    hole[30:66, 16:48] = hole[30:66, 80:112] = True
    return hole


@pytest.fixture
def two_textures(hole):
    """Noise on dark on the left, a plain bright ground on the right, their holes filled with the mean colours."""
    smooth = np.full([HEIGHT, WIDTH, 3], 60, np.uint8)
    smooth[:, WIDTH // 2 :] = 180
    noise = np.random.default_rng(0).normal(0, 20, smooth.shape)
    noise[:, WIDTH // 2 :] = 0
    truth = np.clip(smooth + noise, 0, 255).astype(np.uint8)
    return np.where(hole[..., None], smooth, truth), truth


def test_texture_comes_where_the_picture_has_it_and_only_there(two_textures, hole):
    filled, truth = two_textures
    result = add_exemplars(filled, hole).astype(float)
    left, right = (np.s_[36:60, 22:42], np.s_[36:60, 86:106])
    assert 0.7 * truth[left].std() < result[left].std() < 1.2 * truth[left].std()
    assert abs(result[left].mean() - 60) < 6
    assert (result[right] == 180).all()


def test_a_pattern_is_continued():
    rows, columns = np.mgrid[:120, :160]
    truth = np.where((rows // 6 + columns // 6) % 2, 200, 40).astype(np.uint8)[..., None].repeat(3, axis=2)
    hole = np.zeros(truth.shape[:2], bool)
    hole[45:75, 60:100] = True
    filled = np.where(hole[..., None], 120, truth).astype(np.uint8)
    result = add_exemplars(filled, hole)
    assert np.mean(np.abs(result.astype(int) - truth)[hole] > 40) < 0.05


def test_a_flat_colour_stays_that_colour_although_the_network_misses_it():
    filled = np.random.default_rng(3).integers(0, 256, [80, 140, 3], dtype=np.uint8)
    filled[:, :100] = (250, 10, 10)
    hole = np.zeros([80, 140], bool)
    hole[20:50, 30:60] = True
    filled[hole] = (240, 18, 16)
    result = add_exemplars(filled, hole)
    np.testing.assert_array_equal(result[hole], [(250, 10, 10)] * 900)


SHAPES = ["most", "border", "line", "all but a corner", "specks"]


def hole_of(shape, height, width):
    hole = np.zeros([height, width], bool)
    if shape == "most":
        hole[1:-1, 1:-1] = True
    elif shape == "border":
        hole[:, : width // 2] = hole[: height // 3] = True
    elif shape == "line":
        hole[:] = True
        hole[height // 2] = False
    elif shape == "all but a corner":
        hole[:] = True
        hole[0, 0] = False
    else:
        hole = np.random.default_rng(5).random(hole.shape) < 0.2
    return hole


@pytest.mark.parametrize("size", [(1, 1), (1, 40), (8, 8), (7, 90), (33, 34), (81, 64), (130, 47)])
@pytest.mark.parametrize("shape", SHAPES)
def test_any_hole_is_painted_and_known_pixels_come_back_bit_for_bit(size, shape):
    filled = np.random.default_rng(1).integers(0, 256, [*size, 3], dtype=np.uint8)
    hole, before = hole_of(shape, *size), filled.copy()
    result = add_exemplars(filled, hole)
    np.testing.assert_array_equal(result[~hole], before[~hole])
    np.testing.assert_array_equal(filled, before)


def test_the_same_bytes_at_every_run_and_thread_count(two_textures, hole):
    filled, _ = two_textures
    results, threads = [], cv2.getNumThreads()
    try:
        for count in (1, 2, 2):
            cv2.setNumThreads(count)
            results.append(add_exemplars(filled, hole).tobytes())
    finally:
        cv2.setNumThreads(threads)
    assert len(set(results)) == 1


@pytest.mark.parametrize("most", [700, 300])
def test_large_holes_are_searched_at_a_smaller_size(two_textures, hole, most, monkeypatch):
    filled, truth = two_textures
    monkeypatch.setattr(exemplars, "MOST_PIXELS", most)
    result = add_exemplars(filled, hole)
    np.testing.assert_array_equal(result[~hole], filled[~hole])
    left = np.s_[36:60, 22:42]
    assert 0.5 * truth[left].std() < result[left].astype(float).std() < 1.3 * truth[left].std()


def test_sources_are_known(two_textures, hole):
    filled, _ = two_textures
    unknown = hole.copy()
    unknown[:20, :60] = True
    offsets = find_offsets(filled.astype(np.float32), hole, unknown)
    rows, columns = np.nonzero(hole)
    sources = np.stack([rows, columns], axis=1) + offsets[rows, columns]
    assert (sources >= 0).all() and (sources < hole.shape).all()
    assert not unknown[sources[:, 0], sources[:, 1]].any()


def test_thin_strokes_stay_as_they_were_filled():
    filled = np.random.default_rng(2).integers(0, 256, [90, 120, 3], dtype=np.uint8)
    hole = np.zeros([90, 120], bool)
    hole[10:26, 5:115] = hole[30:33, :] = True
    np.testing.assert_array_equal(add_exemplars(filled, hole), filled)
    hole[50:70, 20:60] = hole[58:62, 60:120] = True
    wide = without_thin(hole, exemplars.THIN)
    assert wide[50:70, 20:60].all() and not wide[:50].any() and not wide[:, 75:].any()


@pytest.mark.parametrize("height, stays", [(24, True), (80, False)])
def test_what_the_network_drew_stays_in_strokes_but_not_in_deep_holes(height, stays):
    rng = np.random.default_rng(4)
    filled = rng.normal(120, 12, [160, 200, 3]).clip(0, 255).astype(np.uint8)
    hole = np.zeros(filled.shape[:2], bool)
    hole[40 : 40 + height, 20:180] = True
    ball = np.s_[44:60, 92:108]
    filled[ball] = 230  # nothing like it is known
    result = add_exemplars(filled, hole)
    assert (result[48:56, 96:104] == 230).all() == stays
    beside = np.s_[44:60, 30:70]  # noise on both sides agrees: copied
    assert (result[beside] != filled[beside]).mean() > 0.5


def test_without_numba_a_note_is_printed_once(monkeypatch, capsys):
    monkeypatch.setattr(inpainter.importlib.util, "find_spec", lambda name: None)
    inpainter.can_add_exemplars.cache_clear()
    assert not inpainter.can_add_exemplars() and not inpainter.can_add_exemplars()
    assert capsys.readouterr().err.count("numba is not installed") == 1
    inpainter.can_add_exemplars.cache_clear()
