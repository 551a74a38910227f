"""The options of train.py, and their presets."""

from pathlib import Path

import pytest

from errors import InputError
from models import MODELS
from options import MODEL_NAMES, parse_train

ROOT = Path(__file__).resolve().parents[2]


def test_the_names_offered_are_the_models_there_are():
    assert set(MODEL_NAMES) == set(MODELS)


@pytest.mark.parametrize("preset", sorted((ROOT / "configs").glob("*.yaml")), ids=lambda p: p.name)
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


def test_learning_rate_follows_the_phase(tmp_path):
    preset = tmp_path / "a.yaml"
    preset.write_text("image_root: pictures\n")
    rates = [parse_train(["--config", str(preset), "--phase", phase])[0].lr for phase in ("initial", "finetune")]
    assert rates == [2e-4, 5e-5]


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
        ("batchsize: 3", "did you mean batch_size"),
        ("- 3", "option: value"),
        ("a: [", "expected YAML"),
    ],
)
def test_a_wrong_preset_is_told(tmp_path, text, message):
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(InputError, match=message):
        parse_train(["--config", str(tmp_path / "a.yaml")])


@pytest.mark.parametrize(
    ("text", "message"),
    [("batch_size: many", "a whole number above 0, got 'many'"), ("model: unet", "invalid choice: 'unet'")],
)
def test_a_presets_values_are_checked_like_typed_ones(tmp_path, capsys, text, message):
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(SystemExit) as leaving:
        parse_train(["--config", str(tmp_path / "a.yaml")])
    assert leaving.value.code == 2 and message in capsys.readouterr().err
