"""DeepFillv1: the paper's layers, what each of its networks sees, any size, export."""

import numpy as np
import paddle
import pytest

from inpainting import exported
from inpainting.checkpoint import load_weights, save_weights
from models import build_model
from models.contextual_attention import PYTORCH_PORT
from models.deepfill import Conv, DeepFillV1, UpConv

# Of each layer: kernel, stride (½ for one after nearest ×2), dilation, channels in and out, at full width.
DILATED = "3 1 2 128 128, 3 1 4 128 128, 3 1 8 128 128, 3 1 16 128 128"
TAIL = "3 1 1 128 128, 3 .5 1 128 64, 3 1 1 64 64, 3 .5 1 64 32, 3 1 1 32 16, 3 1 1 16 3"
TABLE = {
    "coarse": "5 1 1 5 32, 3 2 1 32 64, 3 1 1 64 64, 3 2 1 64 128, 3 1 1 128 128, 3 1 1 128 128, "
    f"{DILATED}, 3 1 1 128 128, {TAIL}",
    "conv_encoder": "5 1 1 5 32, 3 2 1 32 32, 3 1 1 32 64, 3 2 1 64 64, 3 1 1 64 128, 3 1 1 128 128, " + DILATED,
    "attention_encoder": "5 1 1 5 32, 3 2 1 32 32, 3 1 1 32 64, 3 2 1 64 128, 3 1 1 128 128, 3 1 1 128 128",
    "attention_decoder": "3 1 1 128 128, 3 1 1 128 128",
    "fusion": f"3 1 1 256 128, {TAIL}",
}
TABLE = {name: [tuple(map(float, row.split())) for row in rows.split(", ")] for name, rows in TABLE.items()}
PARAMETERS = {
    "coarse": 1_448_227,
    "conv_encoder": 880_480,
    "attention_encoder": 400_800,
    "attention_decoder": 295_168,
    "fusion": 576_867,
}


@pytest.fixture(scope="module")
def model():
    """A narrow network that has biases, without gradients."""
    paddle.seed(1)
    model = DeepFillV1(base_channels=4)
    for layer in model.sublayers():
        if isinstance(layer, Conv):
            layer.bias.set_value(paddle.randn(layer.bias.shape) * 0.1)
    model.eval()
    return model


