"""Weights made ready to publish."""

import json

import numpy as np
import pytest

from engine.checkpoint import load_weights
from errors import InputError
from tools import convert_weights


def test_half_precision_weights_with_a_remark(small_weights, tmp_path):
    output = tmp_path / "out"
    convert_weights.main(
        ["--weights", str(small_weights), "--output", str(output), "--dtype", "float16", "--about", "small faces"]
    )
    assert sorted(p.name for p in output.iterdir()) == ["meta.json", "model.pdparams"]
    assert json.loads((output / "meta.json").read_text())["about"] == "small faces"
    before, after = (load_weights(path).state_dict() for path in (small_weights, output))
    for name, value in before.items():
        np.testing.assert_allclose(after[name].numpy(), value.numpy(), rtol=1e-3, atol=1e-4)


def test_a_folder_in_use_is_refused(small_weights, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="new or empty folder"):
        convert_weights.main(["--weights", str(small_weights), "--output", str(tmp_path)])
