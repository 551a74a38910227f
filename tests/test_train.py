"""train.py as its user runs it."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml

import train
from inpainting.checkpoint import load_weights, save_weights
from models import build_model
from utils.errors import InputError

ROOT = Path(__file__).resolve().parent.parent
DEEPFILL = "--model deepfill_v1 --critic_channels 4 --critic_steps 2"
TINY = "--image_size 32 --base_channels 4 --batch_size 2 --log_every 1 --val_every 4 --val_count 6"


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def go(arguments, log_dir="logs/a"):
        depth = "" if "deepfill_v1" in arguments else "--depth 3"
        train.main(f"{TINY} {depth} --num_workers 0 --save_every 2 --log_dir {log_dir} {arguments}".split())
        return tmp_path / log_dir

    return go


def weights_of(path):
    return {name: t.numpy() for name, t in load_weights(path).state_dict().items()}


def same(a, b):
    return all(np.array_equal(value, b[name]) for name, value in a.items())


def test_two_phases_on_a_folder_of_pictures(run, pictures):
    folder = run(f"--image_root {pictures} --max_iters 2 --style_warmup_iters 1")
    assert yaml.safe_load((folder / "config.yaml").read_text())["max_iters"] == 2
    meta = json.loads((folder / "checkpoints/latest/meta.json").read_text())
    assert (meta["iter"], meta["phase"], meta["model"]) == (2, "initial", "pconv_unet")
    tuned = run(f"--image_root {pictures} --max_iters 2 --phase finetune --weights {folder}", log_dir="logs/b")
    assert "lr: 5e-05" in (tuned / "train.log").read_text()
    before, after = weights_of(folder), weights_of(tuned)
    assert np.array_equal(before["encoder.1.norm._mean"], after["encoder.1.norm._mean"])
    assert not same(before, after)


def contents(folder):
    return {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("options", ["", "--resume auto", "--resume {0}/logs/a"])
def test_a_folder_that_is_no_run_stays_as_it_is(run, pictures, tmp_path, options):
    quick = f"--image_root {pictures} --max_iters 1 --perceptual_weight 0 --style_weight 0"
    run(quick)
    (pictures / "thesis.txt").write_text("mine")
    (tmp_path / "logs/b").mkdir()
    (tmp_path / "logs/b" / "config.yaml").write_text("name: of another program\n")
    kept = contents(tmp_path)
    for log_dir in ("logs", "pictures", "logs/b", ".", str(tmp_path), "..", "logs/a/checkpoints"):
        with pytest.raises(InputError, match="--log_dir: expected a new folder, an empty one or an earlier") as caught:
            run(f"{quick} {options.format(tmp_path)}", log_dir=log_dir)
        assert "\n" not in str(caught.value) and contents(tmp_path) == kept


def test_a_run_that_goes_on_elsewhere_leaves_what_was_there(run, pictures, tmp_path):
    quick = f"--image_root {pictures} --perceptual_weight 0 --style_weight 0"
    first, other = run(f"{quick} --max_iters 2"), run(f"{quick} --max_iters 1 --seed 5", log_dir="logs/b")
    kept = contents(other)
    assert run(f"--max_iters 4 --resume {first}", log_dir="logs/b") == other
    [aside] = other.parent.glob("b_before_*")
    assert {p.relative_to(aside): b for p, b in contents(aside).items() if p.name != ".train.lock"} == {
        p.relative_to(other): b for p, b in kept.items() if p.name != ".train.lock"
    }
    meta = json.loads((other / "checkpoints/latest/meta.json").read_text())
    assert (meta["iter"], meta["seed"]) == (4, 0)


def test_a_resumed_run_trains_on_what_it_trained_on(run, pictures, capsys, tmp_path):
    """The pictures of the list, not the whole folder that the preset names."""
    (tmp_path / "data/celeba").mkdir(parents=True)
    shutil.copytree(pictures, tmp_path / "data/celeba/img_align_celeba")
    (tmp_path / "train.txt").write_text("pictures/0.png\npictures/1.png\n")
    preset = f"--config {ROOT}/configs/celeba.yaml --perceptual_weight 0 --style_weight 0"
    folder = run(f"{preset} --image_root train.txt --val_image_root pictures --max_iters 2")
    capsys.readouterr()
    run(f"{preset} --max_iters 4 --resume auto")
    lines = capsys.readouterr().out.splitlines()
    assert any("in logs/a/config.yaml; those of" in line and "celeba.yaml are not taken" in line for line in lines)
    assert "--max_iters: 2 in the run so far, 4 from here on" in lines
    assert any("; 2 pictures; initial phase, iterations 2 to 4;" in line for line in lines)
    kept = yaml.safe_load((folder / "config.yaml").read_text())
    assert (kept["image_root"], kept["val_image_root"], kept["max_iters"]) == ("train.txt", "pictures", 4)


def test_masks_from_a_folder_and_a_corrupt_picture(run, pictures, mask_file, caplog):
    for name in ("0.png", "1.png", "2.png", "3.png"):
        shutil.copy(pictures / name, pictures / f"b{name}")
    (pictures / "b1.png").write_bytes(b"no picture")  # among those for training
    (pictures / "b2.png").write_bytes(b"no picture")  # among those held out
    masks = mask_file.parent / "masks"
    masks.mkdir()
    shutil.move(mask_file, masks)
    folder = run(f"--image_root {pictures} --mask_root {masks} --max_iters 8 --perceptual_weight 0 --style_weight 0")
    logged = (folder / "train.log").read_text()
    assert "b1.png" in logged + caplog.text and "b2.png" in caplog.text


ONE_OF_EACH_KIND = ("celeba", "critic", "deepfill_celeba", "super_resolution")


@pytest.mark.parametrize(
    "preset",
    [
        pytest.param(p, id=p.name, marks=[] if p.stem in ONE_OF_EACH_KIND else pytest.mark.heavy)
        for p in sorted((ROOT / "configs").glob("*.yaml"))
    ],
)
def test_a_dry_run_of_every_preset_prints_the_plan_and_writes_nothing(preset, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    depth = "--critic_channels 4" if preset.name.startswith("deepfill") else "--depth 3"
    train.main(f"--config {preset} --dry_run {TINY} {depth} --num_workers 0".split())
    plan = capsys.readouterr().out
    assert all(word in plan for word in ("epochs of", "hours", "GiB after a step", "MB each", "nothing was written")), (
        plan
    )
    assert not any(tmp_path.iterdir())


def test_a_damaged_newest_checkpoint_is_passed_over_and_told(run, pictures, caplog):
    pixel_terms = f"--image_root {pictures} --perceptual_weight 0 --style_weight 0 --ema_decay 0.5 --max_iters 4"
    unbroken = weights_of(run(pixel_terms, log_dir="logs/whole"))
    folder = run(pixel_terms, log_dir="logs/broken")
    damaged = folder / "checkpoints/iter_4/model.pdopt"
    damaged.write_bytes(damaged.read_bytes()[:1000])
    with pytest.raises(InputError, match="expected a whole checkpoint"):
        run(f"{pixel_terms} --resume {folder}/checkpoints/iter_4", log_dir="logs/broken")
    run(pixel_terms + " --resume auto", log_dir="logs/broken")
    assert "iter_4/model.pdopt is truncated or damaged" in caplog.text
    assert same(unbroken, weights_of(folder))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("--image_root {0}/empty", "found none"),
        ("--mask_root {0}/empty", "found none"),
        ("--weights {0}/nothing", "expected a directory"),
        ("--phase finetune --resume auto", "expected weights to start from"),
        ("--vgg_weights {0}/mask.png", "--vgg_weights: .*mask.png"),
        ("--vgg_weights {0}/nan.npz", "nan.npz: expected finite weights, got NaN or infinity in conv1_1.weight"),
        ("--sync_norm yes --device cpu", "sync_norm yes: expected a GPU"),
        (f"{DEEPFILL} --depth 3", "--depth: has no effect with --model deepfill_v1"),
        (f"{DEEPFILL} --amp O1", "--amp: has no effect"),
        (f"{DEEPFILL} --local_size 64", "local_size: expected 1 to the pictures' size of 32, got 64"),
        ("--mask_root {0} --hole_shape box", "--hole_shape: has no effect"),
    ],
)
def test_mistakes_are_named_and_leave_no_run(run, pictures, mask_file, tmp_path, arguments, message):
    (tmp_path / "empty").mkdir()
    np.savez(tmp_path / "nan.npz", **{"conv1_1.weight": np.full(3, np.nan)})
    with pytest.raises(InputError, match=message):
        run(f"--image_root {pictures} --max_iters 1 " + arguments.format(tmp_path))
    assert not (tmp_path / "logs").exists()


def test_deepfill_by_the_same_command(run, pictures, capsys):
    folder = run(f"{DEEPFILL} --image_root {pictures} --hole_shape box --max_iters 2 --ema_decay 0.5")
    out = capsys.readouterr().out
    assert "preset: " in out and "deepfill_celeba.yaml" in out and "critics" in out
    meta = json.loads((folder / "checkpoints/latest/meta.json").read_text())
    assert (meta["model"], meta["position"], meta["settings"]["lr"]) == ("deepfill_v1", 2 * 3 * 2, 1e-4)
    assert load_weights(folder).model_options == {"base_channels": 4, "attention": None}


def test_deepfill_against_a_critic_by_the_same_command(run, pictures, capsys):
    arguments = f"--model deepfill_v1 --critic patch --image_root {pictures} --critic_alone_iters 1"
    folder = run(f"{arguments} --max_iters 2")
    assert "critic 1.7" in capsys.readouterr().out  # M parameters
    with open(folder / "metrics.csv", newline="") as file:
        [first, *_] = csv.DictReader(file)
    assert all(first[term] for term in ("discounted", "known", "adversarial", "matching", "critic"))
    assert not {"adversarial_local", "wasserstein_local"} & set(first)
    run("--model deepfill_v1 --resume auto --max_iters 3")
    assert "--max_iters: 2 in the run so far, 3 from here on" in capsys.readouterr().out
    checkpoint = folder / "checkpoints/iter_3"
    assert json.loads((checkpoint / "meta.json").read_text())["position"] == 3 * 2
    assert (checkpoint / "critic.pdopt").exists() and not (checkpoint / "critics.pdopt").exists()


def test_weights_that_fit_another_network_are_noted(run, pictures, tmp_path, capsys):
    """The arrays of the two networks have the same names and shapes."""
    save_weights(build_model("conv_unet", base_channels=4, depth=3), tmp_path / "conv")
    arguments = f"--image_root {pictures} --max_iters 1 --perceptual_weight 0 --style_weight 0"
    run(f"{arguments} --model pconv_unet --weights {tmp_path / 'conv'}")
    assert "holds weights of --model conv_unet --base_channels 4" in capsys.readouterr().err
    assert load_weights(run(f"{arguments} --weights {tmp_path / 'conv'}", "logs/b")).model_name == "conv_unet"
    assert "warning" not in capsys.readouterr().err


def test_the_network_of_weights_needs_no_options(pictures, tmp_path, monkeypatch):
    """Not even those that train.py has no word for; a preset's do not count, and a refusal says what to type."""
    monkeypatch.chdir(tmp_path)
    options = {"base_channels": 4, "depth": 3, "norm": "none", "picture_range": "signed"}
    save_weights(build_model("pconv_residual_unet", **options), tmp_path / "w")
    words = f"--config {ROOT}/configs/celeba.yaml --image_root {pictures} --image_size 32 --batch_size 2"
    words += " --log_dir logs/a --num_workers 0 --max_iters 1 --val_count 2 --perceptual_weight 0 --style_weight 0"
    train.main(f"{words} --weights w --resume auto".split())  # nothing to resume yet
    model = load_weights("logs/a")
    assert model.model_name == "pconv_residual_unet" and options.items() <= model.model_options.items()
    train.main(f"{words} --max_iters 2 --resume auto".split())
    assert load_weights("logs/a").model_options["picture_range"] == "signed"
    with pytest.raises(InputError, match="holds weights of --model pconv_residual_unet --base_channels 4 --depth 3 --"):
        train.main(f"{words} --weights w --depth 2".split())


def test_super_resolution_is_trained_validated_and_taken_up_again(run, pictures, capsys):
    words = f"--image_root {pictures} --hole_shape super_resolution --super_resolution_factors 2,4 --prior smooth"
    words += " --perceptual_weight 0 --style_weight 0"
    run(f"{words} --max_iters 4")
    folder = run(f"--image_root {pictures} --max_iters 8 --resume auto")
    told = capsys.readouterr()
    assert "polarity" not in told.out + told.err and "change --hole" not in told.out + told.err
    assert yaml.safe_load((folder / "config.yaml").read_text())["super_resolution_factors"] == "2,4"
    with open(folder / "metrics.csv") as file:
        rows = [row for row in csv.DictReader(file) if row["val_psnr"]]
    assert [row["iter"] for row in rows] == ["4", "8"]
    assert all(row["val_psnr_0.6-1"] == row["val_psnr"] and not row["val_psnr_0.5-0.6"] for row in rows)


def test_a_validation_folder_counts_beside_sample_photographs(run):
    with pytest.raises(InputError, match="--val_image_root"):
        run("--val_image_root nowhere --max_iters 2")
