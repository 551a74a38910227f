"""Weights made ready to publish."""

import json

import numpy as np
import pytest

from inpainting.checkpoint import load_weights, read_arrays, save_weights
from models import build_model
from tools import convert_weights
from utils.errors import InputError


def test_half_precision_weights_with_a_remark(small_weights, tmp_path):
    output = tmp_path / "out"
    convert_weights.main(
        ["--weights", str(small_weights), "--output", str(output), "--dtype", "float16", "--about", "small faces"]
    )
    assert sorted(p.name for p in output.iterdir()) == ["meta.json", "model.safetensors"]
    assert json.loads((output / "meta.json").read_text())["about"] == "small faces"
    statistics = set(load_weights(output).running_statistics())
    for name, array in read_arrays(output / "model.safetensors").items():
        assert array.dtype == ("float32" if name in statistics else "float16"), name
    before, after = (load_weights(path).state_dict() for path in (small_weights, output))
    for name, value in before.items():
        np.testing.assert_allclose(after[name].numpy(), value.numpy(), rtol=1e-3, atol=1e-4)


def test_a_mixture_lies_between_the_two(small_weights, tmp_path):
    tuned = build_model("pconv_unet", base_channels=4, depth=3)
    save_weights(tuned, tmp_path / "tuned")
    arguments = ["--weights", tmp_path / "tuned", "--average", small_weights, "--share", "0.7"]
    convert_weights.main([*map(str, arguments), "--output", str(tmp_path / "out")])
    first, second, mixed = (
        load_weights(path).state_dict() for path in (small_weights, tmp_path / "tuned", tmp_path / "out")
    )
    for name, value in mixed.items():
        expected = 0.3 * first[name].numpy() + 0.7 * second[name].numpy()
        np.testing.assert_allclose(value.numpy(), expected, rtol=1e-5, atol=1e-7)
    save_weights(build_model("pconv_unet", base_channels=4, depth=2), tmp_path / "other")
    with pytest.raises(InputError, match="--average: expected weights of the same network"):
        arguments[3] = tmp_path / "other"
        convert_weights.main([*map(str, arguments), "--output", str(tmp_path / "new")])
    assert not (tmp_path / "new").exists()


def test_a_folder_in_use_is_refused(small_weights, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="new or empty folder"):
        convert_weights.main(["--weights", str(small_weights), "--output", str(tmp_path)])
