"""Checkpoints: whole or not there, checked, pruned, and passed over when damaged."""

import logging
import shutil

import paddle
import pytest

from engine.training_state import OPTIMIZER, CheckpointFolder, damage, load_optimizer
from errors import InputError
from inpainting.checkpoint import load_weights
from models import build_model


@pytest.fixture
def model():
    return build_model("pconv_unet", base_channels=4, depth=2)


@pytest.fixture
def folder(model, tmp_path):
    """Three checkpoints."""
    folder = CheckpointFolder(tmp_path / "checkpoints")
    optimizer = paddle.optimizer.Adam(parameters=model.parameters())
    model(paddle.rand([1, 3, 8, 8]), paddle.ones([1, 1, 8, 8])).mean().backward()
    optimizer.step()
    for iteration in (9, 10, 20):
        folder.save(model, iteration, {OPTIMIZER: optimizer.state_dict()}, seed=0)
    return folder


def test_latest_points_at_the_newest(folder):
    assert (folder.directory / "latest").resolve().name == "iter_20"
    assert folder.newest().name == "iter_20"
    assert load_weights(folder.directory.parent).model_name == "pconv_unet"  # a run's folder means its newest


def test_a_full_disk_leaves_what_was_there(folder, model, monkeypatch):
    def full_disk(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(paddle, "save", full_disk)
    with pytest.raises(OSError, match="No space"):
        folder.save(model, 30, {})
    assert {p.name for p in folder.directory.iterdir()} == {"iter_9", "iter_10", "iter_20", "latest"}
    assert folder.newest().name == "iter_20"


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


def test_a_missing_checkpoint_is_passed_over_and_none_is_none(folder, tmp_path):
    shutil.rmtree(folder.directory / "iter_20")
    assert folder.newest().name == "iter_10"
    assert CheckpointFolder(tmp_path / "nothing").newest() is None


def test_a_half_written_checkpoint_is_none(folder):
    shutil.copytree(folder.directory / "iter_20", folder.directory / ".iter_30.1.tmp")
    assert folder.newest().name == "iter_20"


def test_an_optimizer_of_another_network_is_refused(folder):
    other = build_model("pconv_unet", base_channels=4, depth=3)
    optimizer = paddle.optimizer.Adam(parameters=other.parameters())
    with pytest.raises(InputError, match="expected the optimiser's state"):
        load_optimizer(optimizer, folder.newest(), other.state_dict())


def test_damage_of_a_whole_checkpoint_is_none(folder):
    assert damage(folder.newest()) is None
