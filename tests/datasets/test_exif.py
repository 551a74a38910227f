"""EXIF blocks: orientation and thumbnail are changed, nothing else is, and no bytes whatever do harm."""

import io
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from datasets.exif import PREFIX, described, upright

NOTE = b"maker's note with an offset of its own: \x01\x02\x03"


def block(order="<", orientation=6, thumbnail=b"\xff\xd8 a face \xff\xd9", kind=3):
    """A block with two tags and a note that no directory reaches, and with a thumbnail's directory."""
    note_at = 8 + 2 + 2 * 12 + 4
    second = note_at + len(NOTE)
    picture_at = second + 2 + 2 * 12 + 4
    value = struct.pack(order + {3: "H2x", 4: "I"}[kind], orientation)
    head = (b"II*\0" if order == "<" else b"MM\0*") + struct.pack(order + "IH", 8, 2)
    entries = struct.pack(order + "HHI", 0x0112, kind, 1) + value
    entries += struct.pack(order + "HHII", 0x927C, 7, len(NOTE), note_at)
    link = struct.pack(order + "I", second if thumbnail else 0)
    behind = struct.pack(order + "HHHII", 2, 0x0201, 4, 1, picture_at)
    behind += struct.pack(order + "HHIII", 0x0202, 4, 1, len(thumbnail), 0)
    return PREFIX + head + entries + link + NOTE + behind + thumbnail


@pytest.mark.parametrize("order", "<>")
@pytest.mark.parametrize("kind", [3, 4])
def test_orientation_is_reset_and_the_thumbnail_gone_and_nothing_else_is_changed(order, kind):
    before = block(order, kind=kind)
    after = upright(before)
    exif = Image.Exif()
    exif.load(after)
    assert exif[0x0112] == 1 and exif[0x927C] == NOTE
    assert b"a face" in before and b"a face" not in after
    changed = np.flatnonzero(np.frombuffer(before, np.uint8) != np.frombuffer(after, np.uint8))
    allowed = {*range(24, 28), *range(40, 44), *range(len(before) - 12, len(before))}  # value, link, thumbnail
    assert len(before) == len(after) and set(changed) <= allowed


def test_a_block_that_is_upright_and_has_no_thumbnail_stays_as_it_is():
    before = block(orientation=1, thumbnail=b"")
    assert upright(before) == upright(before.removeprefix(PREFIX)) == before


@given(st.binary(max_size=200), st.booleans(), st.data())
def test_damaged_blocks_are_told_or_changed_in_place(rest, is_random, data):
    whole = block()
    content = b"II*\0" + rest if is_random else whole[: data.draw(st.integers(0, len(whole)))]
    result = upright(content)
    assert result is None or len(result.removeprefix(PREFIX)) == len(content.removeprefix(PREFIX))


def test_pictures_in_cameras_notes_are_blanked_in_place():
    note = b"Olympus\0" + b"\xff\xd8\xff\xe0 an old preview \xff\xd9" + b" and settings"
    exif = Image.Exif()
    exif[0x8769] = {0x927C: note}
    before = exif.tobytes()
    after = upright(before)
    assert len(after) == len(before) and b"old preview" not in after and b" and settings" in after


def test_of_a_tiff_all_but_how_it_is_stored_is_taken():
    exif = Image.Exif()
    exif[0x010F], exif[0x0112], exif[0x8769] = "Maker", 1, {0x829A: 0.5}
    exif[269], exif[34735], exif[33550] = "a document", (1, 1, 0, 3), (30.0, 30.0, 0.0)  # GeoTIFF
    stored = io.BytesIO()
    Image.new("RGB", (8, 6)).save(stored, "TIFF", exif=exif.tobytes())
    again = Image.Exif()
    again.load(described(Image.open(stored).getexif()))
    assert set(again) == {269, 0x010F, 0x8769, 33550, 34735} and dict(again.get_ifd(0x8769)) == {0x829A: 0.5}
    assert again[33550] == (30.0, 30.0, 0.0) and again[34735] == (1, 1, 0, 3)
    assert described(Image.Exif()) is None
