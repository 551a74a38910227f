"""Sizes are refused by a file's head, before anything is decoded."""

import struct
import zlib

import numpy as np
import pytest

from datasets.images import write_picture
from web.limits import Limits, picture_size
from web.texts import Told


def png_of(width, height):
    """A PNG that claims a size and holds nothing."""
    head = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + head + struct.pack(">I", zlib.crc32(head)) + b"\0\0\0\4IDAT"


@pytest.fixture
def file(tmp_path):
    return tmp_path / "file.png"


def test_what_is_within_passes(file):
    write_picture(file, np.zeros([20, 50, 3], np.uint8))
    Limits(megapixels=0.001, megabytes=1).check(file)
    assert picture_size(file) == (50, 20)


@pytest.mark.parametrize("size", [(51, 20), (60000, 60000), (2**31 - 1, 2**31 - 1)])
def test_a_pixel_more_is_refused_by_the_head_alone(file, size):
    file.write_bytes(png_of(*size))
    with pytest.raises(Told, match="megapixels at most"):
        Limits(megapixels=0.001, megabytes=1).check(file)


def test_a_byte_more_is_refused(file):
    file.write_bytes(bytes(2**20 + 1))
    with pytest.raises(Told, match="1 MB at most"):
        Limits(megabytes=1).check(file)
    file.write_bytes(bytes(2**20))
    Limits(megabytes=1).check(file)  # no picture: told by whoever reads it
    assert picture_size(file) == (0, 0)
