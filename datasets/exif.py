"""EXIF blocks of pictures that were turned upright and filled.

Two things in a block are then wrong: the orientation, which viewers would apply again, and previews, which show the old
picture. They are changed in place, and all other bytes stay: cameras' notes contain offsets into the block, which
Pillow's ``Image.Exif`` would break by writing the block anew. Layout: a TIFF header and chained directories of 12-byte
entries (CIPA DC-008, Exif 2.32, section 4.5 and 4.6).
"""

import contextlib
import re
import struct
from collections.abc import Iterator
from typing import NamedTuple

from PIL import Image

PREFIX = b"Exif\0\0"
ORIENTATION = 0x0112
# Tags of the thumbnail's directory: offset and length of its bytes, as JPEG or uncompressed.
THUMBNAIL_PARTS = ((0x0201, 0x0202), (0x0111, 0x0117))
_SIZES = {3: "H", 4: "I"}  # short and long
CAMERA, PLACE = 0x8769, 0x8825  # directories of the camera's settings and of the place
# Tags that say how a TIFF file stores pixels, previews and layers, or that are written elsewhere (profile, XMP, IPTC).
# All other tags describe the picture.
STORAGE = {*range(254, 260), 262, 263, 264, 265, 266, *range(273, 282), 284, 290, 291, 292, 293, 317, *range(320, 326)}
STORAGE |= {330, 332, 333, 334, 336, 338, 339, 340, 341, 342, 343, 344, 345, 346, 347, *range(512, 522)}
STORAGE |= {529, 530, 531, 532, 559, 700, 33723, 34377, 34675, 37724, 50341, ORIENTATION}
_INNER_PICTURE = re.compile(rb"\xff\xd8\xff[\xc0-\xfe].*?\xff\xd9", re.DOTALL)  # a JPEG, as in cameras' notes


class _Entry(NamedTuple):
    tag: int
    kind: int
    count: int
    place: int  # of the entry's value, or of the offset to it


def upright(block: bytes) -> bytes | None:
    """The block with orientation 1 and without its thumbnail and previews; all other bytes unchanged.

    Args:
        block: with or without the leading ``PREFIX``; the result has it.
    Returns:
        None for a damaged block.
    """
    content = bytearray(block.removeprefix(PREFIX))
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(bytes(content[:4]))
    if order is None:
        return None
    try:
        _make_upright(content, order)
    except struct.error:  # something lies beyond the end
        return None
    return PREFIX + _INNER_PICTURE.sub(lambda found: bytes(len(found[0])), bytes(content))


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
    """The entries of a directory, and the offset of the link to the next one."""
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
    """The values of an entry of shorts or longs; they are stored in it if they fit."""
    code = _SIZES.get(entry.kind)
    if code is None:
        return iter(())
    size = struct.calcsize(code) * entry.count
    place = entry.place if size <= 4 else struct.unpack_from(order + "I", content, entry.place)[0]
    return iter(struct.unpack_from(f"{order}{min(entry.count, len(content))}{code}", content, place))


def described(exif: Image.Exif) -> bytes | None:
    """A new block of all tags but ``STORAGE``; None if there are none. Tags that Pillow cannot write are left out."""
    kept = Image.Exif()
    for tag in sorted(set(exif) - STORAGE):
        one = Image.Exif()
        one[tag] = dict(exif.get_ifd(tag)) if tag in (CAMERA, PLACE) else exif[tag]
        with contextlib.suppress(Exception):  # of nearly any type, from tags of odd ones
            one.tobytes()
            kept[tag] = one[tag] if tag not in (CAMERA, PLACE) else dict(exif.get_ifd(tag))
    return kept.tobytes() if len(kept) else None
