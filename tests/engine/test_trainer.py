"""The loop: it learns, resumes, schedules, logs, and stops on a loss that is not finite."""

import contextlib
import csv
import itertools
import os
import signal

import numpy as np
import paddle
import pytest
from visualdl import LogReader

from datasets.inpainting import GeneratedMasks, InpaintingDataset, SamplePhotos, StreamBatchSampler
from engine import distributed
from engine.readers import read_batches
from engine.reconstruction import ReconstructionTask
from engine.settings import Settings, decay
from engine.task import NonFiniteLossError
from engine.trainer import Stopped, Trainer, stop_signals
from engine.validation import ValidationSet
from inpainting.checkpoint import load_weights, read_meta
from losses import InpaintingLoss, inpainting
from models import build_model

PIXEL_TERMS = {"perceptual": 0, "style": 0}
NORMS = (paddle.nn.BatchNorm2D, paddle.nn.SyncBatchNorm)


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
    settings = Settings(**{**settings, **changes})
    paddle.seed(0)
    return Trainer(
        ReconstructionTask(
            build_model("pconv_unet", base_channels=4, depth=3), InpaintingLoss(weights=weights), settings
        ),
        InpaintingDataset(SamplePhotos("train"), GeneratedMasks(), 32, seed=0),
        ValidationSet(SamplePhotos("val"), 32, 6),
        settings,
        log_dir,
    )


def state_of(trainer):
    return {name: t.numpy().copy() for name, t in trainer.task.model.state_dict().items()}


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


@pytest.mark.parametrize(
    "options",
    [
        {"lr_schedule": "linear", "warmup_iters": 3},
        {"ema_decay": 0.9, "accumulate": 2, "clip_norm": 0.1},
        {"lr_schedule": "cosine", "phase": "finetune"},
    ],
)
def test_resume_ends_where_the_unbroken_run_ends(tmp_path, options):
    unbroken = make_trainer(tmp_path / "a", **options)
    unbroken.run()
    resumed = make_trainer(tmp_path / "b", **options)
    resumed.resume(tmp_path / "a" / "checkpoints" / "iter_2")
    assert (resumed.iteration, resumed.position) == (2, 4 * options.get("accumulate", 1))
    resumed.run()
    for name, value in state_of(unbroken).items():
        np.testing.assert_array_equal(value, state_of(resumed)[name], err_msg=name)
    if resumed.ema:
        for name, value in unbroken.ema.average.items():
            np.testing.assert_array_equal(value.numpy(), resumed.ema.average[name].numpy(), err_msg=name)


def test_a_resumed_log_drops_rows_behind_its_checkpoint_and_a_line_that_a_kill_cut_short(tmp_path):
    make_trainer(tmp_path).run()
    with open(tmp_path / "metrics.csv", "a") as file:
        file.write("4,1,2")
    resumed = make_trainer(tmp_path)
    resumed.resume(tmp_path / "checkpoints" / "iter_2")
    resumed.run()
    assert [r["iter"] for r in rows_of(tmp_path)] == ["1", "2", "3", "4", "4"]
    [records] = tmp_path.glob("vdlrecords.*")  # VisualDL shows one file
    reader = LogReader(file_path=str(records))
    assert [point.id for point in reader.get_data("scalar", "loss_weighted/total")] == [1, 2, 3, 4]


def test_another_batch_size_goes_on_in_the_stream_where_the_first_left_it(tmp_path):
    make_trainer(tmp_path).run()
    resumed = make_trainer(tmp_path, batch_size=3, max_iters=6)
    resumed.resume(tmp_path / "checkpoints" / "iter_4")
    gt, _ = next(iter(resumed.batches()))[0]
    np.testing.assert_array_equal(np.rint(255 * gt[0].numpy()), resumed.dataset[8][0])


