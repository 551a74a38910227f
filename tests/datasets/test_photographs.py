"""Photographs: what is kept from file to file, bit for bit where that can be, and what is refused."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ExifTags, Image, ImageCms, PngImagePlugin

from datasets.images import sample_photo
from datasets.photographs import (
    CAMERA,
    PLACE,
    SUFFIXES,
    Encoding,
    Photograph,
    encoding_of,
    read_photograph,
    write_photograph,
)
from utils.errors import InputError

LOSSLESS = [Encoding("png"), Encoding("webp"), Encoding("tiff"), Encoding("bmp")]
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
XMP = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation = "6" dc:title="A title"/></x:xmpmeta>'
HELD = {
    "png": "exif icc xmp comment text",
    "jpeg": "exif icc xmp comment",
    "webp": "exif icc xmp",
    "tiff": "exif icc xmp",
}
MAKER_NOTE = b"Maker\0" + bytes(range(100))


@pytest.fixture
def picture():
    return np.random.default_rng(0).integers(0, 256, [20, 30, 3], np.uint8)


def exif_of(note=MAKER_NOTE, orientation=6) -> bytes:
    """A block with maker, camera, place and a thumbnail, whose directory is linked behind the first one."""
    thumbnail = b"\xff\xd8\xff a face \xff\xd9"
    exif = Image.Exif()
    exif[0x010F], exif[0x0112], exif[0x4748] = "Maker", orientation, "unknown"
    exif[CAMERA] = {0x829A: 0.5, 0x927C: note, 0xA005: {1: "R03"}}
    exif[PLACE] = {1: "N", 2: (48.0, 51.0, 29.9)}
    block = exif.tobytes()
    start, link = len(block) - 6, 6 + 8 + 2 + 12 * len(exif)  # offsets count from behind "Exif\0\0"
    number = lambda n, size=4: n.to_bytes(size, "big")  # noqa: E731
    entries = [(0x0201, start + 30), (0x0202, len(thumbnail))]
    second = (
        number(2, 2) + b"".join(number(t, 2) + number(4, 2) + number(1) + number(v) for t, v in entries) + number(0)
    )
    return block[:link] + number(start) + block[link + 4 :] + second + thumbnail


@given(seed=st.integers(0, 99), grey=st.booleans(), alpha=st.booleans(), index=st.integers(0, 3))
@settings(deadline=None, max_examples=25)
def test_lossless_formats_give_back_every_bit(tmp_path_factory, seed, grey, alpha, index):
    rng, encoding = np.random.default_rng(seed), LOSSLESS[index]
    height, width = rng.integers(1, 40, 2)
    pixels = rng.integers(0, 256, [height, width, 1 if grey else 3], np.uint8).repeat(3 if grey else 1, axis=2)
    levels = rng.integers(0, 255, [height, width], np.uint8) if alpha and encoding.format != "bmp" else None
    path = tmp_path_factory.mktemp("lossless") / f"a{encoding.suffix}"
    notes = write_photograph(path, Photograph(pixels, levels, grey=grey), encoding)
    read = read_photograph(path)
    assert notes == [] and read.notes == () and read.encoding == encoding
    assert np.array_equal(read.pixels, pixels) and np.array_equal(read.alpha, levels)
    assert read.grey == (grey and encoding.format != "webp")


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_every_orientation_is_turned_upright_with_its_alpha(tmp_path, picture, orientation, suffix):
    rgba = np.dstack([picture, picture[..., 0] // 2])
    Image.fromarray(rgba).save(tmp_path / f"a{suffix}", exif=exif_of(orientation=orientation))
    read = read_photograph(tmp_path / f"a{suffix}")
    # Independent of Pillow: as the standard words it, the 0th row and column of what is stored.
    corner = {1: "TL", 2: "TR", 3: "BR", 4: "BL", 5: "LT", 6: "RT", 7: "RB", 8: "LB"}[orientation]
    expected = rgba if corner[0] in "TB" else rgba.transpose(1, 0, 2)
    expected = expected[::-1] if "B" in corner else expected
    expected = expected[:, ::-1] if "R" in corner else expected
    assert np.array_equal(np.dstack([read.pixels, read.alpha]), expected)


def test_a_jpeg_is_written_as_it_was_read(tmp_path):
    photo = sample_photo("chelsea")
    for quality, sampling in ((95, 0), (75, 2), (40, 1)):
        Image.fromarray(photo).save(tmp_path / "a.jpg", quality=quality, subsampling=sampling, progressive=True)
        read = read_photograph(tmp_path / "a.jpg")
        write_photograph(tmp_path / "b.jpg", read, read.encoding)
        again = read_photograph(tmp_path / "b.jpg")
        assert again.jpeg == read.jpeg and read.jpeg["subsampling"] == sampling
        difference = np.abs(again.pixels.astype(int) - read.pixels)
        assert difference.mean() < 0.1 and np.mean(difference > 0) < 0.1
        assert 0.9 < (tmp_path / "b.jpg").stat().st_size / (tmp_path / "a.jpg").stat().st_size < 1.1


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB"])
@pytest.mark.parametrize("transparent", [False, True])
def test_grey_palette_and_one_bit_pictures_are_taken(tmp_path, picture, mode, transparent):
    image = Image.fromarray(picture).convert(mode)
    clear = {"1": 0, "L": 127, "P": 0, "RGB": tuple(map(int, picture[3, 4]))}[mode]
    image.save(tmp_path / "a.png", **({"transparency": clear} if transparent else {}))
    read = read_photograph(tmp_path / "a.png")
    assert np.array_equal(read.pixels, np.array(image.convert("RGB")))
    assert read.grey == (mode in ("1", "L"))
    assert (read.alpha is not None) == transparent
    write_photograph(tmp_path / "b.png", read, read.encoding)
    assert np.array_equal(read_photograph(tmp_path / "b.png").pixels, read.pixels)
    assert Image.open(tmp_path / "b.png").mode == ("L" if read.grey else "RGB") + (
        "A" if read.alpha is not None else ""
    )


def test_cmyk_becomes_srgb_and_says_so(tmp_path, picture):
    image = Image.fromarray(picture).convert("CMYK")
    image.save(tmp_path / "a.tif")
    read = read_photograph(tmp_path / "a.tif")
    assert np.array_equal(read.pixels, np.array(image.convert("RGB"))) and "without a usable profile" in read.notes[0]
    image.save(tmp_path / "b.tif", icc_profile=SRGB)
    read = read_photograph(tmp_path / "b.tif")
    assert read.icc is None and "without a usable profile" in read.notes[0] and read.jpeg == {}


def test_what_a_format_cannot_hold_is_refused_or_told_of(tmp_path, picture):
    photograph = Photograph(picture, alpha=picture[..., 0])
    for name in ("jpeg", "bmp"):
        with pytest.raises(InputError, match=r"no transparency.*--format png, webp or tiff"):
            write_photograph(tmp_path / "a", photograph, Encoding(name, False))
    with pytest.raises(InputError, match="16383 pixels a side"):
        write_photograph(tmp_path / "a", Photograph(np.zeros([1, 16384, 3], np.uint8)), Encoding("webp"))
    assert not list(tmp_path.iterdir())
    [note] = write_photograph(tmp_path / "a.bmp", Photograph(picture, icc=SRGB), Encoding("bmp"))
    assert "no place for it in BMP: a colour profile" in note
    grey = SRGB[:16] + b"GRAY" + SRGB[20:]
    [note] = write_photograph(tmp_path / "a.webp", Photograph(picture, icc=grey), Encoding("webp"))
    assert "profile is not one for the colours" in note and "icc_profile" not in Image.open(tmp_path / "a.webp").info


@pytest.mark.parametrize("kind", ["lossless", "lossy", "alpha", "animation"])
def test_lossless_webp_is_told_from_lossy(tmp_path, picture, kind):
    image, lossless = Image.fromarray(picture), kind != "lossy"
    if kind == "alpha":
        image.putalpha(Image.fromarray(picture[..., 0]))
    more = {"save_all": True, "append_images": [image.rotate(90)]} if kind == "animation" else {}
    for flag in (lossless, False):
        image.save(tmp_path / "a.webp", lossless=flag, exif=exif_of(), icc_profile=SRGB, **more)
        assert encoding_of(tmp_path / "a.webp") == Encoding("webp", flag)


def save(pixels, path, **settings):
    Image.fromarray(pixels).save(path, **settings)


def save_with_all(pixels, path):
    """With all that the format holds."""
    info, tags = PngImagePlugin.PngInfo(), Image.Exif()
    info.add_text("parameters", "a prompt", zip=True)
    info.add_text("Raw profile type exif", "an old copy")
    info.add_itxt("XML:com.adobe.xmp", XMP.decode())
    info.add_itxt("Title", "题目")
    info.add_text("comment", "in small letters, as GIF's comments are kept")
    tags.load(exif_of())
    tags[700] = XMP
    exif = tags if path.suffix == ".tif" else exif_of()
    settings = {"exif": exif, "icc_profile": SRGB, "dpi": (300, 300), "pnginfo": info, "comment": b"caf\xc3\xa9"}
    save(pixels, path, xmp=XMP, lossless=True, **settings)


def test_the_thumbnail_of_these_tests_is_one():
    exif = Image.Exif()
    exif.load(exif_of())
    assert exif.get_ifd(ExifTags.IFD.IFD1)[0x0202] == len(b"\xff\xd8\xff a face \xff\xd9")


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif"])
@pytest.mark.parametrize("to", SUFFIXES)
def test_what_a_format_holds_goes_with_the_picture_and_the_rest_is_named(tmp_path, picture, suffix, to):
    source, target = tmp_path / f"a{suffix}", tmp_path / f"b{SUFFIXES[to][0]}"
    save_with_all(picture, source)
    read = read_photograph(source)
    assert read.notes == () and read.size == (30, 20)
    parts = {"exif", "icc", "xmp"} | {".jpg": {"comment"}, ".png": {"text"}}.get(suffix, set())
    held = set(HELD.get(to, "").split())
    notes = write_photograph(target, read, Encoding(to, to != "jpeg"))
    assert bool(parts - held) == bool(notes)
    again = read_photograph(target)
    assert again.notes == () and again.size == (30, 20)
    for part in parts & held - {"exif"}:
        name = "text" if (part, to) == ("comment", "png") else part
        kept = {"Comment": "café"} if name != part else getattr(read, part)
        assert kept and getattr(again, name) == kept
    if to != "bmp":
        assert b"a face" not in target.read_bytes() and b"an old copy" not in target.read_bytes()
        assert b'tiff:Orientation = "1"' in again.xmp and b"A title" in again.xmp
        with open(target, "rb") as file, Image.open(file) as image:
            exif, camera = image.getexif(), image.getexif().get_ifd(CAMERA)
            assert exif.get(0x0112, 1) == 1 and exif.get_ifd(ExifTags.IFD.IFD1) == {} and 0x4748 not in exif
            assert exif[0x010F].rstrip("\0") == "Maker" and camera[0x829A] == 0.5 and camera[0x927C] == MAKER_NOTE
            assert exif.get_ifd(PLACE)[1] == "N" and exif.get_ifd(PLACE)[2][2] == pytest.approx(29.9)
            assert to == "tiff" or suffix == ".tif" or exif.get_ifd(0xA005) == {1: "R03"}
    if ".webp" not in (suffix, SUFFIXES[to][0]):
        assert again.dpi == pytest.approx((300, 300), abs=0.1)


@pytest.mark.parametrize(
    "mark", [b"xmpGImg:image", b"xmp:Thumbnails", b"GCamera:MotionPhoto", b"xmpNote:HasExtendedXMP"]
)
def test_xmp_of_the_old_picture_is_left_out_and_named(tmp_path, picture, mark):
    save(picture, tmp_path / "a.jpg", xmp=XMP.replace(b"dc:title", mark))
    read = read_photograph(tmp_path / "a.jpg")
    assert read.xmp is None and "its XMP is left out" in read.notes[0]


def test_previews_in_maker_notes_are_left_out(tmp_path, picture):
    save(picture, tmp_path / "a.jpg", exif=exif_of(note=b"Olympus\0\xff\xd8\xff\xe0 an old preview"))
    exif = Image.Exif()
    exif.load(read_photograph(tmp_path / "a.jpg").exif)
    assert 0x927C not in exif.get_ifd(CAMERA) and exif.get_ifd(CAMERA)[0x829A] == 0.5


def test_damaged_exif_is_told_and_does_not_stop_the_picture(tmp_path, picture):
    whole = exif_of()
    for block, note in ((b"Exif\0\0damaged", "it is left out"), (whole[:90], "what can be read of it is kept")):
        save(picture, tmp_path / "a.jpg", exif=block)
        assert note in read_photograph(tmp_path / "a.jpg").notes[0]
    save(picture, tmp_path / "a.jpg", exif=whole.replace(b"\x47\x48", b"\x01\x03"))  # compression as text: unwritable
    assert read_photograph(tmp_path / "a.jpg").size == (30, 20)


def test_what_is_too_long_for_a_jpeg_is_named(tmp_path, picture):
    photograph = Photograph(picture, exif=exif_of(bytes(70_000)), xmp=bytes(70_000))
    [note] = write_photograph(tmp_path / "a.jpg", photograph, Encoding("jpeg", False))
    assert note.endswith("no place for it in JPEG: EXIF, XMP") and read_photograph(tmp_path / "a.jpg").exif is None


def test_parts_that_are_not_carried_are_named(tmp_path, picture):
    info = PngImagePlugin.PngInfo()
    info.add(b"gAMA", (100_000).to_bytes(4, "big"))
    save(picture, tmp_path / "a.png", pnginfo=info)
    assert read_photograph(tmp_path / "a.png").notes == ("its gamma and primaries are left out",)
    caption = b"Photoshop 3.0\0" + b"8BIM\x04\x04\0\0\0\0\0\x08" + b"\x1c\x02\x78\0\3cat"
    save(picture, tmp_path / "a.jpg", extra=b"\xff\xed" + (2 + len(caption)).to_bytes(2, "big") + caption)
    assert read_photograph(tmp_path / "a.jpg").notes == ("its Photoshop resources (IPTC) are left out",)


def test_text_and_profiles_above_a_megabyte_are_read_and_more_than_64_are_refused(tmp_path, picture):
    info, text = PngImagePlugin.PngInfo(), "words " * 500_000
    info.add_text("workflow", text, zip=True)
    profile = bytes(16) + b"RGB " + np.random.default_rng(0).bytes(3 << 20)
    save(picture, tmp_path / "a.png", pnginfo=info, icc_profile=profile)
    read = read_photograph(tmp_path / "a.png")
    assert write_photograph(tmp_path / "b.png", read, read.encoding) == [] and read.notes == ()
    again = read_photograph(tmp_path / "b.png")
    assert again.text["workflow"] == text and again.icc == profile
    info = PngImagePlugin.PngInfo()
    info.add_text("bomb", "\0" * (70 << 20), zip=True)
    save(picture, tmp_path / "a.png", pnginfo=info)
    with pytest.raises(InputError, match="more than 64 MiB of text or profile"):
        read_photograph(tmp_path / "a.png")
