"""The pairing rule, generated names and the manifest."""

from collections import Counter

import numpy as np
import pytest

from datasets.masks import border_kind, bucket_of, hole_ratio
from metrics.manifest import Pair, generate, generated_names, pair_up, read_manifest, sample_names
from utils.errors import InputError

PICTURES = [f"p{i}" for i in range(5)]
MASKS = [f"m{i:02}" for i in range(12)]


def write(path, text):
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def roots(tmp_path):
    for name in ("images/sub/a.png", "masks/m.png"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).touch()
    return tmp_path / "images", tmp_path / "masks"


def test_a_thousand_pictures_go_once_through_every_row_of_the_published_masks():
    pictures, masks = [f"{i:04d}.jpg" for i in range(1000)], [f"{i:05d}.png" for i in range(12_000)]
    pairs = pair_up(pictures, masks, seed=0)
    assert [pair.mask for pair in pairs] == masks
    for row in range(12):
        assert sorted(pair.image for pair in pairs[1000 * row : 1000 * (row + 1)]) == pictures


def test_every_picture_once_and_masks_in_turn_when_masks_are_fewer():
    pairs = pair_up(MASKS, PICTURES, seed=0)
    assert sorted(pair.image for pair in pairs) == MASKS
    assert Counter(pair.mask for pair in pairs) == {"p0": 3, "p1": 3, "p2": 2, "p3": 2, "p4": 2}


@pytest.mark.parametrize("count", [1, 12, 13])
def test_generated_names_hold_every_kind_equally_often(count):
    names = generated_names(count, seed=0)
    kinds = Counter(tuple(name.split(":")[2:]) for name in names)
    assert len(names) >= count and len(kinds) == 12 and len(set(kinds.values())) == 1
    assert len(set(names)) == len(names)
    assert names != generated_names(count, seed=1)


def test_a_generated_name_gives_the_same_mask_of_its_kind_at_any_size():
    for name in generated_names(12, seed=5):
        bucket, border = name.split(":")[2:]
        for height, width in ((64, 64), (48, 96)):
            mask = generate(name, height, width)
            assert mask.shape == (height, width)
            assert (bucket_of(hole_ratio(mask)), border_kind(mask)) == (bucket, border)
            assert np.array_equal(mask, generate(name, height, width))


def test_a_manifest_is_read_whatever_its_further_columns(tmp_path, roots):
    text = "hole_ratio,mask,image\n0.1,m.png,sub/a.png\n,generated:1:0.1-0.2:N,sample:coffee\n"
    pairs = read_manifest(write(tmp_path / "m.csv", text), *roots)
    assert pairs == [Pair("sub/a.png", "m.png"), Pair("sample:coffee", "generated:1:0.1-0.2:N")]
    assert "sample:coffee" in sample_names()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("\x00\x01\n", "columns image,mask"),
        ("image,mask\nsub/b.png,m.png\n", "line 2: no picture .*b.png.*--images"),
        ("image,mask\nsub/a.png,m.png\nsub/a.png,n.png\n", "line 3: no mask .*n.png.*--masks"),
        ("image,mask\nsample:nobody,m.png\n", "no sample photo 'sample:nobody'"),
        (f"image,mask\nsub/a.png,generated:{'9' * 5000}:0.1-0.2:N\n", "line 2: .*generated:7"),
        (f"image,mask\nsub/a.png,m.png\n{'a' * 200_000},m.png\n", "line 3: .*field larger"),
    ],
)
def test_a_bad_manifest_is_refused_in_one_line(tmp_path, roots, text, message):
    with pytest.raises(InputError, match=message) as caught:
        read_manifest(write(tmp_path / "m.csv", text), *roots)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 1000


def test_a_manifest_of_files_needs_their_folders(tmp_path, roots):
    path = write(tmp_path / "m.csv", "image,mask\nsub/a.png,m.png\n")
    with pytest.raises(InputError, match="--images"):
        read_manifest(path, None, roots[1])
    with pytest.raises(InputError, match="--masks"):
        read_manifest(path, roots[0], None)
