"""The options of train.py, and their presets."""

from pathlib import Path

import pytest

from options import parse_train
from utils.errors import InputError

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("preset", sorted((ROOT / "configs").rglob("*.yaml")), ids=lambda p: p.name)
def test_every_preset_parses_and_is_headed(preset):
    options, changed = parse_train(["--config", str(preset)])
    assert options.max_iters > 0 and changed
    header = preset.read_text().split("\n\n")[0]
    assert all(word in header for word in ("command:", "hardware:", "expected"))


def test_command_line_goes_before_preset_goes_before_default(tmp_path):
    preset = tmp_path / "a.yaml"
    preset.write_text("lr: 1.0e-3\nbatch_size: 9\n")
    options, changed = parse_train(["--config", str(preset), "--batch_size", "3"])
    assert (options.lr, options.batch_size, options.image_size) == (1e-3, 3, 256)
    assert {"lr", "batch_size"} <= set(changed) and "image_size" not in changed


PAPER = {"valid_weight": 1, "hole_weight": 6, "perceptual_weight": 0.05, "style_weight": 120, "tv_weight": 0.1}
SIDE_256 = PAPER | {"image_size": 256, "depth": 7, "base_channels": 64, "batch_size": 16, "style_warmup_iters": 0}
SIDE_512 = PAPER | {"image_size": 512, "depth": 8, "base_channels": 64, "batch_size": 6, "style_warmup_iters": 0}
NVIDIA = {"mask_root": "data/irregular_masks_train", "hole": "black", "mask_dilate": "yes"}
INITIAL, FINETUNE = {"lr": 2e-4}, {"lr": 5e-5}
UNETS = {  # what each preset must say in the initial phase, and in fine-tuning
    "celeba.yaml": (SIDE_256 | INITIAL, SIDE_256 | FINETUNE),
    "celeba_finetune.yaml": (SIDE_256 | INITIAL, SIDE_256 | FINETUNE),
    "paper_512.yaml": (SIDE_512 | NVIDIA | INITIAL, SIDE_512 | NVIDIA | FINETUNE),
    "places2.yaml": (SIDE_512 | INITIAL, SIDE_512 | FINETUNE),
    "places2_finetune.yaml": (SIDE_512 | INITIAL, SIDE_512 | FINETUNE),
    "sunnerli_two_stage.yaml": (SIDE_256 | INITIAL | {"style_warmup_iters": 126620}, SIDE_256 | FINETUNE),
}
DEEPFILL = {"discounted_weight": 1.2, "known_weight": 1.2, "coarse_weight": 1.2, "adversarial_weight": 0.001}
DEEPFILL |= {"critic_steps": 5, "penalty_weight": 10, "hole_shape": "box", "lr_schedule": "constant"}
DEEPFILLS = {
    "deepfill_celeba.yaml": DEEPFILL | {"lr": 1e-4, "discount": 0.9, "base_channels": 32},
    "deepfill_places2.yaml": DEEPFILL | {"lr": 1e-4, "discount": 0.99, "base_channels": 32},
    "deepfill_samples.yaml": DEEPFILL | {"lr": 1e-3, "discount": 0.9, "lr_schedule": "linear"},
}


@pytest.mark.parametrize("phase", [0, 1], ids=["initial", "finetune"])
@pytest.mark.parametrize("preset", UNETS)
def test_a_preset_says_what_the_paper_says_of_the_phase(preset, phase):
    phases = ("initial", "finetune")
    options, changed = parse_train(["--config", str(ROOT / "configs" / preset), "--phase", phases[phase]])
    expected = UNETS[preset][phase]
    assert {key: getattr(options, key) for key in expected} == pytest.approx(expected)
    assert changed.get("lr", options.lr) == options.lr


@pytest.mark.parametrize(
    ("preset", "words", "message"),
    [
        ("celeba", "--critic_weight 2", "--critic_weight: has no effect"),
        ("deepfill_samples", "--critic projected", "--critic: has no effect"),
        ("deepfill_samples", "--style_weight 5", "--style_weight: has no effect with --model deepfill_v1"),
        ("celeba", "--mask_channel yes", "--mask_channel: has no effect with --model pconv_unet"),
        ("celeba", "--hole_shape box --super_resolution_factors 2", "--super_resolution_factors: has no effect"),
        ("deepfill_celeba", "--hole_shape super_resolution", "expected a U-Net"),
        ("deepfill_celeba", "--phase finetune", "--phase: has no effect"),
    ],
)
def test_options_that_would_do_nothing_are_refused(preset, words, message):
    with pytest.raises(InputError, match=message):
        parse_train(["--config", str(ROOT / f"configs/{preset}.yaml"), *words.split()])


