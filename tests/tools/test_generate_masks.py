"""The mask tool: writes what was asked for, the same each time, and never into a folder in use."""

import numpy as np
import pytest

from datasets.mask_statistics import ROWS, row_of_mask
from datasets.masks import BUCKET_NAMES, border_kind, bucket_of, hole_ratio, read_mask
from tools.generate_masks import main
from utils.errors import InputError


def run(folder, *more):
    main(["--output", str(folder), "--size", "48", *more])
    return sorted(folder.iterdir())


def test_all_buckets_in_turn(tmp_path):
    paths = run(tmp_path / "masks", "--count", "12")
    assert [path.name for path in paths][::11] == ["00000.png", "00011.png"]
    assert [bucket_of(hole_ratio(read_mask(path))) for path in paths] == list(BUCKET_NAMES) * 2


@pytest.mark.parametrize("border", ["N", "B"])
@pytest.mark.parametrize("hole", ["white", "black"])
def test_bucket_border_and_polarity_are_as_asked(tmp_path, border, hole):
    paths = run(tmp_path / "masks", "--count", "4", "--bucket", "0.3-0.4", "--border", border, "--hole", hole)
    masks = [read_mask(path, hole) for path in paths]
    assert {mask.shape for mask in masks} == {(48, 48)}
    assert {bucket_of(hole_ratio(mask)) for mask in masks} == {"0.3-0.4"}
    assert {border_kind(mask) for mask in masks} == {border}


def test_a_seed_gives_the_same_masks_whatever_the_count(tmp_path):
    few, many = run(tmp_path / "few", "--count", "3"), run(tmp_path / "many", "--count", "5")
    assert [path.read_bytes() for path in few] == [path.read_bytes() for path in many[:3]]
    other = run(tmp_path / "other", "--count", "3", "--seed", "1")
    assert not np.array_equal(read_mask(other[0]), read_mask(few[0]))


@pytest.mark.parametrize(
    ("options", "rows"),
    [("", ROWS), ("--border B", ROWS[1::2]), ("--bucket 0.2-0.3", ROWS[4:6])],
)
def test_so_many_of_each_kind_in_the_order_of_the_published_set(tmp_path, options, rows):
    paths = run(tmp_path / "masks", "--per_bucket", "2", *options.split())
    found = [row_of_mask(read_mask(path)) for path in paths]
    assert found == [row for row in rows for _ in range(2)]


def test_more_of_a_kind_begin_with_the_same_ones(tmp_path):
    few, many = (run(tmp_path / n, "--per_bucket", n, "--bucket", "0.1-0.2") for n in "23")
    assert [p.read_bytes() for p in few] == [p.read_bytes() for p in (*many[:2], *many[3:5])]


@pytest.mark.parametrize("shape", ["box", "silhouette", "wide"])
def test_shapes_without_buckets(tmp_path, shape):
    assert len(run(tmp_path / "masks", "--count", "3", "--shape", shape)) == 3
    for more in (["--count", "1", "--border", "N"], ["--per_bucket", "1"]):
        with pytest.raises(InputError, match=f"--shape {shape}: expected no --bucket"):
            run(tmp_path / "others", "--shape", shape, *more)
