"""Pictures that another program filled."""

import numpy as np
import pytest

from datasets.images import write_picture
from metrics.finished import FinishedPictures
from metrics.manifest import Pair
from utils.errors import InputError

PICTURE = np.zeros([12, 14, 3], np.uint8)
PAIRS = [Pair("a/1.png", "m.png"), Pair("a/1.png", "n.png"), Pair("2.jpg", "m.png")]


@pytest.fixture
def results(tmp_path):
    for i, name in enumerate(("a/1_m.jpeg", "a/1_n.png", "2.png", "other.png")):
        write_picture(tmp_path / name, PICTURE + np.uint8(50 * i))
    return tmp_path


def test_each_pair_gets_the_picture_of_its_name(results):
    finished = FinishedPictures(results, PAIRS)
    assert [round(float(finished.of(pair, PICTURE).mean())) for pair in PAIRS] == [0, 50, 100]


@pytest.mark.parametrize(
    ("more", "pairs", "message"),
    [
        ("x.png", [*PAIRS, Pair("2.jpg", "n.png")], "none for 2 of 4: 2_m, 2_n; add them"),  # needs both names
        ("2.bmp", PAIRS, r"got .*2\.(bmp|png) and .*2\.(bmp|png); move one away"),
        ("x.png", [Pair("a/1.png", "m.png"), Pair("a/1.png", "deep/m.png")], "two pairs of the name a/1_m"),
    ],
)
def test_what_is_ambiguous_is_refused(results, more, pairs, message):
    write_picture(results / more, PICTURE)
    with pytest.raises(InputError, match=message):
        FinishedPictures(results, pairs)


def test_another_size_is_refused(results):
    with pytest.raises(InputError, match=r"expected 2\.png to have 20x12 pixels as the picture, got 14x12"):
        FinishedPictures(results, PAIRS).of(PAIRS[2], np.zeros([12, 20, 3], np.uint8))
