"""What a picture file says beside pixels, profile and EXIF: XMP, IPTC, comments, text, the meaning of its colours.

What describes the picture and is still true once a hole is filled goes with it, as far as the new format has a place
for it. What shows the old picture (previews), what signs it, and parts that are unknown here are left out and named.
"""

import os
import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from PIL import Image, PngImagePlugin

from utils.files import open_regular

XMP_MARK, PHOTOSHOP_MARK = b"http://ns.adobe.com/xap/1.0/\0", b"Photoshop 3.0\0"
MAX_SEGMENT = 65_533 - 2  # bytes of a JPEG segment's content
MAX_XMP_IN_JPEG = MAX_SEGMENT - len(XMP_MARK)
TIFF_XMP, TIFF_IPTC, TIFF_PHOTOSHOP, TIFF_LAYERS, TIFF_SUBIFDS = 700, 33723, 34377, 37724, 330

# What each format has a place for, by the keys of ``_names``.
HOLDS = {
    "jpeg": {"xmp", "photoshop", "comment"},
    "png": {"xmp", "comment", "text", "colour"},
    "webp": {"xmp"},
    "tiff": {"xmp", "photoshop"},
}

# PNG chunks: carried as they are; and those that the pixels, profile and EXIF take along, or that say how they are
# stored (iDOT: Apple's). Of others nothing is known here.
PNG_TEXT, PNG_COLOUR = {b"tEXt", b"zTXt", b"iTXt"}, {b"gAMA", b"cHRM", b"sRGB", b"cICP"}
PNG_STORAGE = set(b"IHDR PLTE IDAT IEND tRNS iCCP eXIf pHYs iDOT acTL fcTL fdAT sBIT bKGD hIST sPLT".split())
WEBP_KNOWN = {b"VP8 ", b"VP8L", b"VP8X", b"ALPH", b"ICCP", b"EXIF", b"XMP ", b"ANIM", b"ANMF"}

# Photoshop's resources that show the picture, or repeat EXIF and XMP: thumbnails, EXIF (two parts), XMP, profile.
PHOTOSHOP_LEFT_OUT = {0x0409, 0x040C, 0x040F, 0x0422, 0x0423, 0x0424}
IPTC = 0x0404

_BASE64 = re.compile(rb"(?:[A-Za-z0-9+/]{40,}={0,2}(?:\s|&#x?[0-9A-Da-d]{1,2};)*){8,}|[A-Za-z0-9+/]{400,}={0,2}")
_ORIENTATION = re.compile(rb"(tiff:Orientation(?:\s*=\s*[\"']|\s*>\s*))[2-8]")
# What speaks of parts of the old file: a film or more XMP behind the picture.
_OTHER_PARTS = re.compile(rb"\s[\w]+:(?:MotionPhoto|MicroVideo|HasExtendedXMP)\w*\s*=\s*(?:\"[^\"]*\"|'[^']*')")


@dataclass(frozen=True)
class Metadata:
    """Parts that writers take as they are.

    Args:
        xmp: a packet.
        photoshop: Photoshop's image resources, IPTC among them.
        comment: of a JPEG.
        chunks: of a PNG: type and content.
    """

    xmp: bytes | None = None
    photoshop: bytes | None = None
    comment: bytes | None = None
    chunks: tuple[tuple[bytes, bytes], ...] = ()


def read_metadata(path: str | os.PathLike, image: Image.Image) -> tuple[Metadata, list[str]]:
    """The metadata of a decoded picture, and the names of parts that are left out."""
    readers = {"JPEG": _of_jpeg, "MPO": _of_jpeg, "PNG": _of_png, "WEBP": _of_webp, "TIFF": _of_tiff}
    found, left_out = readers.get(image.format, lambda *_: ({}, []))(path, image)
    if xmp := found.get("xmp"):
        found["xmp"], notes = true_xmp(xmp if isinstance(xmp, bytes) else xmp.encode())
        left_out = left_out + notes
    if block := found.get("photoshop"):
        found["photoshop"], notes = true_photoshop(block)
        left_out = left_out + notes
    return Metadata(**found), list(dict.fromkeys(left_out))


def _of_jpeg(_, image: Image.Image) -> tuple[dict, list[str]]:
    found, left_out, photoshop = {}, [], b""
    for name, content in image.applist:
        if name == "COM":
            found["comment"] = content
        elif name == "APP1" and content.startswith(XMP_MARK):
            found["xmp"] = content.removeprefix(XMP_MARK)
        elif name == "APP13" and content.startswith(PHOTOSHOP_MARK):
            photoshop += content.removeprefix(PHOTOSHOP_MARK)
        elif not content.startswith((b"JFIF\0", b"Exif\0", b"ICC_PROFILE\0", b"Adobe")):
            left_out.append("content credentials" if b"jumb" in content[:40] else name)
    return found | ({"photoshop": photoshop} if photoshop else {}), left_out