def inputs(n=2, h=24, w=40, seed=0):
    rng = np.random.default_rng(seed)
    mask = np.ones([n, 1, h, w], "float32")
    mask[0, :, h // 4 : h // 2, w // 3 : w // 2] = 0
    mask[-1, :, : h // 3, w // 2 :] = 0
    return paddle.to_tensor(rng.random([n, 3, h, w]).astype("float32")), paddle.to_tensor(mask)


def row_of(layer):
    (kernel, same), (stride, _) = layer.weight.shape[2:], layer._stride
    assert kernel == same and layer._updated_padding == [kernel // 2 * layer._dilation[0]] * 2
    return (
        kernel,
        0.5 if isinstance(layer, UpConv) else stride,
        layer._dilation[0],
        layer._in_channels,
        layer._out_channels,
    )


def test_layers_are_the_papers_table():
    model = DeepFillV1()
    for name, rows in TABLE.items():
        part = getattr(model, name)
        assert [row_of(layer) for layer in part] == rows, name
        by_hand = sum(kernel**2 * c_in * c_out + c_out for kernel, _, _, c_in, c_out in rows)
        assert sum(p.size for p in part.parameters()) == by_hand == PARAMETERS[name]
    assert sum(p.size for p in model.parameters()) == sum(PARAMETERS.values()) == 3_601_542
    activations = {name: [layer.activation for layer in getattr(model, name)] for name in TABLE}
    elu, relu = paddle.nn.functional.elu, paddle.nn.functional.relu
    assert activations.pop("attention_encoder") == [elu] * 5 + [relu]
    assert activations.pop("coarse") == [elu] * 16 + [None] and activations.pop("fusion") == [elu] * 6 + [None]
    assert all(activation is elu for part in activations.values() for activation in part)
    assert vars(model.attention).items() >= {"rate": 2, "softmax_scale": 10.0}.items()


def test_upconv_is_nearest_and_a_convolution():
    layer = UpConv(3, 5)
    layer.bias.set_value(paddle.randn([5]))
    x = paddle.randn([2, 3, 5, 7])
    up = paddle.nn.functional.interpolate(x, scale_factor=2, mode="nearest")
    expected = paddle.nn.functional.elu(paddle.nn.functional.conv2d(up, layer.weight, layer.bias, padding=1))
    np.testing.assert_allclose(layer(x).numpy(), expected.numpy(), atol=1e-5)


def test_padding_to_a_multiple_is_hole_and_nothing_else(model):
    image, mask = inputs(1, 21, 30)
    padded = [paddle.nn.functional.pad(t, [0, 2, 0, 3]) for t in (image, mask)]
    np.testing.assert_allclose(model(image, mask).numpy(), model(*padded).numpy()[:, :, :21, :30], atol=1e-6)


def seen_by(layer, call):
    """The inputs that a layer gets during a call, as arrays."""
    seen = []
    hook = layer.register_forward_pre_hook(lambda _, given: seen.append([t.numpy() for t in given]))
    call()
    hook.remove()
    return seen[0]


def test_each_network_sees_what_it_should(model):
    image, mask = inputs()
    stages = model(image, mask, stages=True)
    picture, known, hole = 2 * image.numpy() - 1, mask.numpy(), 1 - mask.numpy()
    [x] = seen_by(model.coarse, lambda: model(image, mask))
    np.testing.assert_allclose(x, np.concatenate([picture * known, np.ones_like(known), hole], axis=1), atol=1e-6)
    painted = picture * known + (2 * stages.coarse.numpy() - 1) * hole
    for network in (model.conv_encoder, model.attention_encoder):
        [x] = seen_by(network, lambda: model(image, mask))
        np.testing.assert_allclose(x, np.concatenate([painted, np.ones_like(known), hole], axis=1), atol=1e-6)
    foreground, background, small_mask = seen_by(model.attention, lambda: model(image, mask))
    np.testing.assert_array_equal(foreground, background)
    assert list(foreground.shape) == [2, 16, 6, 10]
    np.testing.assert_array_equal(small_mask, known.reshape(2, 1, 6, 4, 10, 4).min(axis=(3, 5)))


@pytest.mark.parametrize("offset", [0, 3, 7])
@pytest.mark.parametrize("width", [1, 5])
def test_a_scratch_is_never_overlooked(model, offset, width):
    """However it lies on the grid of the attention, no candidate patch holds one of its pixels."""
    mask = paddle.ones([1, 1, 64, 64])
    mask[:, :, 24 + offset : 24 + offset + width, :] = 0
    image = paddle.rand([1, 3, 64, 64])
    _, _, seen = seen_by(model.attention, lambda: model(image, mask))
    down = np.repeat(np.repeat(seen, 4, axis=2), 4, axis=3)
    assert (down <= mask.numpy()).all() and seen.any()
    whole = model.attention._whole_patches(paddle.to_tensor(seen)).numpy()[0, 0]
    assert whole.any() and not whole.all()
    for i, j in np.argwhere(whole):
        compared = mask.numpy()[0, 0, max(0, 8 * i - 8) : 8 * i + 16, max(0, 8 * j - 8) : 8 * j + 16]
        assert compared.all(), (i, j)


def test_the_ports_attention_is_an_option(model, tmp_path):
    port = build_model("deepfill_v1", base_channels=4, attention=PYTORCH_PORT)
    port.set_state_dict(model.state_dict())
    port.eval()
    image, mask = inputs()
    [*_, seen] = seen_by(port.attention, lambda: port(image, mask))
    np.testing.assert_array_equal(seen, mask.numpy()[:, :, ::4, ::4])
    assert np.abs(port(image, mask).numpy() - model(image, mask).numpy()).max() > 1e-4
    save_weights(port, tmp_path)
    np.testing.assert_array_equal(load_weights(tmp_path)(image, mask).numpy(), port(image, mask).numpy())


@pytest.mark.parametrize("attention", [None, PYTORCH_PORT])
def test_an_export_of_free_size_agrees(model, attention, tmp_path):
    state, model = model.state_dict(), build_model("deepfill_v1", base_channels=4, attention=attention)
    model.set_state_dict(state)
    assert exported.export_model(model, tmp_path / "export")["Paddle Inference"] < 1e-5
    static = exported.StaticModel(tmp_path / "export")
    for n, h, w in ((1, 24, 24), (3, 17, 31), (2, 5, 3)):
        image, mask = inputs(n, h, w)
        expected = model(image, mask).numpy()
        assert expected.std() > 0.02
        np.testing.assert_allclose(static(image.numpy(), mask.numpy()), expected, atol=1e-5)
