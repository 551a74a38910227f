"""The pictures and holes a run measures itself on."""

import logging

import numpy as np
import pytest

from datasets.images import write_picture
from datasets.inpainting import PictureFolder, SamplePhotos
from engine import sanity_checks
from engine.validation import ValidationSet
from inpainting.classical import mean
from utils.errors import InputError

SIZE = 32


@pytest.fixture
def folder(tmp_path):
    """Twelve pictures, sorted by class: four are dark, four grey, four light."""
    rng = np.random.default_rng(0)
    for i in range(12):
        noise = rng.integers(0, 20, [40, 48, 3])
        write_picture(tmp_path / f"{i:02}.png", (100 * (i // 4) + noise).astype(np.uint8))
    return tmp_path


def numbers(validation):
    return [int(name[-6:-4]) for name in validation.names]


def test_the_pictures_are_spread_over_a_sorted_folder(folder):
    validation = ValidationSet(PictureFolder(folder), SIZE, 6)
    assert numbers(validation) == [0, 2, 4, 6, 8, 10]
    assert [round(gt.mean()) // 100 for gt in validation.gts] == [0, 0, 1, 1, 2, 2]


def test_in_place_of_a_damaged_picture_comes_the_next_one(folder, caplog):
    for i in (4, 5, 11):
        (folder / f"{i:02}.png").write_bytes(b"no picture")
    with caplog.at_level(logging.WARNING, "paddle_pconv"):
        assert numbers(ValidationSet(PictureFolder(folder), SIZE, 6)) == [0, 2, 6, 7, 8, 10]
        assert len(caplog.records) == 2  # each told once
        assert sorted(set(numbers(ValidationSet(PictureFolder(folder), SIZE, 12)))) == [0, 1, 2, 3, 6, 7, 8, 9, 10]
    for path in folder.iterdir():
        path.write_bytes(b"no picture")
    with pytest.raises(InputError, match="none of the 12"):
        ValidationSet(PictureFolder(folder), SIZE, 6)


def test_holes_of_super_resolution_come_in_turn_and_have_a_row(folder):
    validation = ValidationSet(PictureFolder(folder), SIZE, 4, "super_resolution", (2, 4))
    assert [1 - mask.mean() for mask in validation.masks] == [3 / 4, 15 / 16, 3 / 4, 15 / 16]
    rows = validation.measure(mean)
    found = [(row["bucket"], row["border"], row["count"]) for row in rows]
    assert found == [("0.6-1", "all", 4), ("0.6-1", "B", 4), ("all", "all", 4)]


def test_sets_of_other_pictures_or_holes_are_told_apart(folder):
    def fingerprint(pictures, count=6, shape="irregular"):
        return ValidationSet(pictures, SIZE, count, shape).fingerprint

    photos = SamplePhotos("val")
    assert fingerprint(photos) == fingerprint(photos)
    others = [(photos, 5), (photos, 6, "box"), (PictureFolder(folder), 6)]
    assert len({fingerprint(photos), *(fingerprint(*other) for other in others)}) == 4


def test_pictures_of_one_colour_do_not_keep_the_warning_on(tmp_path):
    """Mean fill paints them perfectly, at an infinite PSNR that no network is above."""
    for i in range(2):
        write_picture(tmp_path / f"{i}.png", np.full([40, 40, 3], 50 * i, np.uint8))
    assert ValidationSet(PictureFolder(tmp_path), SIZE, 6).mean_fill_psnr is None
    assert sanity_checks.worse_than_mean_fill(5000, 30.0, None) is None