def _of_png(path: str | os.PathLike, image: Image.Image) -> tuple[dict, list[str]]:
    chunks, left_out = [], []
    for kind, content in png_chunks(path):
        key = content.split(b"\0", 1)[0]
        if kind in PNG_TEXT and key == b"XML:com.adobe.xmp":
            continue
        if kind in PNG_TEXT and re.match(rb"Raw profile type (exif|APP1|xmp|icc|icm)", key):
            left_out.append(key.decode())
        elif kind in PNG_TEXT | PNG_COLOUR:
            chunks.append((kind, content))
        elif kind not in PNG_STORAGE:
            left_out.append({b"caBX": "content credentials"}.get(kind, kind.decode("latin-1")))
    if "aspect" in image.info:
        left_out.append("the shape of its pixels (pHYs)")
    xmp = image.info.get("XML:com.adobe.xmp") or image.info.get("xmp")
    return {"chunks": tuple(chunks), **({"xmp": xmp} if xmp else {})}, left_out


def png_chunks(path: str | os.PathLike) -> Iterator[tuple[bytes, bytes]]:
    """Type and content of the chunks of a PNG file, without the content of those that hold the picture."""
    with open_regular(path, "a picture") as file:
        left = os.fstat(file.fileno()).st_size - 8
        file.seek(8)
        while len(head := file.read(8)) == 8:
            size, kind = struct.unpack(">I4s", head)
            if (left := left - size - 12) < 0:
                return
            if kind in PNG_STORAGE:
                file.seek(size + 4, os.SEEK_CUR)
                yield kind, b""
            else:
                yield kind, file.read(size)
                file.seek(4, os.SEEK_CUR)


def _of_webp(path: str | os.PathLike, image: Image.Image) -> tuple[dict, list[str]]:
    left_out = []
    with open_regular(path, "a picture") as file:
        file.seek(12)
        while len(head := file.read(8)) == 8:
            kind, size = struct.unpack("<4sI", head)
            file.seek(size + size % 2, os.SEEK_CUR)
            if kind not in WEBP_KNOWN:
                left_out.append(kind.decode("latin-1").strip())
    return {"xmp": image.info["xmp"]} if image.info.get("xmp") else {}, left_out


def _of_tiff(_, image: Image.Image) -> tuple[dict, list[str]]:
    tags = image.tag_v2
    found = {"xmp": tags.get(TIFF_XMP), "photoshop": tags.get(TIFF_PHOTOSHOP)}
    iptc = tags.get(TIFF_IPTC)
    if isinstance(iptc, bytes) and IPTC not in dict(photoshop_resources(found["photoshop"] or b"")):
        found["photoshop"] = (found["photoshop"] or b"") + _resource(IPTC, iptc)
    kinds = {TIFF_SUBIFDS: "previews", TIFF_LAYERS: "layers"}
    return {key: part for key, part in found.items() if isinstance(part, bytes) and part}, [
        kind for tag, kind in kinds.items() if tag in tags
    ]


def true_xmp(packet: bytes) -> tuple[bytes | None, list[str]]:
    """A packet that is true of the filled picture: upright, without previews; and what was taken out."""
    try:
        packet.decode("utf-8")
    except UnicodeDecodeError:
        return None, ["XMP that is no UTF-8"]
    without, previews = _BASE64.subn(b"", _ORIENTATION.sub(rb"\g<1>1", packet))
    without, parts = _OTHER_PARTS.subn(b"", without)
    return without, ["previews in XMP"] * (previews > 0) + ["a film or XMP behind the picture"] * (parts > 0)


