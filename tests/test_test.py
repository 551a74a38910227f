"""test.py as its user runs it."""

import importlib.util
import os
import shutil
from pathlib import Path

import cv2
import numpy as np
import paddle
import pytest
from PIL import Image, ImageCms, ImageOps

from inpainting.checkpoint import save_weights
from models import build_model
from utils.errors import InputError

ROOT = Path(__file__).resolve().parent.parent
_spec = importlib.util.spec_from_file_location("test_script", ROOT / "test.py")
script = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(script)


@pytest.fixture
def fill(pictures, small_weights, tmp_path):
    def run(*arguments, source=pictures):
        words = f"--input {source} --weights {small_weights} --output {tmp_path}/out".split()
        script.main([*words, *map(str, arguments)])
        return tmp_path / "out"

    return run


def read(path):
    return cv2.imread(str(path))


def shown(folder):
    """What a person sees of a folder."""
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file() and p.name[0] != ".")


def test_super_resolution_keeps_each_pixel_in_its_place(fill, pictures):
    """Also of a picture whose result is shown to the network in tiles."""
    cv2.imwrite(str(pictures / "wide.png"), np.random.default_rng(5).integers(0, 256, [2, 340, 3], dtype=np.uint8))
    before = {path.name: read(path) for path in pictures.iterdir()}
    out = fill("--super_resolution", 3)
    assert shown(out) == sorted(before)
    for name, small in before.items():
        large = read(out / name)
        assert large.shape == (3 * small.shape[0], 3 * small.shape[1], 3)
        np.testing.assert_array_equal(large[1::3, 1::3], small)
        assert np.ptp(large[0::3, 0::3].astype(int) - small) > 0  # the hole was painted, and not by copying


def test_a_photograph_is_extended_and_no_more_than_that_is_filled(fill, pictures):
    one = pictures / "0.png"
    out = fill("--extend", "5,0,3,6", "--detail", "off", source=one)
    after = read(out / "0.png")
    assert after.shape == (46, 56, 3) and np.array_equal(after[:40, 5:53], read(one))
    assert shown(out) == ["0.png"]  # no generated hole
    with pytest.raises(InputError, match="--extend"):
        fill("--extend", "5,0,3,6", "--super_resolution", 2, source=one)


def test_a_folder_with_one_mask(fill, pictures, mask_file):
    out = fill("--mask", mask_file)
    assert shown(out) == ["0.png", "1.png", "2.png", "3.png"]
    hole = read(mask_file)[..., 0] == 255
    for i in range(4):
        before, after = read(pictures / f"{i}.png"), read(out / f"{i}.png")
        np.testing.assert_array_equal(before[~hole], after[~hole])
        assert not np.array_equal(before[hole], after[hole])


def test_polarity_and_a_folder_of_masks_by_name(fill, pictures, mask_file, tmp_path):
    masks = tmp_path / "masks"
    masks.mkdir()
    for i in range(4):
        cv2.imwrite(str(masks / f"{i}.png"), 255 - read(mask_file))
    black = read(fill("--mask", masks, "--hole", "black") / "2.png")
    white = read(fill("--mask", mask_file) / "2.png")
    np.testing.assert_array_equal(black, white)
    (masks / "3.png").unlink()
    with pytest.raises(InputError, match=r"--mask: .*got none for 1 of 4 pictures: 3;"):
        fill("--mask", masks)


def test_masks_of_one_name_are_refused_and_masks_beside_pictures_are_not_filled(fill, pictures, mask_file, tmp_path):
    masks = pictures / "masks"
    masks.mkdir()
    for i in range(4):
        (masks / f"{i}.png").write_bytes(mask_file.read_bytes())
    out = fill("--mask", masks)
    assert shown(out) == ["0.png", "1.png", "2.png", "3.png"]
    for _ in range(2):
        fill("--mask", masks, "--output", pictures / "results")
        assert shown(pictures / "results") == shown(out)
    shutil.rmtree(pictures / "results")
    Image.open(mask_file).save(masks / "2.jpg")
    with pytest.raises(InputError, match=r"--mask: expected one mask for the picture 2, got .*2\.jpg, .*2\.png"):
        fill("--mask", masks)


