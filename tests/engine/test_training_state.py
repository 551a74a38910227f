"""Checkpoints: whole or not there, checked, pruned, and passed over when damaged."""

import logging
import math
import pickle
import resource
import shutil

import numpy as np
import paddle
import pytest
from paddle.utils import unique_name

from engine.training_state import OPTIMIZER, CheckpointFolder, load_optimizer
from inpainting.array_files import read_state
from inpainting.checkpoint import load_weights
from models import build_model
from utils.errors import InputError


@pytest.fixture
def model():
    return build_model("pconv_unet", base_channels=4, depth=2)


@pytest.fixture
def folder(model, tmp_path):
    """Three checkpoints."""
    folder = CheckpointFolder(tmp_path / "checkpoints")
    optimizer = paddle.optimizer.Adam(parameters=model.parameters())
    model(paddle.rand([1, 3, 8, 8]), paddle.ones([1, 1, 8, 8])).mean().backward()
    with unique_name.guard():
        optimizer.step()
    for iteration in (9, 10, 20):
        folder.save(model, iteration, {OPTIMIZER: optimizer.state_dict()}, seed=0)
    return folder


def cut(path):
    path.write_bytes(path.read_bytes()[:-100])


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


SPOILERS = [cut, flip, lambda path: path.unlink(), lambda path: path.write_bytes(b"")]
NAMES = ["model.pdparams", "model.pdopt", "meta.json"]  # one changed letter in meta.json may mean nothing


@pytest.mark.parametrize(("name", "spoil"), [(n, s) for n in NAMES for s in SPOILERS if (n, s) != ("meta.json", flip)])
def test_a_damaged_checkpoint_is_passed_over(folder, name, spoil, caplog):
    spoil(folder.directory / "iter_20" / name)
    with caplog.at_level(logging.WARNING, "paddle_pconv"):
        assert folder.newest().name == "iter_10"
    assert f"iter_20/{name}" in caplog.text


def test_a_full_disk_leaves_the_checkpoints_before_and_nothing_else(folder, model):
    before = {p: p.read_bytes() for p in folder.directory.rglob("*") if p.is_file()}
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))  # bytes of a file, in place of those of a disk
    try:
        with pytest.raises(OSError, match="File too large"):
            folder.save(model, 30, {})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert {p: p.read_bytes() for p in folder.directory.rglob("*") if p.is_file()} == before
    assert folder.newest().name == "iter_20" and not list(folder.directory.glob(".*"))


def save(folder, model, iteration, psnr=None, pictures="a"):
    meta = {} if psnr is None else {"validation": {"psnr": psnr, "pictures": pictures}}
    return folder.save(model, iteration, {}, **meta)


def names(folder):
    return {f"{p.name} {p.readlink()}" if p.is_symlink() else p.name for p in folder.directory.iterdir()}


def test_the_best_is_kept_beside_the_newest(model, tmp_path):
    folder = CheckpointFolder(tmp_path, keep=2)
    for iteration, psnr in ((1, 20.0), (2, 30.0), (3, None), (4, 25.0), (5, 30.0), (6, None)):
        save(folder, model, iteration, psnr)
    assert names(folder) == {"iter_2", "iter_5", "iter_6", "latest iter_6", "best iter_2"}  # of equals the first
    assert (folder.best_psnr("a"), folder.best_psnr("b")) == (30.0, -math.inf)
    assert load_weights(tmp_path / "best").model_name == "pconv_unet"


def test_a_run_that_went_back_keeps_its_own(model, tmp_path):
    folder = CheckpointFolder(tmp_path, keep=2)
    for iteration in (1, 2, 3, 4):
        save(folder, model, iteration)
    save(folder, model, 2)  # of a run that went back to 1
    assert names(folder) == {"iter_2", "iter_4", "latest iter_2"} and folder.newest().name == "iter_2"
    save(folder, model, 3)
    assert names(folder) == {"iter_2", "iter_3", "latest iter_3"}


def test_a_figure_of_other_pictures_is_no_rival(model, tmp_path):
    folder = CheckpointFolder(tmp_path, keep=1)
    save(folder, model, 1, 40.0)
    save(folder, model, 2, 20.0, pictures="b")
    assert names(folder) == {"iter_2", "latest iter_2", "best iter_2"}


def test_a_best_that_is_written_over_or_damaged_is_best_no_more(model, tmp_path):
    folder = CheckpointFolder(tmp_path)
    for iteration, psnr in ((1, 20.0), (2, 30.0), (3, 10.0)):
        save(folder, model, iteration, psnr)
    save(folder, model, 2)  # of a run that went back to 1
    assert "best iter_1" in names(folder)
    (tmp_path / "iter_1" / "meta.json").write_text("{")
    save(folder, model, 4)
    assert "best iter_3" in names(folder)
    for path in tmp_path.glob("iter_*"):
        shutil.rmtree(path)
    save(folder, model, 5)
    assert names(folder) == {"iter_5", "latest iter_5"}


def test_an_optimizer_of_another_network_is_refused(folder):
    other = build_model("pconv_unet", base_channels=4, depth=3)
    optimizer = paddle.optimizer.Adam(parameters=other.parameters())
    with pytest.raises(InputError, match="expected the optimiser's state"):
        load_optimizer(optimizer, folder.newest(), other.state_dict())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda a: a[:-1], r"_moment1_0, float32 \[4, 3, 7, 7\], got float32 \[3, 3, 7, 7\]"),
        (lambda a: a * np.nan, "NaN or infinity in .*_moment1_0"),
    ],
)
def test_a_damaged_state_of_the_optimizer_is_told_by_its_part(folder, model, change, message):
    path, name = folder.newest() / OPTIMIZER, f"{model.encoder[0].conv.weight.name}_moment1_0"
    state = read_state(path)
    path.write_bytes(pickle.dumps(state | {name: change(state[name])}, 4))
    optimizer = paddle.optimizer.Adam(parameters=model.parameters())
    with pytest.raises(InputError, match=message) as caught:
        load_optimizer(optimizer, path.parent, model.state_dict())
    assert "\n" not in str(caught.value) and str(path) in str(caught.value)