def photoshop_resources(block: bytes) -> Iterator[tuple[int, bytes]]:
    """Number and whole bytes of each resource; ends where the block is damaged."""
    place = 0
    while block[place : place + 4] == b"8BIM" and place + 7 <= len(block):
        named = place + 6 + (block[place + 6] // 2 + 1) * 2  # the name has its length before it, and is padded
        if named + 4 > len(block):
            return
        number, size = (
            int.from_bytes(block[place + 4 : place + 6], "big"),
            int.from_bytes(block[named : named + 4], "big"),
        )
        end = named + 4 + size + size % 2
        if named + 4 + size > len(block):
            return
        yield number, block[place:end]
        place = end


def true_photoshop(block: bytes) -> tuple[bytes | None, list[str]]:
    """Resources without those that show the old picture, and without previews in IPTC; and what was taken out."""
    kept, left_out = [], []
    for number, whole in photoshop_resources(block):
        if number in PHOTOSHOP_LEFT_OUT:
            left_out.append(
                "Photoshop's thumbnail" if number in (0x0409, 0x040C) else "Photoshop's copies of EXIF and XMP"
            )
        elif number == IPTC:
            content = _content(whole)
            true = _without_previews(content)
            kept.append(whole if true == content else _resource(IPTC, true))
            left_out += ["a preview in IPTC"] * (true != content)
        else:
            kept.append(whole)
    return b"".join(kept) or None, left_out


def _content(resource: bytes) -> bytes:
    start = 6 + (resource[6] // 2 + 1) * 2
    return resource[start + 4 : start + 4 + int.from_bytes(resource[start : start + 4], "big")]


def _resource(number: int, content: bytes) -> bytes:
    return struct.pack(">4sHHI", b"8BIM", number, 0, len(content)) + content + b"\0" * (len(content) % 2)


def _without_previews(iptc: bytes) -> bytes:
    """IPTC datasets but for a preview's (record 2, 200 to 202, and record 8); IIM 4.2, section 1.5."""
    kept, place = b"", 0
    while iptc[place : place + 1] == b"\x1c" and place + 5 <= len(iptc):
        _, record, number, size = struct.unpack_from(">BBBH", iptc, place)
        if size & 0x8000:  # of an extended one the length has a length
            width = size & 0x7FFF
            size = width + int.from_bytes(iptc[place + 5 : place + 5 + width], "big")
        if record != 8 and (record, number) not in ((2, 200), (2, 201), (2, 202)):
            kept += iptc[place : place + 5 + size]
        place += 5 + size
    return kept


def settings_of(metadata: Metadata, format_name: str) -> tuple[dict[str, object], list[str]]:
    """Pillow's settings to write it in a format (TIFF: ``tiff_tags``), and names of what the format cannot hold."""
    writers = {"jpeg": _for_jpeg, "png": _for_png, "webp": lambda metadata: {"xmp": metadata.xmp}}
    settings = writers[format_name](metadata) if format_name in writers else {}
    held = HOLDS.get(format_name, set())
    if format_name == "jpeg" and len(metadata.xmp or b"") > MAX_XMP_IN_JPEG:
        held = held - {"xmp"}
    left_out = [name for key, name in _names(metadata).items() if key not in held]
    return {key: value for key, value in settings.items() if value}, left_out


def tiff_tags(metadata: Metadata) -> dict[int, bytes]:
    tags = {TIFF_XMP: metadata.xmp, TIFF_PHOTOSHOP: metadata.photoshop}
    iptc = dict(photoshop_resources(metadata.photoshop or b"")).get(IPTC)
    tags[TIFF_IPTC] = _content(iptc) if iptc else None
    return {tag: content for tag, content in tags.items() if content}


def _names(metadata: Metadata) -> dict[str, str]:
    """What there is, by field, as people call it."""
    kinds = {kind for kind, _ in metadata.chunks}
    found = {
        "xmp": "XMP" if metadata.xmp else None,
        "photoshop": "IPTC" if metadata.photoshop else None,
        "comment": "the comment" if metadata.comment else None,
        "text": "text" if kinds & PNG_TEXT else None,
        "colour": "gamma and primaries" if kinds & PNG_COLOUR and b"sRGB" not in kinds else None,
    }
    return {key: name for key, name in found.items() if name}


def _for_jpeg(metadata: Metadata) -> dict[str, object]:
    extra, photoshop = b"", metadata.photoshop or b""
    if metadata.xmp and len(metadata.xmp) <= MAX_XMP_IN_JPEG:
        extra += _segment(0xE1, XMP_MARK + metadata.xmp)
    part = MAX_SEGMENT - len(PHOTOSHOP_MARK)
    for start in range(0, len(photoshop), part):
        extra += _segment(0xED, PHOTOSHOP_MARK + photoshop[start : start + part])
    return {"extra": extra, "comment": metadata.comment}


def _segment(marker: int, content: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, 2 + len(content)) + content


def _for_png(metadata: Metadata) -> dict[str, object]:
    info = PngImagePlugin.PngInfo()
    for kind, content in metadata.chunks:
        info.add(kind, content)
    if metadata.xmp:
        info.add_itxt("XML:com.adobe.xmp", metadata.xmp.decode())
    if metadata.comment:
        info.add_text("Comment", metadata.comment.rstrip(b"\0").decode("latin-1"))
    return {"pnginfo": info if info.chunks else None}
