"""The networks on a smooth prior: where they start, what they may change, guides, padding."""

import numpy as np
import paddle
import pytest

from models import build_model
from models.smooth_prior import smooth_prior
from models.unet import PRIOR_STEPS, smooth_surfaces

UNETS = ["pconv_unet", "pconv_residual_unet", "conv_unet"]
SMALL = {"base_channels": 4, "depth": 3, "prior": "smooth"}


def inputs(n=2, h=24, w=32, seed=0):
    """Smooth pictures, a block and specks as holes, and pictures near the first as guides."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:h, :w].astype("float32") / max(h, w)
    waves = np.stack([np.sin(rng.uniform(2, 6) * x + rng.uniform(2, 6) * y + c) for c in range(3 * n)])
    image = (waves.reshape([n, 3, h, w]) / 4 + 0.5).astype("float32")
    mask = (rng.random([n, 1, h, w]) > 0.2).astype("float32")
    mask[:, :, h // 3 : h // 2, w // 4 : w // 2] = 0
    guide = np.clip(image + rng.normal(0, 0.05, image.shape), 0, 1).astype("float32")
    return [paddle.to_tensor(t) for t in (image, mask, guide)]


def trained(name, **options):
    """As if trained: weights that are not zero anywhere."""
    paddle.seed(1)
    model = build_model(name, **{**SMALL, **options})
    weight = model.decoder[-1].conv.weight
    weight.set_value(paddle.randn(weight.shape) * 0.05)
    model.eval()
    return model


@pytest.mark.parametrize("name", UNETS)
def test_an_untrained_network_gives_the_surface(name):
    image, mask, _ = inputs()
    model = build_model(name, **SMALL)
    model.eval()
    expected = smooth_prior(image, mask, 2, PRIOR_STEPS[2]).clip(0, 1)
    np.testing.assert_allclose(model(image, mask).numpy(), expected.numpy(), atol=1e-6)


@pytest.mark.parametrize("name", UNETS)
@pytest.mark.parametrize("norm", ["batch", "none"])
def test_known_pixels_come_back_and_hole_values_do_not_matter(name, norm):
    image, mask, guide = inputs()
    model = trained(name, norm=norm)
    output = model(image, mask, guide).numpy()
    known = np.broadcast_to(mask.numpy() > 0, output.shape)
    np.testing.assert_allclose(output[known], image.numpy()[known], atol=1e-6)
    spoiled = paddle.to_tensor(np.where(known, image.numpy(), np.float32(np.nan)))
    np.testing.assert_array_equal(model(spoiled, mask, guide).numpy(), output)


def test_a_right_guide_is_kept_and_a_guide_shifted_in_brightness_is_mended():
    image, mask, _ = inputs()
    for shift in (0, 0.02):
        surfaces = smooth_surfaces(image, mask, image + shift).numpy()
        for surface in (surfaces[:, :3], surfaces[:, 3:]):
            np.testing.assert_allclose(surface, image.numpy(), atol=1e-3)


def test_every_channel_goes_by_its_own_mask():
    """The first stage sees a window without a known pixel: surfaces and mask still count there."""
    _, mask, _ = inputs(1, 32, 32)
    mask[:, :, 4:28, 4:28] = 0
    model = trained("pconv_unet")
    assert model.mask_coverage(mask) == [1.0, 1.0, 1.0]
    assert build_model("pconv_unet", base_channels=4, depth=3).mask_coverage(mask)[0] < 1
