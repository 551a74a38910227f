"""Measures of realism: what is equal, blurred and otherwise textured, and what they are made of."""

import cv2
import numpy as np
import paddle
import pytest
import skimage.data

from datasets.images import to_float
from losses.vgg import VGG16Features
from metrics import realism
from metrics.realism import FeatureSums, Realism, sharpness


@pytest.fixture(scope="module")
def measure():
    return Realism()


@pytest.fixture(scope="module")
def pair():
    """A photograph of fur, 150 x 203, and a hole of two parts, one at the border."""
    hole = np.zeros([150, 203], bool)
    hole[30:90, 40:120] = True
    hole[130:, 180:] = True
    return np.ascontiguousarray(skimage.data.chelsea()[120:270, 60:263]), hole


def filled(picture, hole, other):
    return np.where(hole[..., None], other, picture).astype(np.uint8)


def blurred(picture, hole):
    return filled(picture, hole, cv2.GaussianBlur(picture, None, 4))


def gravel(picture, hole):
    """Another texture of the same mean colour in the hole."""
    texture = cv2.resize(skimage.data.gravel(), picture.shape[1::-1]).astype(float)[..., None].repeat(3, axis=2)
    texture += picture[hole].mean(axis=0) - texture[hole].mean(axis=0)
    return filled(picture, hole, texture.clip(0, 255))


def test_equal_pictures_are_at_the_best_value_of_each(measure, pair):
    picture, hole = pair
    found = measure(picture, picture, hole)
    assert (found.style, found.sharpness) == (0, 1)
    assert found.pool3.frechet(0) == 0


def test_blur_and_another_texture_are_told(measure, pair):
    picture, hole = pair
    blur, other = (measure(picture, change(picture, hole), hole) for change in (blurred, gravel))
    assert blur.sharpness < 0.2 and blur.style > 0.3 and blur.pool3.frechet(0) > 0.1
    assert other.sharpness > 0.5 and other.style > 2 * blur.style and other.pool3.frechet(0) > 2 * blur.pool3.frechet(0)


def test_they_are_what_the_formulas_say_of_the_whole_picture(measure, pair):
    """Straightforward, on a picture whose sides are multiples of 8: no crop, no tile."""
    picture, hole = (array[:144, :200] for array in pair)
    fill = blurred(picture, hole)
    with paddle.no_grad():
        taps = VGG16Features()(paddle.to_tensor(np.stack([to_float(fill), to_float(picture)])))
    differences = []
    for tap, cell in zip(taps, (2, 4, 8), strict=True):
        touched = cv2.resize(hole.astype(np.float32), None, fx=1 / cell, fy=1 / cell, interpolation=cv2.INTER_AREA) > 0
        a, b = (one[:, touched].astype(np.float64) for one in tap.numpy())
        differences.append(np.linalg.norm(a @ a.T - b @ b.T) / np.linalg.norm(b @ b.T))
    found = measure(picture, fill, hole)
    assert found.style == pytest.approx(np.mean(differences), rel=1e-4)
    distance = ((a.mean(1) - b.mean(1)) ** 2 + (a.std(1) - b.std(1)) ** 2).sum() / b.var(1).sum()
    assert found.pool3.count == a.shape[1] and found.pool3.frechet(0) == pytest.approx(distance, rel=1e-3)


def test_tiles_change_nothing(measure, pair, monkeypatch):
    picture, hole = pair
    fill = blurred(picture, hole)
    whole = measure(picture, fill, hole)
    monkeypatch.setattr(realism, "TILE", 64)
    tiled = measure(picture, fill, hole)
    assert tiled.style == pytest.approx(whole.style, rel=1e-5) and tiled.sharpness == whole.sharpness
    assert tiled.pool3.count == whole.pool3.count
    assert tiled.pool3.frechet(0) == pytest.approx(whole.pool3.frechet(0), rel=1e-4)


def test_sums_add_up_and_come_back_from_text():
    rng = np.random.default_rng(0)
    fill, truth = rng.normal(1, 2, [4, 600]), rng.normal(0, 1, [4, 600])
    whole = FeatureSums.of(fill, truth)
    parts = FeatureSums.of(fill[:, :100], truth[:, :100]) + FeatureSums.of(fill[:, 100:], truth[:, 100:])
    assert whole.frechet() == pytest.approx(parts.frechet(), rel=1e-9) == pytest.approx(2, rel=0.2)
    assert FeatureSums.from_text(parts.text()).frechet() == parts.frechet()
    assert FeatureSums.of(fill[:, :400], truth[:, :400]).frechet() is None  # too few positions


def test_sharpness_looks_inside_the_hole_alone():
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, [40, 40, 3], dtype=np.uint8)
    hole = np.zeros([40, 40], bool)
    hole[10:30, 10:30] = True
    flat = filled(picture, hole, 128)
    assert sharpness(picture, flat, hole) < 1e-3  # the step at the hole's edge is not counted
    assert sharpness(flat, flat, hole) == 1
    thin = np.zeros([40, 40], bool)
    thin[20:22] = True
    assert sharpness(picture, picture, thin) is None
