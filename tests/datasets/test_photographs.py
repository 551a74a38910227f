"""Photographs: what is kept from file to file, bit for bit where that can be, and what is refused."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageCms

from datasets.images import sample_photo
from datasets.photographs import (
    SUFFIXES,
    Encoding,
    Photograph,
    encoding_of,
    read_photograph,
    result_encoding,
    write_photograph,
)
from utils.errors import InputError

LOSSLESS = [Encoding("png"), Encoding("webp"), Encoding("tiff"), Encoding("bmp")]
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


@pytest.fixture
def picture():
    return np.random.default_rng(0).integers(0, 256, [20, 30, 3], np.uint8)


def exif_of(**tags):
    exif = Image.Exif()
    exif[0x010F] = "Maker"
    exif[0x8769] = {0x829A: 0.5}
    exif[0x0112] = tags.get("orientation", 1)
    return exif.tobytes()


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


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".tif"])
@pytest.mark.parametrize("to", ["png", "jpeg", "webp", "tiff"])
def test_exif_profile_and_resolution_go_with_the_picture_from_any_format_to_any(tmp_path, picture, suffix, to):
    source, target = tmp_path / f"a{suffix}", tmp_path / f"b{SUFFIXES[to][0]}"
    Image.fromarray(picture).save(source, exif=exif_of(orientation=6), icc_profile=SRGB, dpi=(300, 300))
    read = read_photograph(source)
    assert write_photograph(target, read, result_encoding(read.encoding, to)) == []
    with Image.open(target) as image:
        exif = image.getexif()
        assert image.size == (20, 30) and exif.get(0x0112, 1) == 1
        assert exif[0x010F].rstrip("\0") == "Maker" and float(exif.get_ifd(0x8769)[0x829A]) == 0.5
        assert image.info["icc_profile"] == SRGB
        if "webp" not in (suffix[1:], to):
            assert image.info["dpi"] == pytest.approx((300, 300), abs=0.1)


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
    assert np.array_equal(read.pixels, np.array(image.convert("RGB"))) and "no profile" in read.notes[0]
    image.save(tmp_path / "b.tif", icc_profile=SRGB)
    read = read_photograph(tmp_path / "b.tif")
    assert read.icc is None and "could not use" in read.notes[0] and read.jpeg == {}


def test_what_a_format_cannot_hold_is_refused_or_told_of(tmp_path, picture):
    photograph = Photograph(picture, alpha=picture[..., 0])
    for name in ("jpeg", "bmp"):
        with pytest.raises(InputError, match=r"no transparency.*--format png, webp or tiff"):
            write_photograph(tmp_path / "a", photograph, Encoding(name, False))
    with pytest.raises(InputError, match="64 KiB of EXIF"):
        write_photograph(tmp_path / "a", Photograph(picture, exif=bytes(70000)), Encoding("jpeg", False))
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
