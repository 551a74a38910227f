"""The networks: shapes, the paper's layer table, indifference to hole values, frozen normalisation."""

import numpy as np
import paddle
import pytest

from models import MODELS, build_model
from tests.conftest import small_options

SMALL = {"base_channels": 4, "depth": 3}


def random_inputs(n=2, h=24, w=24, seed=0):
    rng = np.random.default_rng(seed)
    mask = (rng.random([n, 1, h, w]) > 0.4).astype("float32")
    return paddle.to_tensor(rng.random([n, 3, h, w]).astype("float32")), paddle.to_tensor(mask)


@pytest.mark.parametrize("name", MODELS)
def test_hole_values_change_nothing_not_even_nan(name):
    model = build_model(name, **small_options(name))
    model.eval()
    image, mask = random_inputs()
    reference = model(image, mask).numpy()
    for value in (1e6, np.nan, np.inf):
        spoiled = paddle.to_tensor(np.where(mask.numpy() > 0, image.numpy(), np.float32(value)))
        np.testing.assert_array_equal(model(spoiled, mask).numpy(), reference)


@pytest.mark.parametrize("name", ["pconv_unet", "pconv_residual_unet"])
@pytest.mark.parametrize("size", [(48, 64), (41, 70)])
def test_the_output_is_painted_where_it_is_reached_and_nowhere_else(name, size):
    model = build_model(name, base_channels=4, depth=2)
    model.eval()
    model.decoder[-1].conv.bias.set_value(paddle.to_tensor([1.0, 2.0, 3.0]))
    for known in (2, 6, 15):  # columns at the left
        mask = paddle.zeros([1, 1, *size])
        mask[..., :known] = 1
        image, _ = random_inputs(1, *size)
        reached, output = model.reached(mask).numpy(), model(image, mask).numpy()
        assert reached.shape == (1, 1, *size) and set(np.unique(reached)) <= {0, 1}
        np.testing.assert_array_equal(output.any(axis=1, keepdims=True), reached == 1)
        assert reached[..., :known].all() and not reached[..., -1].all()


def test_all_is_reached_without_a_mask_or_across_a_narrow_hole():
    mask = random_inputs(2, 40, 40)[1]
    for name in ("pconv_unet", "pconv_residual_unet", "conv_unet"):
        assert build_model(name, **SMALL).reached(mask).numpy().all()
    for network in (build_model("conv_unet", **SMALL), build_model("pconv_unet", **SMALL, prior="smooth")):
        reached = network.reached(paddle.zeros([1, 1, 61, 64])).numpy()
        assert reached.shape == (1, 1, 61, 64) and reached.all()


@pytest.mark.parametrize("name", ["pconv_unet", "pconv_residual_unet"])
def test_padding_to_a_multiple_is_hole_and_nothing_else(name):
    """Padding by hand with hole gives the same picture as the network's own padding."""
    model = build_model(name, **SMALL)
    model.eval()
    image, mask = random_inputs(1, 20, 22)
    padded = [paddle.nn.functional.pad(t, [0, 2, 0, 4]) for t in (image, mask)]
    np.testing.assert_allclose(model(image, mask).numpy(), model(*padded).numpy()[:, :, :20, :22], atol=1e-6)


def test_layers_are_the_papers_table():
    model = build_model("pconv_unet", depth=8)
    encoder = [(s.conv.in_channels, s.conv.out_channels, s.conv.kernel_size[0]) for s in model.encoder]
    assert encoder == [(3, 64, 7), (64, 128, 5), (128, 256, 5), (256, 512, 3), *[(512, 512, 3)] * 4]
    assert all(s.conv.geometry["stride"] == [2, 2] for s in model.encoder)
    decoder = [(s.conv.up_channels, s.conv.skip_channels, s.conv.out_channels) for s in model.decoder]
    assert decoder == [*[(512, 512, 512)] * 4, (512, 256, 256), (256, 128, 128), (128, 64, 64), (64, 3, 3)]
    assert [isinstance(s.norm, paddle.nn.BatchNorm2D) for s in model.encoder] == [False] + [True] * 7
    assert [s.norm is None for s in model.decoder] == [False] * 7 + [True]
    assert model.decoder[-1].conv.bias is not None and model.decoder[0].conv.bias is None
    assert sum(p.size for p in model.parameters() if not p.stop_gradient) == 32_859_796  # summed by hand from the table