def test_averaged_weights_are_saved_and_used(tmp_path):
    trainer = make_trainer(tmp_path, ema_decay=0.5)
    trainer.run()
    directory = tmp_path / "checkpoints" / "iter_4"
    assert (directory / "model_ema.pdparams").is_file()
    weight = load_weights(tmp_path).encoder[0].conv.weight.numpy()
    np.testing.assert_array_equal(weight, trainer.ema.average["encoder.0.conv.weight"].numpy())
    assert not np.array_equal(weight, trainer.task.model.encoder[0].conv.weight.numpy())


def measure(trainer, *psnrs):
    """Have its validations find these, in turn."""
    rest = itertools.cycle(psnrs)
    row = {"bucket": "0.1-0.2", "border": "all", "count": 6, "identical": 0, "l1_percent": 1.0, "ssim": 0.5}
    trainer.validation.measure = lambda inpaint: [row | {"psnr": next(rest)}]
    trainer.validation.samples = lambda inpainter: {"none": np.zeros([8, 8, 3], np.uint8)}
    return trainer


def checkpoints_of(log_dir):
    """Names; of links with what they point at."""
    found = (log_dir / "checkpoints").iterdir()
    return {f"{p.name} {p.readlink()}" if p.is_symlink() else p.name for p in found}


def test_the_best_is_saved_whenever_it_is_found_and_never_pruned(tmp_path):
    trainer = measure(make_trainer(tmp_path, val_every=1, save_every=4, keep=1), 5.0, 20.0, 7.0, 6.0)
    trainer.run()
    assert checkpoints_of(tmp_path) == {"iter_2", "iter_4", "latest iter_4", "best iter_2"}
    assert read_meta(tmp_path / "checkpoints" / "best")["validation"] == {"psnr": 20.0}


def test_a_closed_terminal_is_told_twice_and_with_nohup_in_vain():
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    try:
        with stop_signals() as came:
            for _ in range(2):
                os.kill(os.getpid(), signal.SIGHUP)  # would end this process
        assert came == [signal.SIGHUP] * 2 and signal.getsignal(signal.SIGHUP) == signal.SIG_DFL
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        with stop_signals() as came:
            os.kill(os.getpid(), signal.SIGHUP)
        assert not came and signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_in_float16_some_iterations_may_overflow(tmp_path, caplog):
    """The scaler skips these; their statistics are not kept, and too many in a row end the run."""
    trainer = make_trainer(tmp_path, max_iters=6, amp=True)
    step = trainer.task.step
    trainer.task.step = lambda batches: {
        name: term / (0.0 if trainer.iteration in (2, 3) else 1.0) for name, term in step(batches).items()
    }
    trainer.run()
    assert "iteration 3: skipped, valid = inf" in caplog.text and "iteration 4: skipped" in caplog.text
    assert [row["iter"] for row in rows_of(tmp_path) if row["loss"]] == ["1", "2", "5", "6"]
    trainer = make_trainer(tmp_path / "b", max_iters=60, amp=True, val_every=100)
    trainer.task.criterion.forward = lambda output, gt, mask: {"valid": output.mean() / 0.0, "hole": output.mean()}
    with pytest.raises(NonFiniteLossError, match=r"iteration 21: .* in 21 iterations in a row"):
        trainer.run()


def test_statistics_of_a_step_that_overflowed_are_not_kept():
    settings = Settings(max_iters=1, batch_size=2, lr=0.0, amp=True)
    task = ReconstructionTask(
        build_model("pconv_unet", base_channels=4, depth=3), InpaintingLoss(weights=PIXEL_TERMS), settings
    )
    task.train()
    mask = paddle.ones([2, 1, 32, 32])
    task.step([(paddle.full([2, 3, 32, 32], float("inf")), mask)])
    state = task.model.state_dict()
    assert all(np.isfinite(state[name].numpy()).all() for name in task.model.running_statistics())


