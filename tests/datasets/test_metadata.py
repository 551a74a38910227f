"""What a file says of its picture: carried where it stays true and has a place, named where it goes."""

import base64
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from datasets.metadata import (
    IPTC,
    PHOTOSHOP_MARK,
    XMP_MARK,
    _resource,
    _segment,
    photoshop_resources,
    true_photoshop,
    true_xmp,
)
from datasets.photographs import SUFFIXES, read_photograph, result_encoding, write_photograph

PREVIEW = base64.encodebytes(np.random.default_rng(0).bytes(3000))
XMP = (
    b'<?xpacket begin=""?><x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6" '
    b'GCamera:MotionPhoto="1" dc:title="A title"><xmpGImg:image>' + PREVIEW + b"</xmpGImg:image></rdf:Description>"
    b"</x:xmpmeta>"
)
CAPTION = b"\x1c\x02\x78\x00\x09a caption"
PHOTOSHOP = (
    _resource(IPTC, CAPTION + b"\x1c\x02\xca\x00\x05old!!")
    + _resource(0x040C, b"a thumbnail")
    + _resource(2000, b"path")
)


@pytest.fixture
def picture():
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, [20, 30, 3], np.uint8))


@pytest.fixture
def sources(tmp_path, picture):
    """One file of each format with all that it has a place for."""
    extra = _segment(0xE1, XMP_MARK + XMP) + _segment(0xED, PHOTOSHOP_MARK + PHOTOSHOP)
    extra += _segment(0xEB, b"JP\0\0jumb content credentials") + _segment(0xE5, b"Unknown maker's part")
    picture.save(tmp_path / "a.jpg", comment=b"a comment", extra=extra)
    info = PngImagePlugin.PngInfo()
    info.add_text("parameters", "a prompt")
    info.add_text("Title", "compressed", zip=True)
    info.add_itxt("XML:com.adobe.xmp", XMP.decode())
    info.add(b"gAMA", struct.pack(">I", 45455))
    info.add(b"caBX", b"signed")
    info.add(b"prVW", b"a preview")
    picture.save(tmp_path / "a.png", pnginfo=info)
    picture.save(tmp_path / "a.webp", lossless=True, xmp=XMP)
    exif = Image.Exif()
    exif[700], exif[34377], exif[270] = XMP, PHOTOSHOP, "described"
    picture.save(tmp_path / "a.tif", exif=exif)
    return tmp_path


LEFT_OUT = {
    "jpg": {"content credentials", "APP5", "Photoshop's thumbnail", "a preview in IPTC"},
    "png": {"content credentials", "prVW"},
    "webp": set(),
    "tif": {"Photoshop's thumbnail", "a preview in IPTC"},
}
HOLDS = {"jpg": {"xmp", "photoshop", "comment"}, "png": {"xmp", "chunks"}, "webp": {"xmp"}, "tif": {"xmp", "photoshop"}}
NAMES = {"xmp": "XMP", "photoshop": "IPTC", "comment": "the comment", "chunks": "text, gamma and primaries"}


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif"])
@pytest.mark.parametrize("to", ["jpeg", "png", "webp", "tiff", "bmp"])
def test_what_stays_true_is_carried_or_named(sources, suffix, to):
    read = read_photograph(sources / f"a.{suffix}")
    [note] = read.notes
    assert all(name in note for name in LEFT_OUT[suffix] | {"previews in XMP", "a film or XMP behind the picture"})
    target = sources / f"b{SUFFIXES[to][0]}"
    notes = write_photograph(target, read, result_encoding(read.encoding, to))
    again = read_photograph(target)
    assert again.notes == ()
    held = HOLDS.get(SUFFIXES[to][0][1:], set())
    for key in HOLDS[suffix] - ({"comment"} if to == "png" else set()):
        before, after = getattr(read.metadata, key), getattr(again.metadata, key)
        assert before and ((after == before) if key in held else any(NAMES[key] in note for note in notes)), key
    if suffix == "jpg" and to == "png":
        assert Image.open(target).text["Comment"] == "a comment"
    if "xmp" in held:
        assert b'Orientation="1"' in again.metadata.xmp and b'"A title"' in again.metadata.xmp
        assert PREVIEW[:60] not in target.read_bytes() and b"MotionPhoto" not in again.metadata.xmp
    if "photoshop" in held & HOLDS[suffix]:
        content = target.read_bytes()
        assert b"a caption" in content and b"old!!" not in content and b"a thumbnail" not in content
    if to == "tiff" == read.encoding.format:
        assert Image.open(target).getexif()[270] == "described"


def test_text_and_profiles_above_a_megabyte_are_read_and_written_again(tmp_path, picture):
    info, text = PngImagePlugin.PngInfo(), "words " * 500_000
    info.add_text("workflow", text, zip=True)
    profile = bytes(16) + b"RGB " + np.random.default_rng(0).bytes(3 << 20)
    picture.save(tmp_path / "a.png", pnginfo=info, icc_profile=profile)
    read = read_photograph(tmp_path / "a.png")
    assert write_photograph(tmp_path / "b.png", read, read.encoding) == [] and read.notes == ()
    with Image.open(tmp_path / "b.png") as image:
        assert image.text["workflow"] == text and image.info["icc_profile"] == profile


def test_a_text_made_to_fill_the_memory_is_refused(tmp_path, picture):
    packed = zlib.compress(bytes(200 << 20), 9)
    info = PngImagePlugin.PngInfo()
    info.add(b"zTXt", b"bomb\0\0" + packed)
    picture.save(tmp_path / "a.png", pnginfo=info)
    with pytest.raises(ValueError, match="more than 64 MiB of text or profile"):
        read_photograph(tmp_path / "a.png")


@given(st.binary(max_size=300))
def test_any_bytes_are_a_packet_or_none(packet):
    true, left_out = true_xmp(packet)
    assert true is not None or left_out


@given(
    st.lists(st.tuples(st.sampled_from([IPTC, 0x040C, 2000, 0x0422]), st.binary(max_size=30))), st.binary(max_size=9)
)
def test_resources_are_kept_whole_or_left_out_whatever_is_behind_them(parts, damage):
    block = b"".join(_resource(number, content) for number, content in parts) + damage
    kept = dict(photoshop_resources(true_photoshop(block)[0] or b""))
    assert set(kept) == {number for number, _ in parts} - {0x040C, 0x0422}
