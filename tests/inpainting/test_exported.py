"""Static models: the same picture as the network's at any size, and every way in which an export can be wrong."""

import importlib.util
import json
import shutil

import numpy as np
import paddle
import pytest

from inpainting import Inpainter, exported
from inpainting.checkpoint import save_weights
from inpainting.exported import StaticModel, export_model
from models import MODELS, build_model
from tests.conftest import small_options
from utils.errors import InputError

SIZES = [(24, 24), (17, 31), (40, 16), (5, 3)]
ONNX = int(paddle.__version__[0]) >= 3 and all(map(importlib.util.find_spec, ("paddle2onnx", "onnxruntime")))


needs_onnx = pytest.mark.skipif(not ONNX, reason="needs Paddle 3, paddle2onnx and onnxruntime")


def noise(n=1, h=24, w=24, seed=0):
    return np.random.default_rng(seed).random([n, 3, h, w]).astype("float32")


def make_mask(kind, n=1, h=24, w=24):
    mask = np.ones([n, 1, h, w], "float32")
    if kind == "border":
        mask[..., : (h + 1) // 2, -(w // 3) :] = 0
    if kind == "most":
        mask[...] = 0
        mask[..., h // 2, w // 2] = 1
    return mask


def run(model, image, mask):
    with paddle.no_grad():
        return model(paddle.to_tensor(image), paddle.to_tensor(mask)).numpy()


def settled_model(name, **options):
    """A network whose normalisation has seen pictures, and whose output lies about in [-1, 1], as a trained one's."""
    paddle.seed(0)
    model = build_model(name, **small_options(name, **options))
    model.train()
    for seed in range(30):
        run(model, noise(2, seed=seed), make_mask(("none", "border", "most")[seed % 3], 2))
    model.eval()
    last = model.fusion[-1] if name == "deepfill_v1" else model.decoder[-1].conv
    scale = np.abs(run(model, noise(), make_mask("border"))).max()
    last.weight.set_value(last.weight / scale)
    last.bias.set_value(paddle.to_tensor([0.1, 0.2, 0.3]))
    return model


OTHERS = [pytest.param(name, marks=pytest.mark.heavy) for name in MODELS if name != "pconv_unet"]


@pytest.fixture(scope="module", params=["pconv_unet", *OTHERS])
def pair(request, tmp_path_factory):
    """A network and the directory of its export, with ONNX where that can be had."""
    directory = tmp_path_factory.mktemp("export") / request.param
    model = settled_model(request.param)
    export_model(model, directory, onnx=ONNX, iter=7, about="for tests")
    return model, directory


@pytest.fixture(scope="module")
def master(tmp_path_factory):
    directory = tmp_path_factory.mktemp("master") / "export"
    export_model(build_model("pconv_unet", base_channels=4, depth=2), directory)
    return directory


@pytest.fixture
def export(master, tmp_path):
    """A copy of an export, to be spoiled."""
    return shutil.copytree(master, tmp_path / "export")


def graph_of(directory):
    return next(path for path in directory.iterdir() if path.suffix in (".json", ".pdmodel") and path.stem == "model")


def assert_same_everywhere(model, static):
    for n, (h, w), kind in [(n, size, kind) for n in (1, 3) for size in SIZES for kind in ("none", "border", "most")]:
        image, mask = noise(n, h, w), make_mask(kind, n, h, w)
        expected = run(model, image, mask)
        assert np.abs(expected).max() > 0.05
        np.testing.assert_allclose(static(image, mask), expected, atol=1e-4, err_msg=f"{n} {h}x{w} {kind}")


def test_paddle_inference_agrees_with_the_network(pair):
    model, directory = pair
    assert_same_everywhere(model, StaticModel(directory))


@needs_onnx
def test_onnx_runtime_agrees_with_the_network(pair):
    import onnxruntime

    model, directory = pair
    session = onnxruntime.InferenceSession(directory / "model.onnx")
    assert_same_everywhere(model, lambda image, mask: session.run(None, {"image": image, "mask": mask})[0])


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("pconv_unet", {"output": "tanh", "depth": 1}),
        ("conv_unet", {"mask_channel": True}),
        pytest.param("pconv_residual_unet", {"base_channels": 3, "depth": 5}, marks=pytest.mark.heavy),
    ],
)
def test_options_are_exported_too(name, options, tmp_path):
    model = settled_model(name, **options)
    differences = export_model(model, tmp_path / "e")
    assert len(differences) == 1 and max(differences.values()) < 1e-4
    static = StaticModel(tmp_path / "e")
    assert (static.model_name, static.model_options) == (model.model_name, model.model_options)
    assert_same_everywhere(model, static)