@pytest.mark.parametrize(("save_every", "noticed"), [(100, 6), (5, 5)])
def test_it_is_noticed_before_the_next_line_of_the_log_and_before_anything_is_saved(tmp_path, save_every, noticed):
    trainer = make_trainer(tmp_path, max_iters=50, log_every=3, val_every=100, save_every=save_every)
    step = trainer.task.step
    trainer.task.step = lambda batches: {
        name: term / (0.0 if trainer.iteration == 3 else 1.0) for name, term in step(batches).items()
    }
    with pytest.raises(NonFiniteLossError, match=r"^iteration 4: expected finite loss terms, got valid = inf"):
        trainer.run()
    assert trainer.iteration == noticed and not (tmp_path / "checkpoints").exists()


def test_a_signal_to_one_of_many_processes_stops_all_when_they_log(tmp_path, monkeypatch):
    trainer = make_trainer(tmp_path, max_iters=50, log_every=3, val_every=100, save_every=100)
    asked = []
    monkeypatch.setattr(distributed, "world_size", lambda: 2)
    monkeypatch.setattr(distributed, "mean", lambda values: values)
    monkeypatch.setattr(distributed, "average", lambda tensors: None)
    monkeypatch.setattr(distributed, "average_gradients", lambda parameters: None)
    monkeypatch.setattr(distributed, "any_of", lambda flag: asked.append(flag) or trainer.iteration >= 5)
    with pytest.raises(Stopped, match="iter_6"):
        trainer.run()
    assert asked == [False, False]


def test_another_phase_begins_its_schedules_anew_counts_max_iters_from_there_and_resumes(tmp_path):
    def of_phase(phase, directory, max_iters):
        schedule = {"lr_schedule": "linear", "warmup_iters": 2, "ema_decay": 0.9, "max_iters": max_iters}
        return measure(make_trainer(directory, phase=phase, **schedule), 9.0)

    of_phase("initial", tmp_path, 2).run()
    tuning = of_phase("finetune", tmp_path, 4)
    tuning.resume(tmp_path / "checkpoints" / "iter_2")
    assert (tuning.iteration, tuning.phase_start, tuning.last_iteration) == (2, 2, 6)
    assert (tuning.ema.updates, tuning.position) == (0, 4)
    tuning.run()
    rates = [float(row["lr"]) for row in rows_of(tmp_path) if row["lr"]]
    assert rates == pytest.approx([0.5e-3, 0.5e-3, 0.5e-3, 0.75e-3, 0.5e-3, 0.25e-3])
    meta = read_meta(tmp_path / "checkpoints" / "latest")
    assert (meta["iter"], meta["phase"], meta["phase_start"]) == (6, "finetune", 2)
    resumed = of_phase("finetune", tmp_path / "b", 4)
    resumed.resume(tmp_path / "checkpoints" / "iter_4")
    assert (resumed.iteration, resumed.phase_start, resumed.last_iteration) == (4, 2, 6)
    resumed.run()
    for name, value in state_of(tuning).items():
        np.testing.assert_array_equal(value, state_of(resumed)[name], err_msg=name)


def test_with_nothing_left_to_do_the_state_is_in_the_runs_folder_all_the_same(tmp_path):
    measure(make_trainer(tmp_path / "a"), 9.0).run()
    elsewhere = make_trainer(tmp_path / "b")
    elsewhere.resume(tmp_path / "a" / "checkpoints" / "iter_4")
    elsewhere.run()
    assert elsewhere.iteration == 4 and checkpoints_of(tmp_path / "b") == {"iter_4", "latest iter_4"}
    for name, value in state_of(elsewhere).items():
        np.testing.assert_array_equal(value, load_weights(tmp_path / "b").state_dict()[name].numpy(), err_msg=name)


def test_style_weight_starts_at_one(tmp_path):
    trainer = make_trainer(tmp_path, weights={"style": 120.0}, style_warmup_iters=10)
    seen = []
    for done in (0, 9, 10):
        trainer.task.schedule(done)
        seen.append(trainer.task.weights["style"])
    assert seen == [1.0, 1.0, 120.0]


