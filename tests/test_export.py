"""export.py as its user runs it, and eval.py on what it wrote."""

import json

import pytest

import eval as evaluation
import export
from inpainting.checkpoint import load_weights, save_weights
from utils.errors import InputError


@pytest.fixture(scope="module")
def exported(small_weights, tmp_path_factory):
    directory = tmp_path_factory.mktemp("export") / "pconv"
    export.main(["--weights", str(small_weights), "--output", str(directory)])
    return directory


def test_evaluation_names_the_model_and_its_file(exported, pictures, mask_file, tmp_path):
    arguments = ["--images", pictures, "--masks", mask_file, "--weights", exported, "--output", tmp_path / "report"]
    evaluation.main(list(map(str, arguments)))
    protocol = json.loads((tmp_path / "report" / "report.json").read_text())["protocol"]
    assert protocol["method"] == "pconv_unet"
    files = json.loads((exported / "meta.json").read_text())["files"]
    assert protocol["weights_sha256"] == files["model.pdiparams"]


def test_a_runs_newest_checkpoint_is_exported(small_weights, tmp_path, capsys):
    run = tmp_path / "run" / "checkpoints"
    save_weights(load_weights(small_weights), run / "iter_12", iter=12, seed=3)
    (run / "latest").symlink_to("iter_12")
    export.main(["--weights", str(tmp_path / "run"), "--output", str(tmp_path / "new" / "export")])
    meta = json.loads((tmp_path / "new" / "export" / "meta.json").read_text())
    assert (meta["iter"], meta["seed"], meta["model"]) == (12, 3, "pconv_unet")
    assert "differs from the network by at most" in capsys.readouterr().out


def test_mistakes_are_told(exported, small_weights, tmp_path):
    with pytest.raises(InputError, match="an exported model, which runs and nothing else"):
        export.main(["--weights", str(exported), "--output", str(tmp_path / "again")])
    with pytest.raises(InputError, match="expected a new or an empty folder"):
        export.main(["--weights", str(small_weights), "--output", str(small_weights)])
    with pytest.raises(InputError, match="no such path"):
        export.main(["--weights", str(tmp_path / "none"), "--output", str(tmp_path / "again")])
    assert not (tmp_path / "again").exists()
