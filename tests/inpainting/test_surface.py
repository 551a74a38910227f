"""The smooth surface in OpenCV's operations against the same one in Paddle's."""

import numpy as np
import paddle
import pytest

from inpainting import surface
from inpainting.surface import smooth_surface
from models.smooth_prior import smooth_prior


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("size", [(64, 64), (37, 53), (1, 9), (1, 1), (2, 5), (3, 3), (50, 7), (130, 200)])
def test_both_make_the_same_surface(size, order):
    rng = np.random.default_rng(0)
    mask = (rng.random(size) < 0.7).astype("float32")
    mask[size[0] // 4 : size[0] // 2, size[1] // 3 :] = 0
    image = rng.random([*size, 3]).astype("float32") * mask[..., None]
    tensors = paddle.to_tensor(image.transpose(2, 0, 1)[None]), paddle.to_tensor(mask[None, None])
    expected = smooth_prior(*tensors, order).numpy()[0].transpose(1, 2, 0)
    before = image.copy()
    np.testing.assert_allclose(smooth_surface(image, mask, order), expected, atol=1e-5)
    np.testing.assert_array_equal(image, before)


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize(
    "hole", [np.s_[9:12, 20:33], np.s_[0:1, 30:40], np.s_[18:20, :], np.s_[1:19, 1:39], np.s_[0:0]]
)
def test_relaxing_looks_no_further_than_the_hole(order, hole):
    """To the bit what steps over the whole picture give, a hole at the border included."""
    rng = np.random.default_rng(2)
    mask = np.ones([20, 40], np.float32)
    mask[hole] = 0
    start = rng.random([20, 40, 3]).astype(np.float32)
    u, v, rate = start.copy(), 0, np.float32(surface.STEP / 8 if order == 1 else -surface.STEP / 64)
    for _ in range(7):
        force = surface._laplacian(u) if order == 1 else surface._laplacian(surface._laplacian(u))
        v = np.float32(surface.MOMENTUM) * v + force * ((1 - mask) * rate)[..., None]
        u = u + v
    np.testing.assert_array_equal(surface.relax(start, mask, order, 7), u)
