"""Masks of what moves: sorted rightly, the same each time, nothing of the user's in danger."""

import numpy as np
import pytest

from datasets.images import write_picture
from datasets.masks import border_kind, bucket_of, hole_ratio, read_mask
from datasets.occlusion import occlusion_mask
from tests.datasets.moving_scene import MOTIONS, moving_scene
from tools.masks_from_video import main
from utils.errors import InputError


@pytest.fixture
def frames(tmp_path):
    """Two frames of a moving scene, and a third that is the second again."""
    first, second, _ = moving_scene(0, *MOTIONS[0])
    for i, frame in enumerate((first, second, second)):
        write_picture(tmp_path / f"frames/{i}.png", frame)
    return tmp_path / "frames"


def run(source, output, *more):
    main([str(source), "--output", str(output), "--size", "128", *map(str, more)])
    return {path.relative_to(output).as_posix(): path.read_bytes() for path in output.rglob("*") if path.is_file()}


def test_masks_lie_where_bucket_and_border_say(frames, tmp_path, capsys):
    found = run(frames, tmp_path / "out", "--variations", 24)
    assert "| 0.1-0.2 |" in capsys.readouterr().out
    assert 10 < len(found) <= 24
    for name in found:
        mask = read_mask(tmp_path / "out" / name)
        assert name.startswith(f"{bucket_of(hole_ratio(mask))}/{border_kind(mask)}/000000_")
        assert mask.shape == (128, 128)
    assert {name.split("/")[1] for name in found} == {"N", "B"}


def test_same_seed_same_bytes_and_each_pairs_masks_are_its_own(frames, tmp_path):
    first, again = (run(frames, tmp_path / name) for name in ("one", "two"))
    assert first == again != run(frames, tmp_path / "three", "--seed", 1)
    pair = run(frames, tmp_path / "pair", "--every", 2)
    assert pair == first  # between the second frame and the third nothing moves


def test_raw_masks_are_those_of_the_flow(frames, tmp_path):
    main([str(frames), "--output", str(tmp_path / "raw"), "--size", "256", "--variations", "0", "--hole", "black"])
    [path] = (tmp_path / "raw").rglob("*.png")
    first, second, _ = moving_scene(0, *MOTIONS[0])
    assert np.array_equal(read_mask(path, "black"), occlusion_mask(first, second))


@pytest.mark.parametrize("count", [1, 3])
def test_where_nothing_moves_it_is_told_and_nothing_left(tmp_path, count):
    for i in range(count):
        write_picture(tmp_path / f"still/{i}.png", np.full([64, 64, 3], 90, np.uint8))
    with pytest.raises(InputError, match="still: expected frames between which something moves"):
        run(tmp_path / "still", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_nothing_of_the_users_is_overwritten(frames, tmp_path):
    before = sorted((path, path.stat().st_mtime_ns) for path in tmp_path.rglob("*"))
    with pytest.raises(InputError, match="--output"):
        main([str(frames), "--output", str(frames)])
    assert sorted((path, path.stat().st_mtime_ns) for path in tmp_path.rglob("*")) == before
