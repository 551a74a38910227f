"""test.py as its user runs it."""

import importlib.util
from pathlib import Path

import cv2
import numpy as np
import paddle
import pytest

from errors import InputError
from inpainting.checkpoint import save_weights
from models import build_model

ROOT = Path(__file__).resolve().parent.parent
_spec = importlib.util.spec_from_file_location("test_script", ROOT / "test.py")
script = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(script)


@pytest.fixture
def fill(pictures, small_weights, tmp_path):
    def run(*arguments, source=pictures):
        script.main(
            [
                "--input",
                str(source),
                "--weights",
                str(small_weights),
                "--output",
                str(tmp_path / "out"),
                *map(str, arguments),
            ]
        )
        return tmp_path / "out"

    return run


def read(path):
    return cv2.imread(str(path))


def test_a_folder_with_one_mask(fill, pictures, mask_file):
    out = fill("--mask", mask_file)
    assert sorted(p.name for p in out.iterdir()) == ["0.png", "1.png", "2.png", "3.png"]
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
    with pytest.raises(InputError, match=r"expected .*3\.png, a mask with the picture's name"):
        fill("--mask", masks)


def test_attention_is_shown_of_a_network_that_has_it(fill, mask_file, pictures, tmp_path):
    paddle.seed(0)
    save_weights(build_model("deepfill_v1", base_channels=4), tmp_path / "deepfill")
    out = fill("--mask", mask_file, "--weights", tmp_path / "deepfill", "--show_attention", "--grid")
    assert sorted(p.name for p in out.iterdir()) == sorted(
        f"{i}{kind}.png" for i in range(4) for kind in ("", "_grid", "_attention")
    )
    hole, shown, picture = read(mask_file)[..., 0] == 255, read(out / "1_attention.png"), read(pictures / "1.png")
    assert shown.shape == picture.shape and (np.ptp(shown[~hole], axis=1) == 0).all()  # grey outside
    assert np.ptp(shown[hole], axis=1).max() > 30 and read(out / "1_grid.png").shape == (40, 7 * 48, 3)
    with pytest.raises(InputError, match="--show_attention: expected weights of deepfill_v1"):
        fill("--mask", mask_file, "--show_attention")


def test_generated_masks_are_seeded_and_written(fill):
    first = {p.name: p.read_bytes() for p in fill("--grid").iterdir()}
    assert sorted(first) == sorted(f"{i}{kind}.png" for i in range(4) for kind in ("", "_mask", "_grid"))
    assert {p.name: p.read_bytes() for p in fill("--grid").iterdir()} == first
    assert {p.name: p.read_bytes() for p in fill("--grid", "--seed", 1).iterdir()} != first


def test_a_written_mask_gives_the_same_result_again(fill, pictures, tmp_path):
    out = fill(source=pictures / "1.png")
    result, mask = (out / "1.png").read_bytes(), tmp_path / "again.png"
    mask.write_bytes((out / "1_mask.png").read_bytes())
    assert (fill("--mask", mask, source=pictures / "1.png") / "1.png").read_bytes() == result


def test_grid_shows_input_mask_output_composite_truth(fill, pictures, mask_file):
    grid = read(fill("--mask", mask_file, "--grid", source=pictures / "0.png") / "0_grid.png")
    panels = np.split(grid, 5, axis=1)
    np.testing.assert_array_equal(panels[1], read(mask_file))
    np.testing.assert_array_equal(panels[4], read(pictures / "0.png"))
    np.testing.assert_array_equal(panels[3], read(pictures.parent / "out" / "0.png"))


def test_one_bad_picture_does_not_stop_the_others(fill, pictures, mask_file, capsys):
    (pictures / "1.png").write_bytes(b"not a picture")
    with pytest.raises(InputError, match="1 of 4 pictures could not be filled"):
        fill("--mask", mask_file)
    assert "1.png" in capsys.readouterr().err
    assert sorted(p.name for p in (pictures.parent / "out").iterdir()) == ["0.png", "2.png", "3.png"]


def test_same_names_in_one_folder_do_not_meet(fill, pictures, mask_file):
    cv2.imwrite(str(pictures / "0.jpg"), read(pictures / "0.png"))
    out = fill("--mask", mask_file)
    assert {"0.png.png", "0.jpg.png"} <= {p.name for p in out.iterdir()}


def test_results_never_replace_inputs(pictures, small_weights):
    with pytest.raises(InputError, match="would overwrite the input"):
        script.main(["--input", str(pictures), "--weights", str(small_weights), "--output", str(pictures)])


def test_an_inverted_mask_is_warned_of_and_a_full_one_refused(fill, pictures, mask_file, tmp_path, capsys):
    fill("--mask", mask_file, "--hole", "black", source=pictures / "0.png")
    assert "--hole" in capsys.readouterr().err
    cv2.imwrite(str(tmp_path / "full.png"), np.full([40, 48], 255, np.uint8))
    with pytest.raises(InputError, match="hole over the whole picture"):
        fill("--mask", tmp_path / "full.png", source=pictures / "0.png")


def test_a_hole_beyond_the_networks_reach_of_a_single_pass_is_warned_of(fill, pictures, mask_file, tmp_path, capsys):
    fill("--mask", mask_file, "--scales", 1)
    assert "reach" not in capsys.readouterr().err
    large, hole = np.zeros([160, 160, 3], np.uint8), np.full([160, 160], 255, np.uint8)
    hole[0] = 0
    cv2.imwrite(str(tmp_path / "large.png"), large)
    cv2.imwrite(str(tmp_path / "hole.png"), hole)
    fill("--mask", tmp_path / "hole.png", source=tmp_path / "large.png")
    assert "reach" not in capsys.readouterr().err
    fill("--mask", tmp_path / "hole.png", "--scales", 1, source=tmp_path / "large.png")
    [line] = [line for line in capsys.readouterr().err.splitlines() if "reach" in line]
    assert line.startswith("warning: large: ") and "% of the hole's pixels" in line and "--depth" in line


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p, m: m.unlink(), "mask.png"),
        (
            lambda p, m: cv2.imwrite(str(m), np.zeros([20, 20], np.uint8)),
            "expected a mask of the picture's size 48x40, got 20x20",
        ),
        (lambda p, m: cv2.imwrite(str(m), np.full([40, 48], 128, np.uint8)), "grey"),
        (lambda p, m: cv2.imwrite(str(p), np.zeros([40, 48, 3], np.uint16)), "8-bit"),
        (lambda p, m: cv2.imwrite(str(p), np.zeros([40, 48, 4], np.uint8)), "transparen"),
        (lambda p, m: p.write_bytes(p.read_bytes()[:-200]), "0.png"),
        (lambda p, m: p.unlink(), "0.png"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(fill, pictures, mask_file, change, message):
    change(pictures / "0.png", mask_file)
    with pytest.raises(InputError, match=message) as error:
        fill("--mask", mask_file, source=pictures / "0.png")
    assert "\n" not in str(error.value)
    out = pictures.parent / "out"
    assert not out.exists() or not list(out.iterdir())
