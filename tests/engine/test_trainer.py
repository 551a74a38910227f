"""The loop: it learns, resumes, schedules, logs, and stops on a loss that is not finite."""

import csv

import numpy as np
import paddle
import pytest

from datasets.inpainting import GeneratedMasks, InpaintingDataset, SamplePhotos
from engine.checkpoint import load_optimizer, load_weights
from engine.trainer import NonFiniteLossError, Settings, Trainer, decay
from engine.validation import ValidationSet
from losses import InpaintingLoss
from models import build_model

PIXEL_TERMS = {"perceptual": 0, "style": 0}


def make_trainer(log_dir, weights=PIXEL_TERMS, **changes):
    settings = {
        "max_iters": 4,
        "batch_size": 2,
        "lr": 1e-3,
        "log_every": 1,
        "val_every": 4,
        "save_every": 2,
        "num_workers": 0,
    }
    paddle.seed(0)
    return Trainer(
        build_model("pconv_unet", base_channels=4, depth=3),
        InpaintingLoss(weights=weights),
        InpaintingDataset(SamplePhotos("train"), GeneratedMasks(), 32, seed=0),
        ValidationSet(SamplePhotos("val"), 32, 6),
        Settings(**{**settings, **changes}),
        log_dir,
    )


def state_of(trainer):
    return {name: t.numpy().copy() for name, t in trainer.model.state_dict().items()}


def rows_of(log_dir):
    with open(log_dir / "metrics.csv", newline="") as file:
        return list(csv.DictReader(file))


def test_a_run_leaves_everything_behind(tmp_path):
    make_trainer(tmp_path, weights=None).run()
    names = {p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*")}
    assert {"train.log", "metrics.csv", "samples/iter_4.png", "checkpoints/iter_2", "checkpoints/latest"} <= names
    assert any(name.startswith("vdlrecords") for name in names)
    log = (tmp_path / "train.log").read_text()
    assert all(
        word in log for word in ("iter: 4/4", "style:", "lr:", "reader_cost:", "batch_cost:", "ips:", "ETA", "psnr:")
    )
    rows = rows_of(tmp_path)
    assert [r["iter"] for r in rows] == ["1", "2", "3", "4", "4"]
    assert float(rows[0]["loss"]) > 0 and float(rows[-1]["val_psnr_0.5-0.6"]) > 0
    assert load_weights(tmp_path).model_name == "pconv_unet"


def test_resume_ends_where_the_unbroken_run_ends(tmp_path):
    unbroken = make_trainer(tmp_path / "a", lr_schedule="linear")
    unbroken.run()
    resumed = make_trainer(tmp_path / "b", lr_schedule="linear")
    checkpoint = tmp_path / "a" / "checkpoints" / "iter_2"
    resumed.model.set_state_dict(load_weights(checkpoint).state_dict())
    load_optimizer(resumed.optimizer, checkpoint, resumed.model.state_dict())
    resumed.run(start_iter=2)
    for name, value in state_of(unbroken).items():
        np.testing.assert_array_equal(value, state_of(resumed)[name], err_msg=name)


def test_a_resumed_log_drops_rows_behind_its_checkpoint(tmp_path):
    make_trainer(tmp_path).run()
    resumed = make_trainer(tmp_path)
    resumed.run(start_iter=2)
    assert [r["iter"] for r in rows_of(tmp_path)] == ["1", "2", "3", "4", "4"]
    assert len(list(tmp_path.glob("vdlrecords.*"))) == 1  # VisualDL shows one file


def test_a_loss_that_is_not_finite_stops_and_names_the_term(tmp_path):
    trainer = make_trainer(tmp_path)
    trainer.criterion.forward = lambda output, gt, mask: {"valid": output.mean(), "hole": output.mean() / 0.0}
    with pytest.raises(NonFiniteLossError, match=r"iteration 1: expected finite loss terms, got hole ="):
        trainer.run()
    assert not (tmp_path / "checkpoints").exists()


def test_fine_tuning_leaves_the_encoders_normalisation_alone(tmp_path):
    trainer = make_trainer(tmp_path, phase="finetune")
    before = state_of(trainer)
    trainer.run()
    changed = {name for name, value in state_of(trainer).items() if not np.array_equal(before[name], value)}
    assert not any(name.startswith("encoder") and ".norm." in name for name in changed)
    assert any(name.startswith("decoder") and ".norm." in name for name in changed)


def test_style_weight_starts_at_one(tmp_path):
    trainer = make_trainer(tmp_path, weights={"style": 120.0}, style_warmup_iters=10)
    seen = []
    for done in (0, 9, 10):
        trainer._set_schedules(done)
        seen.append(trainer.criterion.weights["style"])
    assert seen == [1.0, 1.0, 120.0]


def test_style_schedule_never_raises_a_smaller_weight(tmp_path):
    trainer = make_trainer(tmp_path, style_warmup_iters=10)  # style weight 0
    trainer._set_schedules(0)
    assert trainer.criterion.weights["style"] == 0


@pytest.mark.parametrize(
    ("schedule", "values"), [("constant", (1, 1, 1)), ("linear", (1, 0.5, 0)), ("cosine", (1, 0.5, 0))]
)
def test_decay(schedule, values):
    assert [decay(schedule, progress) for progress in (0, 0.5, 1)] == pytest.approx(values, abs=1e-12)


def test_two_hundred_steps_overfit_four_photos():
    """The hole's loss falls below a fifth of its start: model, loss, optimiser and data work together."""
    paddle.seed(0)
    trainer = make_trainer("unused", lr=3e-3)
    trainer.model = build_model("pconv_unet", base_channels=16, depth=4)
    trainer.optimizer = paddle.optimizer.Adam(3e-3, parameters=trainer.model.parameters(), use_multi_tensor=True)
    dataset = InpaintingDataset(SamplePhotos("train"), GeneratedMasks(), 64, seed=0)
    gt, mask = (paddle.to_tensor(np.stack(arrays)) for arrays in zip(*(dataset[i] for i in range(4)), strict=True))
    trainer.model.train()
    hole = [float(trainer.train_step(gt, mask)["hole"]) for _ in range(200)]
    assert hole[-1] < hole[0] / 5
