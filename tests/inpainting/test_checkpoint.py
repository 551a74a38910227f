"""Weights files: round trips, and every way in which one can be wrong."""

import json
import os

import numpy as np
import paddle
import pytest

from inpainting import checkpoint
from inpainting.checkpoint import load_weights, read_arrays, save_weights, write_arrays
from models import build_model
from utils.errors import InputError

SMALL = {"base_channels": 4, "depth": 2}


@pytest.fixture
def model():
    return build_model("pconv_unet", **SMALL)


@pytest.fixture
def saved(model, tmp_path):
    save_weights(model, tmp_path / "w", iter=7)
    return tmp_path / "w"


def inputs():
    return paddle.rand([1, 3, 8, 8]), paddle.ones([1, 1, 8, 8])


def test_round_trip_gives_the_same_network(model, saved):
    again = load_weights(saved)
    model.eval()
    batch = inputs()
    np.testing.assert_array_equal(again(*batch).numpy(), model(*batch).numpy())
    assert again.model_options == model.model_options and not again.training
    assert json.loads((saved / "meta.json").read_text())["iter"] == 7
    assert load_weights(saved / "model.safetensors").model_name == "pconv_unet"


def test_a_meta_of_other_weights_is_told_where_they_fit_all_the_same(saved, tmp_path, caplog):
    save_weights(build_model("conv_unet", **SMALL), tmp_path / "other")
    load_weights(saved), load_weights(tmp_path / "other")
    assert caplog.text == ""
    (saved / "meta.json").write_bytes((tmp_path / "other" / "meta.json").read_bytes())
    assert load_weights(saved).model_name == "conv_unet"
    [record] = caplog.records
    assert "written beside another model.safetensors: the network may be another than conv_unet" in record.getMessage()


def test_statistics_keep_what_float16_cannot_hold(model, tmp_path):
    """A variance of raw activations may be above 65,504, and one of dead channels below what float16 tells from 0."""
    norm = model.encoder[1].norm
    mean, variance = norm._mean.numpy(), norm._variance.numpy()
    norm._variance.set_value(np.linspace(1e-9, 3e6, len(variance)).astype("float32"))
    norm._mean.set_value(np.full_like(mean, 7e4))
    kept = {name: model.state_dict()[name].numpy().copy() for name in model.running_statistics()}
    save_weights(model, tmp_path / "half", dtype="float16")
    norm._mean.set_value(mean)
    norm._variance.set_value(variance)
    stored = read_arrays(tmp_path / "half" / "model.safetensors")
    assert {name for name, a in stored.items() if a.dtype == np.float32} == set(kept)
    again = load_weights(tmp_path / "half").state_dict()
    for name, value in kept.items():
        np.testing.assert_array_equal(again[name].numpy(), value)


def test_a_weight_that_float16_cannot_hold_is_refused(model, tmp_path):
    weight = model.encoder[1].norm.weight
    before = weight.numpy().copy()
    weight.set_value(paddle.full(weight.shape, 1e5))
    with pytest.raises(InputError, match=r"float16: expected weights of at most 65504, got 100000 in encoder\.1\.norm"):
        save_weights(model, tmp_path / "half", dtype="float16")
    weight.set_value(before)
    assert not (tmp_path / "half").exists()


def test_two_files_of_weights_in_one_folder_are_one_too_many(model, saved):
    with pytest.raises(InputError, match=r"expected a folder without model\.safetensors"):
        save_weights(model, saved, file_name="model.pdparams")
    paddle.save(model.state_dict(), str(saved / "model.pdparams"))
    for path in (saved, saved / "model.safetensors", saved / "model.pdparams"):
        with pytest.raises(InputError, match=r"expected model\.safetensors or model\.pdparams, got both"):
            load_weights(path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"base_channels": 60_000, "depth": 7}, r"encoder\.0\.conv\.weight: expected \[60000, 3, 7, 7\], got \[4, 3"),
        ({"base_channels": 1 << 53, "depth": 7}, "expected options as this program writes it"),
        ({"base_channels": 4, "depth": 1 << 19}, "depth: expected 1 to 10"),
        ({"base_channels": 4.0, "depth": 2}, "base_channels: expected int, as 64 is, got 4.0"),
    ],
)
def test_no_network_is_made_before_the_arrays_are_known_to_be_its_own(saved, monkeypatch, options, message):
    meta = json.loads((saved / "meta.json").read_text())
    (saved / "meta.json").write_text(json.dumps(meta | {"options": options}))
    monkeypatch.setattr(checkpoint, "build_model", lambda *_, **__: pytest.fail("a network was made"))
    with pytest.raises(InputError, match=message) as error:
        load_weights(saved)
    assert "\n" not in str(error.value)


def test_weights_of_whole_numbers_are_refused(saved):
    arrays = read_arrays(saved / "model.safetensors")
    write_arrays({name: array.astype("int32") for name, array in arrays.items()}, saved / "model.safetensors")
    with pytest.raises(InputError, match="floating-point weights, got int32"):
        load_weights(saved)


def test_missing_paths_are_told(tmp_path):
    os.mkfifo(tmp_path / "model.safetensors")
    for path in (tmp_path, tmp_path / "nothing", tmp_path / "model.safetensors", "/dev/zero"):
        with pytest.raises(InputError, match=r"expected a directory with model\.safetensors"):
            load_weights(path)
    (tmp_path / "a.txt").write_text("")
    with pytest.raises(InputError, match="got the file"):
        load_weights(tmp_path / "a.txt")


def test_a_negative_variance_is_refused(tmp_path):
    """ReLU makes 0 of the NaN that it gives, so that it would not show."""
    model = build_model("pconv_unet", base_channels=4, depth=3)
    variance = model.encoder[1].norm._variance
    variance.set_value(variance - 1.5)
    save_weights(model, tmp_path)
    with pytest.raises(InputError, match=r"expected variances of 0 or more, got negative ones in encoder.1.norm"):
        load_weights(tmp_path)


def test_weights_of_deepfill_under_its_former_names_still_load(tmp_path):
    model = build_model("deepfill_v1", base_channels=4)
    save_weights(model, tmp_path)
    former = {"coarse": "coarse", "conv_encoder": "convolving", "attention_encoder": "matching"}
    former |= {"attention_decoder": "pasted", "fusion": "joining"}
    parted = {name: name.partition(".") for name in model.state_dict()}
    arrays = {f"{former[part]}.{rest}": model.state_dict()[name].numpy() for name, (part, _, rest) in parted.items()}
    write_arrays(arrays, tmp_path / "model.safetensors")
    for name, t in load_weights(tmp_path).state_dict().items():
        np.testing.assert_array_equal(t.numpy(), model.state_dict()[name].numpy(), err_msg=name)
