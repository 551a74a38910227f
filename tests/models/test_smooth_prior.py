"""The smooth prior against a naive loop of the same steps, and against scikit-image's exact biharmonic surface."""

import importlib.util
from typing import ClassVar

import numpy as np
import paddle
import pytest
from paddle import inference, nn
from skimage.restoration import inpaint_biharmonic

from datasets.images import sample_photo
from datasets.mask_generator import generate_mask
from datasets.masks import BUCKETS
from inpainting import exported
from models.smooth_prior import smooth_prior

SIZES = [(32, 32), (16, 64), (21, 37), (1, 9), (1, 1), (2, 5), (3, 3), (50, 7)]


def prior_of(picture, mask, order=2, steps=30):
    """[H, W, C] and [H, W] to [H, W, C]."""
    image = paddle.to_tensor(picture.transpose(2, 0, 1)[None].astype("float32"))
    result = smooth_prior(image, paddle.to_tensor(mask[None, None].astype("float32")), order, steps)
    return result.numpy()[0].transpose(1, 2, 0)


def naive_prior(picture, mask, order, steps):
    """The module's formulas read literally, in float64."""
    levels = [(np.where(mask[..., None] > 0, picture, 0).astype("float64"), mask.astype("float64"))]
    while min(levels[-1][1].shape) > 2:
        levels.append(naive_halves(*levels[-1]))
    surface = None
    for known, mask in reversed(levels):
        if surface is None:
            surface = np.broadcast_to(known.sum(axis=(0, 1)) / max(mask.sum(), 1), known.shape)
        else:
            surface = naive_bicubic(naive_bicubic(surface, known.shape[0]).swapaxes(0, 1), known.shape[1]).swapaxes(
                0, 1
            )
        hole = 1 - mask[..., None]
        u, v = known + surface * hole, 0
        for _ in range(steps):
            step = laplacian(u) * 1.71 / 8 if order == 1 else -laplacian(laplacian(u)) * 1.71 / 64
            v = (0.9 * v + step) * hole
            u = u + v
        surface = u
    return surface


