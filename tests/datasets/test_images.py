"""Pictures at files: what is listed, what is read and how, what is refused and with which words."""

import os

import numpy as np
import pytest
from PIL import EpsImagePlugin, Image, ImageFile

from datasets import images
from datasets.images import list_pictures, read_picture, sample_photo, write_picture
from utils.errors import InputError


@pytest.fixture
def picture():
    return np.random.default_rng(0).integers(0, 256, [20, 30, 3], np.uint8)


def touch(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"")
    return path


def test_folder_is_listed_at_every_depth_sorted_without_hidden_files(tmp_path):
    for name in ("b.PNG", "a/z.jpg", "a/c.jpeg", "a.txt", ".hidden.png", ".cache/d.png", "c.TIFF", "d.gif"):
        touch(tmp_path / name)
    names = [path.relative_to(tmp_path).as_posix() for path in list_pictures(tmp_path)]
    assert names == ["a/c.jpeg", "a/z.jpg", "b.PNG", "c.TIFF"]


@pytest.mark.parametrize(
    ("content", "told"),
    [("a.png\nmissing.png\n", "got 1 of 2 that are not there.*line 2: missing.png.*--list_root DIR"), ("#\n", "none")],
)
def test_bad_list_file_counts_what_is_missing_and_shows_the_first(tmp_path, content, told):
    touch(tmp_path / "a.png")
    (tmp_path / "names.txt").write_text(content)
    with pytest.raises(InputError, match=told):
        list_pictures(tmp_path / "names.txt")


@pytest.mark.parametrize(
    "line", ["sub/b c.png", "/sub/b c.png", "sub/b c.png 17", "/sub/b c.png\t3 0 1", "sub/b c.png,x"]
)
def test_lists_as_data_sets_have_them_are_read(tmp_path, line):
    path = touch(tmp_path / "root/sub/b c.png")
    for where, root in ((tmp_path / "root/names.txt", None), (tmp_path / "names.txt", tmp_path / "root")):
        where.write_text(f"{line}\n")
        assert list_pictures(where, list_root=root) == [path]


def test_pictures_are_told_by_their_first_bytes_where_the_name_does_not_tell(tmp_path, picture):
    for name in ("a.jfif", "b", "c.dat"):
        Image.fromarray(picture).save(tmp_path / name, "JPEG")
        assert list_pictures(tmp_path / name) == [tmp_path / name]
    (tmp_path / "README").write_text("BMW/1.png is no bitmap")
    assert list_pictures(tmp_path) == [tmp_path / "a.jfif", tmp_path / "b"]


def test_what_is_named_as_something_else_is_left_out_of_a_folder(tmp_path, caplog):
    for name in ("a.png", "mask.png", "masks/a.png", "masks/more/b.png", "out/a.png", "maskshop/c.png"):
        touch(tmp_path / "set" / name)
    (tmp_path / "linked").symlink_to(tmp_path / "set/masks")
    others = [tmp_path / "linked", tmp_path / "set/mask.png", tmp_path / "set/out/", None, tmp_path, tmp_path / "set"]
    names = [path.relative_to(tmp_path / "set").as_posix() for path in list_pictures(tmp_path / "set", others)]
    assert names == ["a.png", "maskshop/c.png"]
    assert "left out are 4 pictures" in caplog.text
    with pytest.raises(InputError, match="found 2 that are named as masks or results"):
        list_pictures(tmp_path / "set/masks", [tmp_path / "set/masks/a.png", tmp_path / "set/masks/more"])


def test_transparent_pixels_are_refused(tmp_path, picture):
    alpha = np.full([20, 30, 1], 255, np.uint8)
    Image.fromarray(np.concatenate([picture, alpha], axis=2)).save(tmp_path / "opaque.png")
    assert np.array_equal(read_picture(tmp_path / "opaque.png"), picture)
    alpha[3, 4] = 254
    Image.fromarray(np.concatenate([picture, alpha], axis=2)).save(tmp_path / "rgba.png")
    Image.new("P", (4, 4)).save(tmp_path / "palette.png", transparency=0)
    for name in ("rgba.png", "palette.png"):
        with pytest.raises(InputError, match=f"transparent pixels in .*{name}.*--mask"):
            read_picture(tmp_path / name)


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.webp", "a.bmp", "a.tif"])
@pytest.mark.parametrize("share", [0, 0.05, 0.5, 0.9])
def test_truncated_pictures_are_refused_by_name(tmp_path, name, share):
    write_picture(tmp_path / name, sample_photo("chelsea"))
    whole = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(InputError, match=f"{name}.*replace it"):
        read_picture(tmp_path / name)


@pytest.mark.parametrize("factor", [1, 3])  # Pillow warns of its own limit, and refuses twice as much
def test_pictures_of_too_many_pixels_are_refused_before_they_are_decoded(tmp_path, monkeypatch, recwarn, factor):
    write_picture(tmp_path / "big.png", np.zeros([20, 20, 3], np.uint8))
    monkeypatch.setattr(images, "MAX_PIXELS", 399)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 399 // factor)
    monkeypatch.setattr(ImageFile.ImageFile, "load", lambda self: pytest.fail("decoded"))
    with pytest.raises(InputError, match=r"big\.png.*150 million.*shrink"):
        read_picture(tmp_path / "big.png")
    assert not recwarn


EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\nshowpage\n%%EOF\n"


def test_postscript_named_png_starts_no_other_program(tmp_path, monkeypatch):
    (tmp_path / "a.png").write_bytes(EPS)
    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", lambda *_, **__: pytest.fail("another program was started"))
    with pytest.raises(InputError, match="a file of none of the formats"):
        read_picture(tmp_path / "a.png")


def test_pipes_and_devices_are_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "zero.png").symlink_to("/dev/zero")
    (tmp_path / "names.txt").symlink_to("/dev/zero")
    for name in ("pipe.png", "zero.png"):
        for read in (read_picture, list_pictures):
            with pytest.raises(InputError, match="a pipe or a device"):
                read(tmp_path / name)
    with pytest.raises(InputError, match="found none"):
        list_pictures(tmp_path)
    with pytest.raises(InputError, match="a pipe or a device"):
        list_pictures(tmp_path / "names.txt")


def test_more_than_8_bits_are_refused(tmp_path):
    cv2 = pytest.importorskip("cv2")
    levels = np.random.default_rng(0).integers(0, 65536, [8, 9, 3], np.uint16)
    Image.fromarray(levels[..., 0]).save(tmp_path / "grey.png")
    cv2.imwrite(str(tmp_path / "colour.png"), levels)  # Pillow opens this one as 8-bit RGB
    Image.fromarray(np.zeros([4, 4], np.float32)).save(tmp_path / "float.tif")
    for name in ("grey.png", "colour.png", "float.tif"):
        with pytest.raises(InputError, match=f"8 bits per channel.*{name}"):
            read_picture(tmp_path / name)
