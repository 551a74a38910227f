"""The training stream: a pure function of seed and position, resumable, unharmed by damaged pictures."""

import logging

import numpy as np
import pytest

from datasets.images import write_picture
from datasets.inpainting import (
    GeneratedMasks,
    InpaintingDataset,
    MaskFolder,
    PictureFolder,
    SamplePhotos,
    StreamBatchSampler,
)
from datasets.masks import BUCKET_NAMES, border_kind, bucket_of, hole_ratio, write_mask
from utils.errors import InputError

SIZE = 32


@pytest.fixture
def folder(tmp_path):
    """Five pictures of one grey level each, 10, 20 ... 50, so that a sample tells its picture."""
    for level in range(10, 60, 10):
        write_picture(tmp_path / f"{level}.png", np.full([40, 50, 3], level, np.uint8))
    return tmp_path


def level_of(sample):
    return round(float(sample[0].mean()))


def make_dataset(folder, seed=0, **options):
    return InpaintingDataset(PictureFolder(folder), GeneratedMasks(), SIZE, seed, **options)


def same(first, second):
    return all(np.array_equal(a, b) for a, b in zip(first, second, strict=True))


def test_a_sample_is_a_function_of_seed_and_position():
    masks = GeneratedMasks()
    stream = InpaintingDataset(SamplePhotos(), masks, SIZE, seed=1)
    samples = [stream[position] for position in range(12)]
    fresh = InpaintingDataset(SamplePhotos(), masks, SIZE, seed=1)
    assert all(same(fresh[position], samples[position]) for position in (11, 0, 7))
    assert not any(same(samples[i], samples[j]) for i in range(12) for j in range(i))
    assert not same(InpaintingDataset(SamplePhotos(), masks, SIZE, seed=2)[0], samples[0])


def test_each_epoch_shows_each_picture_once_in_another_order(folder):
    dataset = make_dataset(folder)
    epochs = [[level_of(dataset[5 * epoch + step]) for step in range(5)] for epoch in range(4)]
    assert all(sorted(epoch) == [10, 20, 30, 40, 50] for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) > 1


def test_generated_masks_come_from_all_buckets_on_both_sides_of_the_border():
    drawn = [GeneratedMasks().draw(np.random.default_rng(seed), SIZE) for seed in range(60)]
    assert {bucket_of(hole_ratio(mask)) for mask in drawn} == set(BUCKET_NAMES)
    assert {border_kind(mask) for mask in drawn} == {"N", "B"}


@pytest.mark.parametrize("hole", ["white", "black"])
def test_mask_folder_draws_usable_holes_in_either_polarity(tmp_path, hole):
    mask = np.ones([128, 128], np.float32)
    mask[60:66, 20:100] = 0
    write_mask(tmp_path / "a.png", mask, hole)
    masks = MaskFolder(tmp_path, hole)
    drawn = [masks.draw(np.random.default_rng(seed), SIZE) for seed in range(30)]
    assert all(bucket_of(hole_ratio(mask)) for mask in drawn)
    assert len({mask.tobytes() for mask in drawn}) == 30


def test_a_damaged_mask_is_reported_once_and_the_next_one_used(tmp_path, caplog):
    for i, side in enumerate((20, 30, 40)):
        mask = np.ones([64, 64], np.float32)
        mask[:side, :side] = 0
        write_mask(tmp_path / f"{i}.png", mask)
    (tmp_path / "1.png").write_bytes((tmp_path / "1.png").read_bytes()[:50])
    masks = MaskFolder(tmp_path)
    with caplog.at_level(logging.WARNING, "paddle_pconv"):
        assert all(masks.draw(np.random.default_rng(seed), 64).min() == 0 for seed in range(12))
    assert len(caplog.records) == 1 and "1.png" in caplog.text
    for path in tmp_path.iterdir():
        path.write_bytes(b"no picture")
    with pytest.raises(InputError, match="none of the 3 can be read"):
        masks.draw(np.random.default_rng(0), 64)


def test_processes_share_the_stream_without_gap_or_overlap_and_a_resumed_one_continues_it():
    alone = [position for batch in StreamBatchSampler(6, 5) for position in batch]
    shared = [list(StreamBatchSampler(2, 5, rank=rank, world=3)) for rank in range(3)]
    together = [position for batches in zip(*shared, strict=True) for batch in batches for position in batch]
    assert together == alone == list(range(30))
    assert list(StreamBatchSampler(6, 5))[3:] == list(StreamBatchSampler(6, 2, first=18))