def naive_halves(known, mask):
    h, w = mask.shape
    half, half_mask = np.zeros([-(-h // 2), -(-w // 2), known.shape[2]]), np.zeros([-(-h // 2), -(-w // 2)])
    for i, j in np.ndindex(half_mask.shape):
        window = (slice(2 * i, 2 * i + 2), slice(2 * j, 2 * j + 2))
        if mask[window].any():
            half_mask[i, j] = 1
            half[i, j] = known[window].sum(axis=(0, 1)) / mask[window].sum()
    return half, half_mask


def naive_bicubic(x, length):
    """Twice as many rows, cut to ``length``."""
    rows = []
    for i in range(length):
        at, row = (i + 0.5) / 2 - 0.5, 0
        for k in range(int(np.floor(at)) - 1, int(np.floor(at)) + 3):
            d = abs(at - k)
            weight = 1.25 * d**3 - 2.25 * d**2 + 1 if d <= 1 else -0.75 * (d**3 - 5 * d**2 + 8 * d - 4)
            row = row + weight * x[min(max(k, 0), len(x) - 1)]
        rows.append(row)
    return np.stack(rows)


def laplacian(u):
    p = np.pad(u, [(1, 1), (1, 1), (0, 0)], mode="edge")
    return p[:-2, 1:-1] + p[2:, 1:-1] + p[1:-1, :-2] + p[1:-1, 2:] - 4 * u


def holes(h, w, seed=0):
    """A mask with a block, single pixels and a corner for holes."""
    mask = (np.random.default_rng(seed).random([h, w]) < 0.8).astype("float32")
    mask[h // 4 : h // 2 + 1, w // 3 : 2 * w // 3 + 1] = 0
    mask[: h // 5, : w // 5] = 0
    mask[-1, -1] = 1
    return mask


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("size", SIZES)
def test_steps_agree_with_a_naive_loop(size, order):
    picture, mask = np.random.default_rng(1).random([*size, 3]), holes(*size)
    np.testing.assert_allclose(prior_of(picture, mask, order), naive_prior(picture, mask, order, 30), atol=1e-5)


def test_each_picture_of_a_batch_is_alone():
    image = paddle.rand([5, 2, 90, 70])
    mask = paddle.to_tensor(np.stack([holes(90, 70, seed) for seed in range(5)])[:, None])
    together = smooth_prior(image, mask)
    for i in range(5):
        alone = smooth_prior(image[i : i + 1], mask[i : i + 1])
        np.testing.assert_allclose(together[i : i + 1].numpy(), alone.numpy(), atol=1e-6)


@pytest.mark.parametrize("order", [1, 2])
def test_known_pixels_stay_and_what_stands_in_the_hole_does_not_matter(order):
    picture, mask = np.random.default_rng(2).random([40, 33, 3]).astype("float32"), holes(40, 33)
    result = prior_of(picture, mask, order)
    np.testing.assert_array_equal(result[mask == 1], picture[mask == 1])
    np.testing.assert_array_equal(prior_of(np.where(mask[..., None] == 0, np.nan, picture), mask, order), result)
    assert prior_of(picture, np.ones_like(mask), order).tolist() == picture.tolist()


def test_a_picture_without_a_known_pixel_becomes_zero():
    assert not prior_of(np.full([20, 20, 3], np.nan), np.zeros([20, 20])).any()


@pytest.mark.parametrize("name", ["astronaut", "coffee", "chelsea"])
@pytest.mark.parametrize(("steps", "below"), [(30, 0.6), (100, 0.2)])
def test_it_fills_photographs_as_well_as_the_biharmonic_surface(name, steps, below):
    """In decibels over the hole; where a wide hole makes the exact surface overshoot, ours is better."""
    picture = sample_photo(name)[100:228, 100:228] / 255
    mask = generate_mask(np.random.default_rng(0), 128, 128, BUCKETS[2])
    exact = np.clip(inpaint_biharmonic(picture, mask == 0, channel_axis=2), 0, 1)
    ours = np.clip(prior_of(picture, mask, steps=steps), 0, 1)
    error = [np.mean((result - picture)[mask == 0] ** 2) for result in (ours, exact)]
    assert 10 * np.log10(error[0] / error[1]) < below


class BothOrders(nn.Layer):
    """Both priors as channels; with a parameter, without which Paddle does not write a model."""

    model_options: ClassVar = {}  # no guide as a third input

    def __init__(self):
        super().__init__()
        self.one = self.create_parameter([1], default_initializer=nn.initializer.Constant(1.0))

    def forward(self, image, mask):
        return both_orders(image * self.one, mask)


@paddle.jit.not_to_static
def both_orders(image, mask):
    return paddle.concat([smooth_prior(image, mask, order) for order in (2, 1)], axis=1)


@pytest.fixture(scope="module")
def exported_prior(tmp_path_factory):
    directory = tmp_path_factory.mktemp("prior")
    exported._write_graph(BothOrders(), directory)
    return directory


def assert_same_as_eager(run):
    """Up to the levels that an exported graph has, the same; with holes that reach down to the coarsest ones."""
    for n, h, w in [
        (1, 64, 64),
        (2, 37, 53),
        (1, 16, 64),
        (1, 1, 9),
        (1, 1, 1),
        (3, 5, 2),
        (1, 512, 512),
        (1, 300, 530),
    ]:
        image = np.random.default_rng(h).random([n, 3, h, w]).astype("float32")
        mask = np.stack([holes(h, w, seed) for seed in range(n)])[:, None]
        mask[..., h // 4 : h // 2, w // 3 :] = 0
        expected = both_orders(paddle.to_tensor(image), paddle.to_tensor(mask)).numpy()
        np.testing.assert_allclose(run(image, mask), expected, atol=1e-5, err_msg=f"{n} {h}x{w}")


def test_an_exported_graph_agrees(exported_prior):
    graph = next(path for path in exported_prior.iterdir() if path.suffix in (".json", ".pdmodel"))
    config = inference.Config(str(graph), str(exported_prior / exported.EXPORTED_PARAMS))
    exported._configure(config)
    predictor = inference.create_predictor(config)

    def run(image, mask):
        for name, array in (("image", image), ("mask", mask)):
            predictor.get_input_handle(name).copy_from_cpu(array)
        predictor.run()
        return predictor.get_output_handle(predictor.get_output_names()[0]).copy_to_cpu()

    assert_same_as_eager(run)


@pytest.mark.skipif(
    int(paddle.__version__[0]) < 3 or not all(map(importlib.util.find_spec, ("paddle2onnx", "onnxruntime"))),
    reason="needs Paddle 3, paddle2onnx and onnxruntime",
)
@pytest.mark.heavy
def test_an_onnx_graph_agrees(exported_prior):
    import onnxruntime

    exported._write_onnx(exported_prior)
    session = onnxruntime.InferenceSession(exported_prior / "model.onnx", providers=["CPUExecutionProvider"])
    assert_same_as_eager(lambda image, mask: session.run(None, {"image": image, "mask": mask})[0])
