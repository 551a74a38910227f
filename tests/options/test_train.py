"""The options of train.py, and their presets."""

import itertools
import os
from pathlib import Path

import pytest

from options import hyper_parameters, parse_train, train_parser
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


@pytest.mark.parametrize(
    ("preset", "own", "others"),
    [("samples", "style_weight", "critic_steps"), ("deepfill_samples", "critic_steps", "style_weight")],
)
def test_runs_are_compared_by_what_they_learn_from(preset, own, others):
    values = hyper_parameters(parse_train(["--config", str(ROOT / f"configs/{preset}.yaml"), "--seed", "7"])[0])
    assert {"model", "lr", "image_size", own} <= set(values) and values["seed"] == 7
    assert not {others, "log_dir", "device", "threads", "num_workers", "config", "mask_root"} & set(values)
    assert all(isinstance(value, (str, int, float)) for value in values.values())


PAPER = {"valid_weight": 1, "hole_weight": 6, "perceptual_weight": 0.05, "style_weight": 120, "tv_weight": 0.1}
SIDE_256 = PAPER | {"image_size": 256, "depth": 7, "base_channels": 64, "batch_size": 16, "style_warmup_iters": 0}
SIDE_512 = PAPER | {"image_size": 512, "depth": 8, "base_channels": 64, "batch_size": 6, "style_warmup_iters": 0}
NVIDIA = {"mask_root": "data/irregular_masks_train", "hole": "black", "mask_dilate": "yes"}
LATTICE = {"hole_shape": "super_resolution", "super_resolution_factors": "2,4", "mask_root": None, "prior": "smooth"}
CRITIC = {
    "critic": "projected",
    "hole_shape": "wide",
    "prior": "smooth",
    "norm": "none",
    "hole_weight": 6,
    "valid_weight": 0,
}
CRITIC |= {"perceptual_weight": 0, "style_weight": 0, "tv_weight": 0, "critic_weight": 1, "matching_weight": 2}
INITIAL, FINETUNE = {"lr": 2e-4}, {"lr": 5e-5}
UNETS = {  # what each preset must say in the initial phase, and in fine-tuning
    "celeba.yaml": (SIDE_256 | INITIAL, SIDE_256 | FINETUNE),
    "celeba_finetune.yaml": (SIDE_256 | INITIAL, SIDE_256 | FINETUNE),
    "paper_512.yaml": (SIDE_512 | NVIDIA | INITIAL, SIDE_512 | NVIDIA | FINETUNE),
    "places2.yaml": (SIDE_512 | INITIAL, SIDE_512 | FINETUNE),
    "places2_finetune.yaml": (SIDE_512 | INITIAL, SIDE_512 | FINETUNE),
    "sunnerli_two_stage.yaml": (SIDE_256 | INITIAL | {"style_warmup_iters": 126620}, SIDE_256 | FINETUNE),
    "samples.yaml": (PAPER | {"style_weight": 1, "lr": 2e-3}, PAPER | {"style_weight": 1, "lr": 5e-4}),
    "critic.yaml": (CRITIC | INITIAL, CRITIC | FINETUNE),
    "super_resolution.yaml": (LATTICE | {"lr": 2e-3}, LATTICE | {"lr": 5e-4}),
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
    options, changed = parse_train(
        ["--config", str(ROOT / "configs" / preset), "--phase", ("initial", "finetune")[phase]]
    )
    expected = UNETS[preset][phase]
    assert {key: getattr(options, key) for key in expected} == pytest.approx(expected)
    assert changed.get("lr", options.lr) == options.lr


def test_options_of_the_critic_need_one():
    with pytest.raises(InputError, match="--critic_weight: means nothing without --critic"):
        parse_train(["--config", str(ROOT / "configs/celeba.yaml"), "--critic_weight", "2"])


def test_the_critic_takes_the_place_of_deepfills_own():
    given = ["--config", str(ROOT / "configs/deepfill_samples.yaml"), "--critic", "patch", "--critic_weight", "2"]
    options, changed = parse_train(given)  # the preset's --critic_channels is set aside
    values = hyper_parameters(options)
    assert {"critic", "critic_weight", "matching_weight", "known_weight", "discount"} <= set(values)
    assert not {"critic_steps", "critic_channels", "adversarial_weight", "style_weight"} & set(values)
    assert "critic_channels" not in changed
    for option in ("adversarial_weight", "penalty_weight", "critic_steps", "critic_channels", "local_size"):
        with pytest.raises(InputError, match=f"--{option}: means nothing beside --critic"):
            parse_train([*given, f"--{option}", "5"])
    with pytest.raises(InputError, match="--style_weight: means nothing to --model deepfill_v1"):
        parse_train([*given, "--style_weight", "5"])


@pytest.mark.parametrize("preset", DEEPFILLS)
def test_a_preset_of_deepfill_says_what_the_author_says_and_has_no_phases(preset):
    arguments = ["--config", str(ROOT / "configs" / preset)]
    options, _ = parse_train(arguments)
    assert {key: getattr(options, key) for key in DEEPFILLS[preset]} == DEEPFILLS[preset]
    with pytest.raises(InputError, match="--phase: means nothing"):
        parse_train([*arguments, "--phase", "finetune"])


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


def test_the_mask_channel_is_of_conv_unet():
    def parse(model, preset="celeba.yaml"):
        return parse_train(["--config", str(ROOT / "configs" / preset), "--model", model, "--mask_channel", "yes"])

    assert parse("conv_unet")[0].mask_channel == "yes"
    for others in (["pconv_unet"], ["pconv_residual_unet"], ["deepfill_v1", "deepfill_celeba.yaml"]):
        with pytest.raises(InputError, match=f"--mask_channel: means nothing to --model {others[0]}"):
            parse(*others)


def test_factors_are_of_super_resolution_and_of_u_nets():
    given = ["--config", str(ROOT / "configs/celeba.yaml"), "--hole_shape", "super_resolution"]
    assert parse_train(given)[0].super_resolution_factors == "2,3,4"
    assert parse_train([*given, "--super_resolution_factors", "8"])[0].super_resolution_factors == "8"
    for words, message in (
        (["--hole_shape", "box", "--super_resolution_factors", "2"], "means nothing to --hole_shape box"),
        (["--model", "deepfill_v1", "--config", str(ROOT / "configs/deepfill_celeba.yaml")], "expected a U-Net"),
    ):
        with pytest.raises(InputError, match=message):
            parse_train([*given, *words])
    for factors in ("", "1", "17", "2,2", "2;3", "2,", "x"):
        with pytest.raises(SystemExit):
            parse_train([*given, "--super_resolution_factors", factors])


def test_without_the_default_dataset_sample_photos_are_used_and_said(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert parse_train([])[0].image_root is None
    assert capsys.readouterr().out.count("\n") == 1
    (tmp_path / "data/celeba/img_align_celeba").mkdir(parents=True)
    assert parse_train([])[0].image_root == "data/celeba/img_align_celeba"
    assert capsys.readouterr().out == ""


def test_help_shows_the_built_in_defaults_and_that_a_preset_changes_them(capsys):
    with pytest.raises(SystemExit) as leaving:
        parse_train(["--help"])
    told = " ".join(capsys.readouterr().out.split())
    defaults = [v for v in vars(train_parser().parse_args([])).values() if v is not None and v is not False]
    assert leaving.value.code == 0 and told.count("(default: ") == len(defaults) > 30
    assert all(f"(default: {value})" in told for value in defaults)
    assert "a preset changes them" in told


LAUGHS = "a: &a [x, x]\n" + "".join(f"{b}: &{b} [*{a}, *{a}, *{a}]\n" for a, b in itertools.pairwise("abcdefghij"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("lr: 1\nbatchsize: 3", "got 'batchsize'; did you mean batch_size"),
        ("- 3", "option: value.* got list"),
        ("lr: 1\na: [", "line 2"),
        ("batch_size: many", "batch_size: argument --batch_size: expected a whole number from 1 to 4096, got 'many'"),
        ("image_root: [a, b]", "image_root: expected one value, got a list"),
        (LAUGHS, "a: expected one value"),
        ("lr: !!python/object/apply:os.getcwd []", "could not determine a constructor"),
        ("lr: " + "[" * 100_000, "expected"),
    ],
)
def test_a_wrong_preset_is_reported_by_file_and_key(tmp_path, text, message):
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(InputError, match=message) as caught:
        parse_train(["--config", str(tmp_path / "a.yaml")])
    assert "a.yaml" in str(caught.value) and "\n" not in str(caught.value) and len(str(caught.value)) < 1500


def test_a_preset_that_is_no_file_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "large").write_bytes(b"#" * 100_000)
    for path in (tmp_path / "pipe", "/dev/zero", tmp_path, tmp_path / "nothing", tmp_path / "large"):
        with pytest.raises(InputError, match="expected a preset, a YAML file with lines of 'option: value', got"):
            parse_train(["--config", str(path)])


@pytest.mark.parametrize(
    ("text", "options"),
    [
        ("mask_dilate: no", {"mask_dilate": "no"}),
        ("lr: 1e-3", {"lr": 1e-3}),
        ("base_channels:", {"base_channels": None}),
        ("log_dir: -logs", {"log_dir": "-logs"}),
        ("val_every: &n 7\nsave_every: *n", {"val_every": 7, "save_every": 7}),
    ],
)
def test_a_presets_values_are_what_was_written(tmp_path, text, options):
    (tmp_path / "a.yaml").write_text(text)
    found = vars(parse_train(["--config", str(tmp_path / "a.yaml"), "--image_root", "x", "--max_iters", "9"])[0])
    assert {key: found[key] for key in options} == options


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--batchsize 3", "no such option: --batchsize; did you mean --batch_size?"),
        ("celeba.yaml", "no such option: celeba.yaml; see"),
    ],
)
def test_a_typing_error_on_the_command_line_gets_a_suggestion(capsys, words, message):
    with pytest.raises(SystemExit) as leaving:
        parse_train(words.split())
    told = capsys.readouterr().err
    assert leaving.value.code == 2 and message in told and told.count("\n") == 1
