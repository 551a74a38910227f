"""Two presets trained with equal budgets, stopped on the way, tabled against one another."""

import shutil
from pathlib import Path

import numpy as np
import pytest

import train
from datasets.mask_generator import generate_mask
from datasets.masks import BUCKETS, write_mask
from metrics.comparison import overall_differences, read_samples
from options import parse_train
from tools import ablate

ROOT = Path(__file__).resolve().parents[2]
TINY = (
    "--image_size 32 --base_channels 4 --depth 2 --batch_size 2 --val_count 2 --perceptual_weight 0 --style_weight 0 "
    "--save_every 2 --log_every 1 --num_workers 0"
)


@pytest.fixture
def go(tmp_path, pictures, monkeypatch):
    """Runs the tool over a baseline and a preset without weight for the hole."""
    monkeypatch.chdir(tmp_path)
    Path("presets").mkdir()
    monkeypatch.setattr(ablate, "BASELINE", tmp_path / "presets/base.yaml")
    for name, weight in (("base", 6), ("light", 1)):
        Path(f"presets/{name}.yaml").write_text(
            f"image_root: {pictures}\nhole_weight: {weight}\nlog_dir: logs/{name}\n"
        )
    for i, bucket in enumerate(BUCKETS):
        write_mask(tmp_path / f"masks/{i}.png", generate_mask(np.random.default_rng(i), 32, 32, bucket))

    def call():
        ablate.main(f"--max_iters 4 --images {pictures} --masks masks --size 32 --output out -- {TINY}".split())
        return tmp_path / "out"

    return call


def psnrs(folder):
    return [s.psnr for name in ("base", "light") for s in read_samples(folder / f"reports/{name}/report.json")]


def test_stopped_on_the_way_it_goes_on_and_compares_pair_by_pair(go, monkeypatch):
    whole = go()
    kept, table = psnrs(whole), (whole / "ablations.md").read_text()
    # As after a kill: the second run has its first checkpoint alone, and there is neither its report nor a table.
    shutil.rmtree(whole / "runs/light/checkpoints/iter_4")
    shutil.rmtree(whole / "reports/light")
    (whole / "ablations.md").unlink()
    began = []
    real = train.run_to_the_end
    monkeypatch.setattr(train, "run_to_the_end", lambda trainer: (began.append(trainer.iteration), real(trainer)))
    go()
    assert began == [4, 2]
    assert psnrs(whole) == pytest.approx(kept, abs=0.05)  # sums may differ in their last digits with where arrays lie
    samples = [read_samples(whole / f"reports/{name}/report.json") for name in ("base", "light")]
    expected = overall_differences(*samples)["psnr"]
    gains = [b.psnr - a.psnr for a, b in zip(*samples, strict=True)]
    assert expected.mean == pytest.approx(np.mean(gains)) and expected.pairs == len(gains) > 1
    assert f"{expected.mean:+.3f}" in table


ABOUT = {
    "no_perceptual": {"perceptual_weight": 0},
    "no_style": {"style_weight": 0},
    "no_tv": {"tv_weight": 0},
    "no_hole_weight": {"hole_weight": 1},
    "joint_masks": {"hole_shape": "both"},
    "conv_unet": {"model": "conv_unet"},
    "residual": {"model": "pconv_residual_unet"},
    "smooth_prior": {"prior": "smooth"},
}


@pytest.mark.parametrize("phase", ["initial", "finetune"])
def test_each_preset_of_the_folder_is_the_baseline_but_for_what_it_is_about(phase):
    def options_of(preset):
        parsed = vars(parse_train(["--config", str(preset), "--phase", phase])[0])
        return {key: value for key, value in parsed.items() if key not in ("config", "log_dir")}

    baseline, *others = ablate.presets()
    paper = options_of(baseline)
    assert baseline.stem == "baseline" and paper == options_of(ROOT / "configs/celeba.yaml")
    differing = {p.stem: {k: v for k, v in options_of(p).items() if v != paper[k]} for p in others}
    assert differing == ABOUT