def test_attention_is_shown_of_a_network_that_has_it(fill, mask_file, pictures, tmp_path):
    paddle.seed(0)
    save_weights(build_model("deepfill_v1", base_channels=4), tmp_path / "deepfill")
    out = fill("--mask", mask_file, "--weights", tmp_path / "deepfill", "--grid")
    assert shown(out) == sorted(f"{i}{kind}.png" for i in range(4) for kind in ("", "_grid"))
    hole, grid = read(mask_file)[..., 0] == 255, read(out / "1_grid.png")
    hues = grid[:, 4 * 48 : 5 * 48]
    assert grid.shape == (40, 7 * 48, 3) and (np.ptp(hues[~hole], axis=1) == 0).all()  # grey outside
    assert np.ptp(hues[hole], axis=1).max() > 30


def test_generated_masks_are_seeded_and_written(fill):
    def written(*arguments):
        return {p.name: p.read_bytes() for p in fill("--grid", *arguments).glob("*.png")}

    first = written()
    assert sorted(first) == sorted(f"{i}{kind}.png" for i in range(4) for kind in ("", "_mask", "_grid"))
    assert written() == first
    assert written("--seed", 1) != first


def test_one_bad_picture_does_not_stop_the_others(fill, pictures, mask_file, capsys):
    (pictures / "1.png").write_bytes(b"not a picture")
    with pytest.raises(InputError, match="1 of 4 pictures could not be filled"):
        fill("--mask", mask_file)
    assert "1.png" in capsys.readouterr().err
    assert shown(pictures.parent / "out") == ["0.png", "2.png", "3.png"]


