"""EXIF blocks of pictures whose pixels were turned upright and changed.

Two things in a block would then be wrong: the orientation, which viewers would apply again, and the thumbnail, which
shows what was taken out of the picture. They are changed in place and every other byte stays, since makers' notes point
to places in the block that only their makers know. Layout: a TIFF header and chained directories of 12-byte entries
(CIPA DC-008, Exif 2.32, section 4.5 and 4.6).
"""

import struct
from collections.abc import Iterator
from typing import NamedTuple

from PIL import Image

PREFIX = b"Exif\0\0"
ORIENTATION = 0x0112
# Tags of a thumbnail's own directory: where its bytes lie and how many they are, as JPEG or uncompressed.
THUMBNAIL_PARTS = ((0x0201, 0x0202), (0x0111, 0x0117))
_SIZES = {3: "H", 4: "I"}  # short and long
# What says something of the picture, not of how a file stores it: description, make, model, resolution and its unit,
# software, date, artist, host, copyright; the directories of the camera's settings and of the place.
DESCRIPTIVE = (0x010E, 0x010F, 0x0110, 0x011A, 0x011B, 0x0128, 0x0131, 0x0132, 0x013B, 0x013C, 0x8298, 0x8769, 0x8825)


class _Entry(NamedTuple):
    tag: int
    kind: int
    count: int
    place: int  # of the entry's value, or of the offset to it


def upright(block: bytes) -> bytes | None:
    """The block with its orientation set to 1 and its thumbnail blanked and unlinked; all else byte for byte.

    Args:
        block: with or without the leading ``PREFIX``; the result has it.
    Returns:
        None for a block that cannot be understood.
    """
    content = bytearray(block.removeprefix(PREFIX))
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(bytes(content[:4]))
    if order is None:
        return None
    try:
        _make_upright(content, order)
    except struct.error:  # something lies beyond the end
        return None
    return PREFIX + bytes(content)


def _make_upright(content: bytearray, order: str) -> None:
    [first] = struct.unpack_from(order + "I", content, 4)
    entries, link = _directory(content, order, first)
    [second] = struct.unpack_from(order + "I", content, link)
    if second:
        _blank_thumbnail(content, order, second)
        struct.pack_into(order + "I", content, link, 0)
    for entry in entries:
        if entry.tag == ORIENTATION and entry.kind in _SIZES:
            struct.pack_into(order + _SIZES[entry.kind], content, entry.place, 1)


def _directory(content: bytearray, order: str, start: int) -> tuple[list[_Entry], int]:
    """A directory's entries, and where the link to the next one lies."""
    [count] = struct.unpack_from(order + "H", content, start)
    places = range(start + 2, start + 2 + 12 * count, 12)
    entries = [_Entry(*struct.unpack_from(order + "HHI", content, place), place + 8) for place in places]
    return entries, start + 2 + 12 * count


def _blank_thumbnail(content: bytearray, order: str, start: int) -> None:
    entries = {entry.tag: entry for entry in _directory(content, order, start)[0]}
    for offsets, lengths in THUMBNAIL_PARTS:
        if offsets in entries and lengths in entries:
            for offset, length in zip(
                *(_numbers(content, order, entries[t]) for t in (offsets, lengths)), strict=False
            ):
                end = min(offset + length, len(content))
                content[offset:end] = bytes(max(end - offset, 0))


def _numbers(content: bytearray, order: str, entry: _Entry) -> Iterator[int]:
    """The shorts or longs of an entry, which lie in it where they have room."""
    code = _SIZES.get(entry.kind)
    if code is None:
        return iter(())
    size = struct.calcsize(code) * entry.count
    place = entry.place if size <= 4 else struct.unpack_from(order + "I", content, entry.place)[0]
    return iter(struct.unpack_from(f"{order}{min(entry.count, len(content))}{code}", content, place))


def described(exif: Image.Exif) -> bytes | None:
    """A new block of what ``exif`` says of the picture (``DESCRIPTIVE``), None where that is nothing.

    Of a TIFF file the tags of storage stand among the others, and would be wrong in any other file.
    """
    kept = Image.Exif()
    for tag in DESCRIPTIVE:
        if tag in exif:
            kept[tag] = dict(exif.get_ifd(tag)) if tag in (0x8769, 0x8825) else exif[tag]
    return kept.tobytes() if len(kept) else None
