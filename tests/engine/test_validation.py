"""The pictures and holes a run measures itself on."""

import logging

import numpy as np
import pytest

from datasets.images import write_picture
from datasets.inpainting import PictureFolder
from engine.validation import ValidationSet, overall
from inpainting.classical import mean
from metrics.buckets import Sample, bucket_rows
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


def test_in_place_of_a_damaged_picture_comes_another_one(folder, caplog):
    for i in (4, 5, 11):
        (folder / f"{i:02}.png").write_bytes(b"no picture")
    with caplog.at_level(logging.WARNING, "paddle_pconv"):
        assert numbers(ValidationSet(PictureFolder(folder), SIZE, 6)) == [0, 2, 6, 8, 10, 1]
        assert len(caplog.records) == 1
        assert sorted(set(numbers(ValidationSet(PictureFolder(folder), SIZE, 12)))) == [0, 1, 2, 3, 6, 7, 8, 9, 10]
    for path in folder.iterdir():
        path.write_bytes(b"no picture")
    with pytest.raises(InputError, match="none of the 12"):
        ValidationSet(PictureFolder(folder), SIZE, 6)


def test_holes_of_super_resolution_come_in_turn_and_have_a_row(folder):
    validation = ValidationSet(PictureFolder(folder), SIZE, 4, "super_resolution", (2, 4))
    assert [1 - mask.mean() for mask in validation.masks] == [3 / 4, 15 / 16, 3 / 4, 15 / 16]
    rows = validation.measure(mean)
    assert [(row["bucket"], row["border"], row["count"]) for row in rows] == [("0.6-1", "all", 4), ("0.6-1", "B", 4)]
    assert overall(rows)["count"] == 4


def test_means_over_all_buckets_are_those_over_all_pairs():
    rng = np.random.default_rng(1)
    samples = [
        Sample("a", "m", bucket, "NB"[i % 2], 0.1, *rng.random(3).tolist())
        for i, bucket in enumerate(["0.01-0.1"] * 3 + ["0.3-0.4"] * 5)
    ]
    means = overall(bucket_rows(samples))
    assert means["count"] == 8
    for measure in ("l1_percent", "psnr", "ssim"):
        assert means[measure] == pytest.approx(np.mean([getattr(sample, measure) for sample in samples]))
