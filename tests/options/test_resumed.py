"""A resumed run has its own options; what is typed goes before them, and a preset does not."""

import pytest
import yaml

from options import parse_train
from utils.errors import InputError


@pytest.fixture
def run(tmp_path, monkeypatch):
    """The folder of a run with these options, typed or of a preset, that has a checkpoint."""
    monkeypatch.chdir(tmp_path)

    def make(arguments, folder="logs/a"):
        options = vars(parse_train([*arguments.split(), "--log_dir", folder])[0])
        (tmp_path / folder / "checkpoints" / "iter_2").mkdir(parents=True)
        kept = {key: value for key, value in options.items() if key not in ("resume", "dry_run")}
        (tmp_path / folder / "config.yaml").write_text(yaml.safe_dump(kept, sort_keys=False))
        return tmp_path / folder

    return make


def resumed(arguments, resume="auto", log_dir="logs/a"):
    return vars(parse_train([*arguments.split(), "--resume", str(resume), "--log_dir", log_dir])[0])


def test_all_options_are_taken_up_and_nothing_is_told(run, capsys):
    run("--image_root pics --base_channels 8 --lr 3e-4 --mask_dilate no --amp O0 --clip_norm 0.1 --val_image_root v")
    capsys.readouterr()
    found = resumed("")
    expected = {"image_root": "pics", "base_channels": 8, "lr": 3e-4, "mask_dilate": "no", "clip_norm": 0.1}
    assert {key: found[key] for key in expected} == expected and found["val_image_root"] == "v"
    assert capsys.readouterr().out == "going on with the options in logs/a/config.yaml; type those to change\n"


def test_what_is_typed_goes_before_them_and_is_told(run, capsys):
    run("--image_root pics --batch_size 4 --seed 3")
    capsys.readouterr()
    found = resumed("--batch_size 8 --seed 3 --norm none")
    assert (found["batch_size"], found["seed"], found["norm"]) == (8, 3, "none")
    assert set(capsys.readouterr().out.splitlines()[1:]) == {
        "--batch_size: 4 in the run so far, 8 from here on",
        "--norm: not given in the run so far, none from here on",
    }


def test_a_preset_does_not_go_before_them_and_that_is_told(run, capsys, tmp_path):
    (tmp_path / "a.yaml").write_text("image_root: all\nval_every: 7\nmax_iters: 90\nlog_every: 3\n")
    run("--config a.yaml --image_root train.txt --max_iters 50")
    (tmp_path / "a.yaml").write_text("image_root: all\nval_every: 9\nmax_iters: 90\nlog_every: 3\n")
    capsys.readouterr()
    found = resumed("--config a.yaml --max_iters 60")
    assert (found["image_root"], found["val_every"], found["max_iters"]) == ("train.txt", 7, 60)
    first, *more = capsys.readouterr().out.splitlines()
    assert "those of a.yaml are not taken" in first and more == ["--max_iters: 50 in the run so far, 60 from here on"]


@pytest.mark.parametrize("resume", ["auto", "logs/a", "logs/a/checkpoints/iter_2"])
def test_the_preset_of_another_run_is_refused(run, tmp_path, resume):
    (tmp_path / "b").mkdir()
    for name in ("a.yaml", "b.yaml", "b/a.yaml"):
        (tmp_path / name).write_text("image_root: pics\n")
    folder = run("--config a.yaml")
    with pytest.raises(InputError, match=r"expected a.yaml, the preset of the run in logs/a, got b.yaml; leave"):
        resumed("--config b.yaml", resume)
    assert resumed("", resume)["config"] == resumed("--config b/a.yaml", resume)["config"] == "a.yaml"
    assert resumed("--config b.yaml", "auto", "logs/new")["config"] == "b.yaml"
    options = folder / "config.yaml"
    assert vars(parse_train(["--config", str(options)])[0])["config"] == str(options)  # is a preset as well
    options.write_text(options.read_text().replace("config: a.yaml\n", ""))  # as version 0.1.0 wrote it
    assert resumed("--config b.yaml", resume)["config"] is None


@pytest.mark.parametrize(
    "place", ["", "checkpoints", "checkpoints/iter_2", "checkpoints/latest", "checkpoints/iter_2/a"]
)
def test_a_checkpoint_leads_to_its_run(run, place):
    folder = run("--image_root pics --seed 3 --weights w")
    (folder / "checkpoints/latest").symlink_to("iter_2")
    (folder / "checkpoints/iter_2/a").write_text("")
    found = resumed("", folder / place, "logs/other")
    assert (found["seed"], found["log_dir"], found["weights"]) == (3, "logs/other", None)


@pytest.mark.parametrize(
    ("typed", "rate"), [("", 2e-4), ("--phase finetune", 5e-5), ("--phase finetune --lr 1e-3", 1e-3)]
)
def test_the_rate_follows_the_phase(run, typed, rate):
    run("--image_root pics --style_warmup_iters 9")
    found = resumed(typed)
    assert found["lr"] == pytest.approx(rate) and found["style_warmup_iters"] == (0 if typed else 9)


def test_a_run_killed_before_its_first_checkpoint_starts_again_with_its_options(run):
    folder = run("--image_root pics --seed 3 --weights w")
    (folder / "checkpoints/iter_2").rmdir()
    found = resumed("")
    assert (found["seed"], found["weights"], found["image_root"]) == (3, "w", "pics")
    (folder / "checkpoints").rmdir()
    assert resumed("")["seed"] == 3