def test_tanh_output_is_bounded_and_linear_is_not_clipped():
    image, mask = random_inputs()
    bounded = build_model("pconv_unet", output="tanh", **SMALL)(image * 50, mask)
    assert float(bounded.min()) >= 0 and float(bounded.max()) <= 1
    linear = build_model("pconv_unet", **SMALL)(image * 50, mask)
    assert float(linear.max()) > 1 or float(linear.min()) < 0


def test_frozen_encoder_norm_stays_frozen_through_training():
    model = build_model("pconv_unet", **SMALL)
    model.train()
    model.freeze_encoder_norm()
    model.train()
    before = {name: t.numpy().copy() for name, t in model.state_dict().items()}
    optimizer = paddle.optimizer.Adam(0.01, parameters=model.parameters(), use_multi_tensor=True)
    image, mask = random_inputs()
    for _ in range(2):
        (model(image, mask) - image).abs().mean().backward()
        optimizer.step()
        optimizer.clear_grad()
    changed = {name for name, t in model.state_dict().items() if not np.array_equal(before[name], t.numpy())}
    assert not any(name.startswith("encoder") and ".norm." in name for name in changed)
    assert {"encoder.1.conv.weight", "decoder.0.norm._mean", "decoder.0.norm.weight"} <= changed


@pytest.mark.parametrize(
    ("picture_range", "mean", "std"),
    [("signed", 0.5, 0.5), ("imagenet", [[[0.485]], [[0.456]], [[0.406]]], [[[0.229]], [[0.224]], [[0.225]]])],
)
def test_a_picture_range_is_that_of_the_network_alone(picture_range, mean, std):
    """It is the same network given pictures of its range, and its output brought back."""
    image, mask = random_inputs()
    plain = build_model("pconv_unet", **SMALL)
    plain.eval()
    model = build_model("pconv_unet", **SMALL, picture_range=picture_range)
    assert set(model.state_dict()) == set(plain.state_dict())
    model.set_state_dict(plain.state_dict())
    model.eval()
    inside = (image - paddle.to_tensor(mean)) / paddle.to_tensor(std)
    expected = plain(inside, mask) * paddle.to_tensor(std) + paddle.to_tensor(mean)
    np.testing.assert_allclose(model(image, mask).numpy(), expected.numpy(), atol=1e-5)
    holes = paddle.where(mask.tile([1, 3, 1, 1]) > 0, image, paddle.full_like(image, float("nan")))
    np.testing.assert_array_equal(model(holes, mask).numpy(), model(image, mask).numpy())


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("unet", {}, "expected one of pconv_unet, conv_unet, pconv_residual_unet"),
        ("pconv_unet", {"width": 3}, "expected options among base_channels, depth, output, prior, norm, picture"),
        ("pconv_unet", {"depth": 0}, "depth: expected 1 to 10, got 0"),
        ("pconv_unet", {"base_channels": 0}, "base_channels: expected 1 or more"),
        ("pconv_unet", {"picture_range": "bgr"}, "picture_range: expected one of unit, signed, imagenet, got 'bgr'"),
        ("pconv_unet", {"picture_range": "signed", "prior": "smooth"}, "picture_range: expected unit with prior"),
        ("pconv_unet", {"prior": "smooth", "output": "tanh"}, "output: expected linear with prior"),
        ("conv_unet", {"prior": "smooth", "mask_channel": True}, "mask_channel: expected off with prior"),
        ("deepfill_v1", {"attention": {"norm": "x"}}, "attention: expected None or "),
    ],
)
def test_mistakes_are_named(name, options, message):
    with pytest.raises(ValueError, match=message):
        build_model(name, **options)


@pytest.mark.parametrize(
    ("image", "mask"), [([1, 4, 8, 8], [1, 1, 8, 8]), ([1, 3, 8, 8], [1, 1, 8, 9]), ([1, 3, 8, 8], [1, 3, 8, 8])]
)
def test_inputs_that_do_not_fit_are_refused(image, mask):
    with pytest.raises(ValueError, match="expected"):
        build_model("pconv_unet", **SMALL)(paddle.ones(image), paddle.ones(mask))


@pytest.mark.parametrize("prior", ["none", "smooth"])
@pytest.mark.parametrize("size", [(64, 64), (50, 41)])
def test_mask_coverage_is_that_of_the_forward_pass(prior, size):
    model = build_model("pconv_unet", base_channels=4, depth=3, prior=prior)
    mask = (paddle.rand([2, 1, *size]) > 0.9).astype("float32")
    seen = []
    for stage in model.encoder:
        stage.register_forward_post_hook(lambda _, __, outputs: seen.append(float(outputs[1].mean())))
    model(paddle.rand([2, 3, *size]), mask)
    assert model.mask_coverage(mask) == pytest.approx(seen)
