"""Other projects' weights: parity with their networks where PyTorch is there, layouts and refusals everywhere."""

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import paddle
import pytest

from inpainting.array_files import read_arrays
from inpainting.checkpoint import load_weights
from losses import VGG16Features
from losses.vgg import CHANNELS, TORCHVISION_INDEX
from models import build_model
from tests.inpainting.torch_by_hand import old_format, torch_zip, write_torch
from tools import convert_weights, ports
from utils.errors import InputError

ROOT = Path(__file__).resolve().parents[2]
PORTS = ("naoto", "naoto_earlier", "generator", "mmagic", "nvidia", "deepfill")
LAYOUTS = dict(zip(PORTS, ports.LAYOUTS, strict=False))
RNG = np.random.default_rng(0)


def convert(file, output, *arguments):
    convert_weights.main(["--weights", str(file), "--output", str(output), *arguments])
    return load_weights(output)


@pytest.fixture(scope="module")
def by_torch(tmp_path_factory):
    """Weights of every port and what its own network makes of the inputs, in a process of its own."""
    if not importlib.util.find_spec("torch"):
        pytest.skip("PyTorch is not there")
    folder = tmp_path_factory.mktemp("ports")
    mask = (RNG.random([2, 1, 128, 128]) > 0.2).astype("float32")
    mask[0, 0, 20:90, 30:100] = mask[1, 0, :60, 70:] = 0
    np.savez(folder / "inputs.npz", image=RNG.random([2, 3, 128, 128], dtype="float32"), mask=mask)
    subprocess.run([sys.executable, "-m", "tests.tools.port_networks", str(folder)], cwd=ROOT, check=True)
    return folder


@pytest.mark.parametrize("port", sorted(set(PORTS) - {"naoto_earlier"}))
def test_a_converted_network_is_the_ports(by_torch, tmp_path, port):
    [file] = by_torch.glob(f"{port}.pt*")
    model = convert(file, tmp_path / "out", *(["--picture_range", "imagenet"] if port == "nvidia" else []))
    inputs, expected = np.load(by_torch / "inputs.npz"), np.load(by_torch / f"{port}.npy")
    found = model(paddle.to_tensor(inputs["image"]), paddle.to_tensor(inputs["mask"])).numpy()
    assert 0.3 < np.ptp(expected) < 30 and expected.std() > 0.05
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4)
    for name, parameter in model.named_parameters():  # else it would tell nothing of them
        if name.endswith("weight"):
            kept = parameter.clone()
            parameter.set_value(kept * 1.2)
            changed = model(paddle.to_tensor(inputs["image"]), paddle.to_tensor(inputs["mask"])).numpy()
            parameter.set_value(kept)
            assert np.abs(changed - expected).max() > 1e-3, name


# Without PyTorch: arrays by a port's names, written by hand.


COUNTS = {  # what in a weight's name makes it that of the filter that counts
    "naoto": ("input_conv", "mask_conv"),
    "naoto_earlier": ("conv2d", "mask2d"),
    "generator": ("conv.weight", "mask_conv_weight"),
    "mmagic": ("conv.weight", "conv.weight_mask_updater"),
}


def a_port(port, base=4, depth=3):
    """Random arrays by a layout's names, and filters that count."""
    shapes = build_model("pconv_unet", base_channels=base, depth=depth).state_dict()
    arrays = {}
    for ours, theirs in ports.u_net_names(LAYOUTS[port], depth).items():
        shape = shapes[ours].shape if ours in shapes else shapes[ours.replace(".bias", ".weight")].shape[:1]
        arrays[theirs] = RNG.random(shape) + 0.5 if ".norm." in ours else RNG.standard_normal(shape)
        if port in COUNTS and ours.endswith("conv.weight"):
            arrays[theirs.replace(*COUNTS[port])] = np.ones(shape)
        if ours.endswith("_mean"):
            arrays[theirs.replace("running_mean", "num_batches_tracked")] = np.array(3)
    return {name: a.astype("float32" if a.dtype.kind == "f" else "int64") for name, a in arrays.items()}


@pytest.mark.parametrize("kind", [torch_zip, old_format])
def test_what_the_widely_used_port_becomes(tmp_path, kind):
    arrays = {key: a for key, a in a_port("naoto").items() if not key.endswith("num_batches_tracked")}
    model = convert(write_torch(tmp_path / "1000000.pth", arrays, kind, under="model"), tmp_path / "out")
    meta = json.loads((tmp_path / "out/meta.json").read_text())
    assert meta["model"] == "pconv_unet" and meta["converted_from"].startswith("PConvUNet of naoto0804's port")
    assert (meta["options"]["base_channels"], meta["options"]["depth"]) == (4, 3)
    assert meta["options"]["picture_range"] == "imagenet"
    found = {name: t.numpy() for name, t in model.state_dict().items()}
    windows = {"encoder.0": 3 * 49, "encoder.1": 4 * 25, "decoder.0": (16 + 8) * 9, "decoder.2": (4 + 3) * 9}
    stages = {"encoder.0": "enc_1", "encoder.1": "enc_2", "decoder.0": "dec_3", "decoder.2": "dec_1"}
    for ours, theirs in stages.items():
        weight = arrays[f"{theirs}.conv.input_conv.weight"] / windows[ours]
        np.testing.assert_allclose(found[f"{ours}.conv.weight"], weight, rtol=1e-6)
    np.testing.assert_array_equal(found["encoder.0.conv.bias"], arrays["enc_1.conv.input_conv.bias"])
    mean = arrays["dec_2.bn.running_mean"] - arrays["dec_2.conv.input_conv.bias"]
    np.testing.assert_allclose(found["decoder.1.norm._mean"], mean, rtol=1e-6)
    np.testing.assert_array_equal(found["decoder.1.norm._variance"], arrays["dec_2.bn.running_var"])