@pytest.mark.parametrize("preset", DEEPFILLS)
def test_a_preset_of_deepfill_says_what_the_author_says(preset):
    options, _ = parse_train(["--config", str(ROOT / "configs" / preset)])
    assert {key: getattr(options, key) for key in DEEPFILLS[preset]} == DEEPFILLS[preset]


@pytest.mark.parametrize(
    ("preset", "typed", "rate"),
    [
        ("lr: 1.0e-3", "--phase finetune", 2.5e-4),
        ("lr: 1.0e-3\nphase: finetune", "", 1e-3),
        ("lr: 1.0e-3\nphase: finetune", "--phase initial", 4e-3),
        ("lr: 1.0e-3", "--phase finetune --lr 7e-4", 7e-4),
        ("phase: finetune", "--lr 7e-4", 7e-4),
    ],
)
def test_a_presets_rate_is_that_of_its_phase_and_a_typed_one_is_taken_as_it_is(tmp_path, preset, typed, rate):
    (tmp_path / "a.yaml").write_text(preset)
    options, changed = parse_train(["--config", str(tmp_path / "a.yaml"), *typed.split()])
    assert options.lr == changed["lr"] == pytest.approx(rate)


def test_a_presets_colour_of_the_hole_is_not_taken_for_other_masks():
    preset = ["--config", str(ROOT / "configs/paper_512.yaml")]
    with pytest.raises(InputError, match=r"--mask_root mine: expected --hole white or --hole black beside it"):
        parse_train([*preset, "--mask_root", "mine"])
    for hole in ("white", "black"):
        assert parse_train([*preset, "--mask_root", "mine", "--hole", hole])[0].hole == hole
    assert parse_train([*preset, "--mask_root", NVIDIA["mask_root"]])[0].hole == "black"
    assert parse_train(["--config", str(ROOT / "configs/celeba.yaml"), "--mask_root", "mine"])[0].hole == "white"


def test_factors_are_of_super_resolution():
    given = ["--config", str(ROOT / "configs/celeba.yaml"), "--hole_shape", "super_resolution"]
    assert parse_train(given)[0].super_resolution_factors == "2,3,4"
    for factors in ("1", "17", "2,2", "x"):
        with pytest.raises(SystemExit):
            parse_train([*given, "--super_resolution_factors", factors])


def test_without_the_default_dataset_sample_photos_are_used_and_said(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert parse_train([])[0].image_root is None
    assert capsys.readouterr().out.count("\n") == 1
    (tmp_path / "data/celeba/img_align_celeba").mkdir(parents=True)
    assert parse_train([])[0].image_root == "data/celeba/img_align_celeba"
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("lr: 1\nbatchsize: 3", "got 'batchsize'; did you mean batch_size"),
        ("- 3", "option: value.* got list"),
        ("a: [", "line 1"),
        ("batch_size: many", "batch_size: argument --batch_size: expected a whole number from 1 to 4096, got 'many'"),
        ("image_root: [a, b]", "image_root: expected one value, got a list"),
        ("lr: !!python/object/apply:os.getcwd []", "could not determine a constructor"),
    ],
)
def test_a_wrong_preset_is_reported_by_file_and_key(tmp_path, text, message):
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(InputError, match=message) as caught:
        parse_train(["--config", str(tmp_path / "a.yaml")])
    assert "a.yaml" in str(caught.value) and "\n" not in str(caught.value) and len(str(caught.value)) < 1500


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("mask_dilate: no", {"mask_dilate": "no"}),
        ("lr: 1e-3", {"lr": 1e-3}),
        ("base_channels:", {"base_channels": None}),
    ],
)
def test_a_presets_values_are_what_was_written(tmp_path, text, options):
    (tmp_path / "a.yaml").write_text(text)
    found = vars(parse_train(["--config", str(tmp_path / "a.yaml"), "--image_root", "x", "--max_iters", "9"])[0])
    assert {key: found[key] for key in options} == options
