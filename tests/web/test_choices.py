"""Models by name: what there is to choose from, and that a name means nothing else."""

import shutil

import pytest

from web.choices import find_models


@pytest.fixture
def root(tmp_path, small_weights):
    for folder in ("weights/apple", "weights/general", "logs/Run/checkpoints/iter_5", "elsewhere/mine"):
        shutil.copytree(small_weights, tmp_path / folder)
    (tmp_path / "logs/Run/checkpoints/latest").symlink_to("iter_5")
    (tmp_path / "logs/Empty/checkpoints").mkdir(parents=True)
    (tmp_path / "logs/test").mkdir()
    (tmp_path / "weights/README.md").write_text("")
    (tmp_path / "weights/vgg16_pool3.npz").write_text("")
    (tmp_path / "weights/nothing").mkdir()
    return tmp_path


def test_models_under_weights_and_of_runs_are_found_general_first(root):
    models = find_models(root)
    assert list(models) == ["general", "apple", "logs/Run"]
    assert models["logs/Run"] == root / "logs/Run/checkpoints/latest"


def test_own_weights_come_first_and_stand_there_once(root):
    assert list(find_models(root, root / "elsewhere/mine")) == ["mine", "general", "apple", "logs/Run"]
    assert list(find_models(root, root / "weights/apple")) == ["apple", "general", "logs/Run"]
    assert list(find_models(root, root / "logs/Run")) == ["logs/Run", "general", "apple"]