def test_the_learning_rate_warms_up_and_decays():
    settings = Settings(max_iters=100, batch_size=1, lr=2.0, lr_schedule="linear", warmup_iters=4)
    assert [settings.lr_at(done) for done in (0, 1, 3, 50)] == pytest.approx([0.5, 0.99, 1.94, 1.0])
    assert [decay("cosine", progress) for progress in (0, 0.5, 1)] == pytest.approx((1, 0.5, 0), abs=1e-12)


@pytest.mark.heavy
def test_two_hundred_steps_overfit_four_photos():
    """The hole's loss falls below a fifth of its start: model, loss, optimiser and data work together."""
    trainer = make_trainer("unused", lr=3e-3)
    model = build_model("pconv_unet", base_channels=16, depth=4)
    task = ReconstructionTask(model, InpaintingLoss(weights=PIXEL_TERMS), trainer.settings)
    dataset = InpaintingDataset(SamplePhotos("train"), GeneratedMasks(), 64, seed=0)
    [(gt, mask)] = read_batches(dataset, StreamBatchSampler(4, 1), num_workers=0)
    task.train()
    hole = [task.step([(gt, mask)])["hole"] for _ in range(200)]
    assert hole[-1] < hole[0] / 5


def test_mixed_precision_is_for_the_network_and_vgg_alone(monkeypatch):
    """Paddle has none on a CPU: what counts here is where it is switched on."""
    switched, seen = [False], {}

    @contextlib.contextmanager
    def auto_cast(enable=True, **_):
        switched.append(enable)
        yield
        switched.pop()

    def watch(name, function):
        def watched(*arguments):
            seen.setdefault(name, set()).add(switched[-1])
            return function(*arguments)

        return watched

    monkeypatch.setattr(paddle.amp, "auto_cast", auto_cast)
    for name in ("masked_l1", "total_variation", "perceptual", "style"):
        monkeypatch.setattr(inpainting, name, watch(name, getattr(inpainting, name)))
    model = build_model("pconv_unet", base_channels=4, depth=3)
    model.register_forward_pre_hook(watch("network", lambda *_: None))
    criterion = InpaintingLoss(watch("features", lambda picture: [picture]))
    gt, mask = paddle.rand([2, 3, 16, 16]), (paddle.rand([2, 1, 16, 16]) > 0.3).astype("float32")
    ReconstructionTask(model, criterion, Settings(max_iters=1, batch_size=2, lr=1e-3, amp=True)).step([(gt, mask)])
    assert seen.pop("network") == seen.pop("features") == {True} and switched == [False]
    assert seen == {name: {False} for name in ("masked_l1", "total_variation", "perceptual", "style")}


@pytest.mark.parametrize("name", ["pconv_unet", "conv_unet", "pconv_residual_unet"])
@pytest.mark.parametrize("phase", ["initial", "finetune"])
def test_fine_tuning_synchronises_no_normalisation_that_it_fixes(name, phase):
    """On a GPU the synchronised layer has no gradient in evaluation mode, which the encoder's is in then."""
    model = build_model(name, base_channels=4, depth=3)
    before = set(model.state_dict())
    settings = Settings(max_iters=1, batch_size=2, lr=1e-3, phase=phase, sync_norm=True)
    ReconstructionTask(model, InpaintingLoss(lambda picture: [], PIXEL_TERMS), settings)
    model.train()
    for part, learns in (("encoder", phase == "initial"), ("decoder", True)):
        norms = [norm for norm in getattr(model, part).sublayers() if isinstance(norm, NORMS)]
        assert len(norms) >= 2 and {norm.training for norm in norms} == {learns}
        assert {isinstance(norm, paddle.nn.SyncBatchNorm) for norm in norms} == {learns}
    assert set(model.state_dict()) == before