def test_an_inpainter_takes_an_export_for_weights(pair, tmp_path):
    model, directory = pair
    save_weights(model, tmp_path / "w")
    picture = (noise(h=37, w=53)[0].transpose(1, 2, 0) * 255).astype("uint8")
    hole = make_mask("border", h=37, w=53)[0, 0] == 0
    ours = Inpainter.from_checkpoint(directory)(picture, hole)
    np.testing.assert_array_equal(ours[~hole], picture[~hole])
    theirs = Inpainter.from_checkpoint(tmp_path / "w")(picture, hole)
    assert np.abs(ours.astype(int) - theirs).max() <= 1
    by_file = Inpainter.from_checkpoint(directory / "model.pdiparams")(picture, hole)
    np.testing.assert_array_equal(by_file, ours)


def test_nothing_is_replaced(export, tmp_path):
    model, before = build_model("conv_unet", base_channels=4, depth=2), (export / "model.pdiparams").read_bytes()
    (tmp_path / "file").write_text("")
    for directory in (export, tmp_path / "file"):
        with pytest.raises(InputError, match="--output: expected a new or an empty folder"):
            export_model(model, directory)
    assert (export / "model.pdiparams").read_bytes() == before
    (tmp_path / "empty").mkdir()
    export_model(model, tmp_path / "empty")


def test_an_export_that_differs_is_not_written(tmp_path, monkeypatch):
    monkeypatch.setattr(exported, "TOLERANCE", -1.0)
    with pytest.raises(RuntimeError, match="differs from the network"):
        export_model(build_model("conv_unet", base_channels=4, depth=2), tmp_path / "new")
    assert not list(tmp_path.iterdir())


def spoil_half(path):
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def spoil_meta(directory, change):
    meta = json.loads((directory / "meta.json").read_text())
    change(meta)
    (directory / "meta.json").write_text(json.dumps(meta))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: spoil_half(d / "model.pdiparams"), "model.pdiparams: .*damaged"),
        (lambda d: spoil_half(graph_of(d)), "model.(json|pdmodel): .*damaged"),
        (lambda d: (d / "model.pdiparams").unlink(), "expected a directory with model.safetensors"),
        (lambda d: spoil_meta(d, lambda m: m.pop("files")), "expected that of an exported model"),
        (lambda d: spoil_meta(d, lambda m: m["files"].update({"b.json": "0" * 64})), "expected that of an exported"),
        (lambda d: spoil_meta(d, lambda m: m.update(versions={"paddle": "99.1"})), "got one exported with 99.1"),
    ],
)
def test_a_spoiled_export_is_told_in_one_line(export, change, message):
    change(export)
    with pytest.raises(InputError, match=message) as error:
        Inpainter.from_checkpoint(export)
    assert "\n" not in str(error.value)


def test_onnx_tells_what_it_lacks(export, tmp_path, monkeypatch):
    model = build_model("pconv_unet", base_channels=4, depth=2)
    monkeypatch.setattr(paddle, "__version__", "3.3.1")
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"pip install .*paddle2onnx"):
        export_model(model, tmp_path / "new", onnx=True)
    assert not (tmp_path / "new").exists()


@pytest.fixture(scope="module")
def guided(tmp_path_factory):
    """A network with a prior, as if trained, and its export."""
    directory = tmp_path_factory.mktemp("guided") / "export"
    paddle.seed(0)
    model = build_model("pconv_unet", base_channels=4, depth=2, prior="smooth", norm="none")
    last = model.decoder[-1].conv.weight
    last.set_value(paddle.randn(last.shape) * 0.05)
    export_model(model, directory)
    return model, directory


@needs_onnx
@pytest.mark.heavy
def test_a_network_with_a_prior_and_its_onnx_agree(guided, tmp_path):
    assert len(export_model(guided[0], tmp_path / "e", onnx=True)) == 2  # else it raises


def test_a_guide_is_a_third_input(guided):
    model, directory = guided
    static = StaticModel(directory)
    image, mask, guide = noise(1, 21, 34), make_mask("border", 1, 21, 34), noise(1, 21, 34, seed=9)
    with paddle.no_grad():
        expected = model(*map(paddle.to_tensor, (image, mask, guide))).numpy()
    np.testing.assert_allclose(static(image, mask, guide), expected, atol=1e-4)
    assert np.abs(static(image, mask) - expected).max() > 0.01
    np.testing.assert_allclose(static(image, mask), run(model, image, mask), atol=1e-4)
    np.testing.assert_array_equal(static(image, mask), static(image, mask, np.zeros_like(guide)))