def a_deepfill(base=4):
    model = build_model("deepfill_v1", base_channels=base)
    found = {name: t.numpy() for name, t in model.state_dict().items()}
    return model, {
        f"{net}.{name}.conv.{kind}": found[f"{ours}.{i}.{kind}"]
        for ours, (net, names) in ports.DEEPFILL_PARTS.items()
        for i, name in enumerate(names)
        for kind in ("weight", "bias")
    }


def test_deepfill_is_taken_with_the_ports_attention(tmp_path):
    model, arrays = a_deepfill()
    assert len(arrays) == len(model.state_dict())
    found = convert(write_torch(tmp_path / "gen_00430000.pt", arrays), tmp_path / "out")
    assert found.model_options == {"base_channels": 4, "attention": ports.PYTORCH_PORT}
    for name, t in model.state_dict().items():
        np.testing.assert_array_equal(found.state_dict()[name].numpy(), t.numpy())
    with pytest.raises(InputError, match="--picture_range: expected signed"):
        convert(tmp_path / "gen_00430000.pt", tmp_path / "new", "--picture_range", "unit")


# VGG16.


def a_vgg(names, more=()):
    arrays = {}
    for stem, (in_channels, out_channels) in zip(names, CHANNELS.values(), strict=True):
        arrays[f"{stem}.weight"] = RNG.standard_normal([out_channels, in_channels, 3, 3], dtype="float32")
        arrays[f"{stem}.bias"] = RNG.standard_normal(out_channels, dtype="float32")
    return arrays | {name: np.ones(2, "float32") for name in more}


TORCHVISION = [f"features.{i}" for i in TORCHVISION_INDEX.values()]


@pytest.mark.parametrize(("suffix", "kind"), [(".pth", torch_zip), (".pth", old_format), (".pdparams", None)])
def test_a_vgg16_is_cut_to_what_the_loss_needs(tmp_path, suffix, kind):
    arrays = a_vgg(TORCHVISION, ["features.17.weight", "classifier.0.weight"])
    file = tmp_path / f"vgg16{suffix}"
    paddle.save(arrays, str(file)) if kind is None else write_torch(file, arrays, kind)
    convert_weights.main(["--weights", str(file), "--output", str(tmp_path / "out")])
    found = read_arrays(tmp_path / "out" / convert_weights.VGG_FILE)
    assert len(found) == 14 and all(np.array_equal(array, arrays[name]) for name, array in found.items())
    picture = paddle.rand([1, 3, 16, 16])
    taps = [VGG16Features(a)(picture) for a in (found, read_arrays(file))]  # the file itself does as well
    assert all(np.array_equal(a.numpy(), b.numpy()) for a, b in zip(*taps, strict=True))


@pytest.mark.parametrize(
    ("names", "more", "message"),
    [
        (TORCHVISION, ["features.16.weight"], "got features.16.weight: a VGG19's"),
        (["features.0", *(f"features.{3 * i}" for i in range(1, 7))], [], r"expected features\.2\.weight of shape"),
    ],
)
def test_other_vggs_are_refused(tmp_path, names, more, message):
    write_torch(tmp_path / "vgg.pth", a_vgg(names, more))
    with pytest.raises(InputError, match=f"vgg.pth: VGG16 weights: .*{message}"):
        convert_weights.main(["--weights", str(tmp_path / "vgg.pth"), "--output", str(tmp_path / "out")])
    assert not (tmp_path / "out").exists()


# Refusals.


def changed(port="naoto", **arrays):
    return a_port(port) | {name.replace("__", "."): a for name, a in arrays.items()}


ONE = np.ones(1, "float32")
REFUSED = {
    "unknown": ({"conv1.weight": ONE, "fc.weight": ONE, "a": ONE, "b": ONE}, "expected weights of PConvUNet of naoto"),
    "no range": (changed("nvidia"), "expected --picture_range with PConvUNet on NVIDIA"),
    "more": (changed(enc_1__bn__weight=ONE), "enc_1.bn.weight of shape none, got .1."),
    "a mask filter": (
        changed(enc_1__conv__mask_conv__weight=np.full([4, 3, 7, 7], 2, "float32")),
        "a mask filter that does not count: enc_1.conv.mask_conv.weight",
    ),
    "another shape": (
        changed(enc_2__conv__input_conv__weight=np.ones([8, 4, 3, 3], "float32")),
        "enc_2.conv.input_conv.weight of shape .8, 4, 5, 5., got .8, 4, 3, 3.",
    ),
    "half a generator": (
        {"coarse_generator.conv1.conv.weight": ONE.reshape(1, 1, 1, 1)},
        "base_channels: expected 2 or more, got 1",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_no_known_layout_is_told_in_one_line(tmp_path, case):
    arrays, message = REFUSED[case]
    write_torch(tmp_path / "a.pth", arrays)
    with pytest.raises(InputError, match=message) as caught:
        convert(tmp_path / "a.pth", tmp_path / "out")
    assert "\n" not in str(caught.value) and str(caught.value).startswith(f"--weights: {tmp_path}")
    assert len(str(caught.value)) < 900 and not (tmp_path / "out").exists()
