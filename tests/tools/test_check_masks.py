"""What check_masks says of sets like the published one, made small here, and of others."""

import hashlib

import numpy as np
import pytest

from datasets.mask_generator import generate_mask
from datasets.masks import BUCKETS, write_mask
from tools import check_masks
from utils.errors import InputError

SIDE = 32


def drawn(number):
    row = number // 1000
    return generate_mask(np.random.default_rng(number), SIDE, SIDE, BUCKETS[row // 2], border=row % 2 == 1)


@pytest.fixture
def masks(tmp_path, monkeypatch):
    """The first two of each thousand, in place of the published ones."""
    for number in (1000 * row + i for row in range(12) for i in range(2)):
        write_mask(tmp_path / f"masks/{number:05d}.png", drawn(number))
    known = [hashlib.sha256(np.packbits(drawn(1000 * row) == 0).tobytes()).hexdigest()[:16] for row in range(12)]
    monkeypatch.setattr(check_masks, "SIDE", SIDE)
    monkeypatch.setattr(check_masks, "DIGESTS", known)
    return tmp_path / "masks"


def run(folder, *more, status=0):
    try:
        check_masks.main([str(folder), *more])
    except SystemExit as ended:
        assert ended.code == status == 1
    else:
        assert status == 0


def test_a_part_is_told(masks, capsys):
    run(masks)
    told = capsys.readouterr().out
    assert "a part of the published set, 24 of 12000 masks" in told
    assert "24 masks; with white as hole" in told and told.count("| 2 |") == 12


def other_polarity(folder):
    for path in folder.glob("*.png"):
        write_mask(path, drawn(int(path.stem)), "black")


def other_pixels(folder):
    write_mask(folder / "00000.png", drawn(0)[::-1])


def other_border(folder):
    write_mask(folder / "00001.png", drawn(1001))


def damaged(folder):
    (folder / "02001.png").write_bytes((folder / "02001.png").read_bytes()[:40])


def numbered_twice(folder):
    write_mask(folder / "again/00001.png", drawn(1))


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (other_polarity, "- 24 have the other --hole: 00000.png"),
        (other_pixels, "- 1 have other pixels than the published: 00000.png"),
        (other_border, "- 1 have another hole area or border than their number says: 00001.png"),
        (damaged, "- 1 cannot be read: 02001.png"),
        (numbered_twice, "- 1 have no number from 00000 to 11999, or another one's: 00001.png"),
    ],
)
def test_what_differs_is_told_and_the_status_says_so(masks, capsys, change, says):
    change(masks)
    run(masks, status=1)
    told = capsys.readouterr().out
    assert says in told and "numbered like a part of the published set, 2" in told


def test_another_set(tmp_path, capsys):
    for i in range(3):
        write_mask(tmp_path / f"mask_{i}.png", drawn(5000 + i))
    run(tmp_path)
    assert "another set than the published one" in capsys.readouterr().out
    run(tmp_path, "--hole", "black")
    assert "change --hole" in capsys.readouterr().out


def test_nothing_to_read_is_refused(tmp_path):
    (tmp_path / "00000.png").write_bytes(b"no mask")
    for place in (tmp_path, tmp_path / "nothing"):
        with pytest.raises(InputError, match="DIR: "):
            check_masks.main([str(place)])