def contents(folder):
    return {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def refuse(fill, before, message, *arguments, **settings):
    """A run that is refused in one line and changes no file."""
    kept = contents(before)
    with pytest.raises(InputError, match=message) as caught:
        fill(*arguments, **settings)
    assert "\n" not in str(caught.value) and contents(before) == kept


@pytest.mark.parametrize("anyway", [[], ["--overwrite"]])
@pytest.mark.parametrize("link", [None, os.symlink, os.link])
def test_results_never_replace_what_is_read(fill, pictures, mask_file, tmp_path, anyway, link):
    refuse(fill, tmp_path, "would overwrite the input", "--output", pictures, *anyway)
    refuse(fill, tmp_path, "would overwrite the input", "--mask", mask_file, "--output", pictures, *anyway)
    masks = tmp_path / "masks"
    masks.mkdir()
    for i in range(4):
        shutil.copy(mask_file, masks / f"{i}.png")
    one = pictures / "0.png"
    refuse(fill, tmp_path, "would overwrite the input", "--mask", masks, "--output", masks, *anyway, source=one)
    # A mask of another picture, at a name of this one's results.
    (masks / "3.png").rename(masks / "0_grid.png")
    arguments = ["--mask", masks, "--output", masks, "--grid", *anyway]
    refuse(fill, tmp_path, "would overwrite the input", *arguments, source=one)
    if link:
        (tmp_path / "out").mkdir()
        link(pictures / "2.png", tmp_path / "out" / "0.png")
        refuse(fill, tmp_path, "would overwrite the input", *anyway)


def test_files_of_others_are_replaced_only_where_that_is_asked_for(fill, pictures, tmp_path):
    picture = pictures / "0.png"
    (tmp_path / "0_mask.png").write_bytes(b"painted for hours")
    here = ["--output", tmp_path]
    refuse(fill, tmp_path, "0_mask.png would be replaced.*--overwrite", *here, source=picture)
    (tmp_path / "0.png").write_bytes(b"a photograph")
    refuse(fill, tmp_path, "0.png and 1 more would be replaced.*--overwrite", *here, source=picture)
    fill(*here, "--overwrite", source=picture)
    assert read(tmp_path / "0.png").shape == read(tmp_path / "0_mask.png").shape == read(picture).shape


def test_results_of_an_earlier_run_are_replaced_unless_they_were_changed(fill, pictures, tmp_path):
    out = fill(source=pictures / "0.png")
    first = contents(out)
    assert contents(fill(source=pictures / "0.png")) == first
    fill("--seed", 1, source=pictures / "0.png")
    assert contents(out)[out / "0_mask.png"] != first[out / "0_mask.png"]
    with open(out / "0_mask.png", "ab") as file:
        file.write(b"a stroke of the brush")
    refuse(fill, tmp_path, "0_mask.png would be replaced", source=pictures / "0.png")


def test_pictures_of_one_name_in_a_list_are_all_filled(fill, pictures, mask_file, tmp_path):
    for folder, i in (("a", 0), ("b", 1)):
        (tmp_path / folder).mkdir()
        shutil.copy(pictures / f"{i}.png", tmp_path / folder / "x.png")
    listed = tmp_path / "list.txt"
    listed.write_text("a/x.png\nb/x.png\npictures/2.png\n")
    out = fill("--mask", mask_file, source=listed)
    assert shown(out) == ["a/x.png", "b/x.png", "pictures/2.png"]
    assert not np.array_equal(read(out / "a/x.png"), read(out / "b/x.png"))
    listed.write_text("a/x.png\npictures/2.png\n")
    assert {"x.png", "2.png"} <= set(shown(fill("--mask", mask_file, source=listed)))
    listed.write_text("a/x.png\nb/../a/x.png\n")
    refuse(fill, tmp_path, "a/x.png and .*b/../a/x.png would both be written to x.png", source=listed)


def test_a_hole_beyond_the_networks_reach_of_a_single_pass_is_warned_of(fill, tmp_path, capsys):
    cv2.imwrite(str(tmp_path / "large.png"), np.zeros([160, 160, 3], np.uint8))
    for box, scales, told in (("5,5,20,20", 1, False), ("0,1,160,159", "auto", False), ("0,1,160,159", 1, True)):
        fill("--box", box, "--scales", scales, source=tmp_path / "large.png")
        assert ("too wide for the network" in capsys.readouterr().err) == told


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p, m: cv2.imwrite(str(m), np.zeros([20, 20], np.uint8)), "expected a mask of the picture's size 48x40"),
        (
            lambda p, m: cv2.imwrite(str(p), np.zeros([40, 48, 4], np.uint8)),
            "0.png: expected some known pixels, got a hole over all that is visible",
        ),
        (lambda p, m: cv2.imwrite(str(m), np.full([40, 48], 255, np.uint8)), "0.png: expected some known pixels"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(fill, pictures, mask_file, change, message):
    change(pictures / "0.png", mask_file)
    with pytest.raises(InputError, match=message) as error:
        fill("--mask", mask_file, source=pictures / "0.png")
    assert "\n" not in str(error.value)
    out = pictures.parent / "out"
    assert not out.exists() or not list(out.iterdir())


def known(out, name, hole, before):
    after = np.array(Image.open(out / name).convert("RGB"))
    return np.array_equal(after[~hole], before[~hole]) and not np.array_equal(after[hole], before[hole])


def test_a_photograph_comes_back_as_it_was_given(fill, pictures, mask_file, tmp_path, capsys):
    """Turned by its EXIF, with a profile, as JPEG; and without loss."""
    photograph, hole = Image.open(pictures / "0.png").resize((96, 80)), np.zeros([96, 80], bool)
    hole[20:50, 10:40] = True
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "Maker"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    photograph.save(tmp_path / "photo.jpg", exif=exif, icc_profile=profile)
    before = np.array(ImageOps.exif_transpose(Image.open(tmp_path / "photo.jpg")))
    for arguments, name in (([], "photo.jpg"), (["--lossless"], "photo.png"), (["--format", "tiff"], "photo.tif")):
        out = fill("--box", "10,20,30,30", *arguments, source=tmp_path / "photo.jpg")
        with Image.open(out / name) as result:
            assert result.size == (80, 96) and result.getexif().get(0x0112, 1) == 1
            assert result.getexif()[0x010F].rstrip("\0") == "Maker" and result.info["icc_profile"] == profile
        assert ("--lossless writes PNG" in capsys.readouterr().err) == (name == "photo.jpg")
        assert name == "photo.jpg" or known(out, name, hole, before)
    # The blocks of colour that the hole is in reach down to row 64, so that they change with what is filled in.
    assert np.abs(np.array(Image.open(out / "photo.jpg")).astype(int) - before)[72:].max() < 8


def test_a_transparent_picture_keeps_its_transparency_or_is_filled_where_it_is(fill, pictures, tmp_path):
    rgb = np.array(Image.open(pictures / "0.png"))
    alpha = np.full([40, 48], 255, np.uint8)
    alpha[:10, :10], alpha[10:12] = 0, 90
    Image.fromarray(np.dstack([rgb, alpha])).save(tmp_path / "a.png")
    out = fill("--box", "20,20,9,9", source=tmp_path / "a.png")
    assert np.array_equal(np.array(Image.open(out / "a.png"))[..., 3], alpha)
    fill("--mask_alpha", source=tmp_path / "a.png")
    assert Image.open(out / "a.png").mode == "RGB" and known(out, "a.png", alpha < 255, rgb)
    with pytest.raises(InputError, match="JPEG holds no transparency"):
        fill("--box", "20,20,9,9", "--format", "jpeg", source=tmp_path / "a.png")
    with pytest.raises(InputError, match="transparent pixels in the picture, got none"):
        fill("--mask_alpha", source=pictures / "0.png")


def test_every_way_of_marking_gives_the_same_result(fill, pictures, mask_file, tmp_path, capsys):
    hole, copy = read(mask_file)[..., 0] == 255, np.array(Image.open(pictures / "0.png"))
    Image.open(mask_file).resize((24, 20), Image.Resampling.NEAREST).save(tmp_path / "half.png")
    copy[hole] = 255, 0, 255
    Image.fromarray(copy).save(tmp_path / "painted.png")
    ways = [
        ("--mask", mask_file),
        ("--box", "10,8,24,16"),
        ("--polygon", "10,8", "33,8", "33,23", "10,23"),
        ("--mask", tmp_path / "painted.png", "--mask_colour", "magenta"),
        ("--mask", tmp_path / "half.png"),
    ]
    results = [read(fill(*way, source=pictures / "0.png") / "0.png") for way in ways]
    assert all(np.array_equal(result, results[0]) for result in results)
    assert f"note: 0: {tmp_path}/half.png brought from 24x20 to 48x40" in capsys.readouterr().err
    grown = read(fill(*ways[1], "--dilate", 3, source=pictures / "0.png") / "0.png")
    assert not np.array_equal(grown[5:8], results[0][5:8]) and np.array_equal(grown[:5], results[0][:5])


def test_what_is_there_already_is_passed_over(fill, pictures, mask_file, capsys):
    out = fill("--mask", mask_file)
    (out / "1.png").unlink()
    (out / "2.png").write_bytes(b"somebody's own")
    kept = contents(out)
    fill("--mask", mask_file, "--skip_existing")
    assert "1 filled, 3 there already" in capsys.readouterr().out
    assert {path: content for path, content in contents(out).items() if path in kept and path.suffix} == {
        path: content for path, content in kept.items() if path.suffix
    } and (out / "1.png").is_file()
    fill("--mask", mask_file, "--skip_existing", "--weights", "nowhere")
    assert "0 filled, 4 there already" in capsys.readouterr().out
