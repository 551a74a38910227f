"""Each term of the loss and the VGG taps against plain NumPy computations."""

import numpy as np
import paddle
import pytest

from datasets.images import sample_face, sample_photo, to_float
from losses import PAPER_WEIGHTS, InpaintingLoss, VGG16Features
from losses.inpainting import gram
from losses.vgg import SHIPPED_WEIGHTS

CAFFE_MEAN = np.array([103.939, 116.779, 123.68])  # of blue, green and red


@pytest.fixture(scope="module")
def criterion():
    return InpaintingLoss()


@pytest.fixture(scope="module")
def batch():
    """output, gt in [0, 1] and a mask with holes at the border and inside; as NumPy arrays."""
    rng = np.random.default_rng(0)
    gt = np.stack([to_float(sample_face())[:, 20:52, 30:70], rng.random([3, 32, 40])]).astype("float32")
    output = (gt + 0.2 * rng.standard_normal(gt.shape)).astype("float32")
    mask = np.ones([2, 1, 32, 40], "float32")
    mask[0, :, 5:20, 8:30] = 0
    mask[1, :, :10, :] = 0
    mask[1, :, 20, 20] = 0
    return output, gt, mask


@pytest.fixture(scope="module")
def terms(criterion, batch):
    return {name: float(value) for name, value in criterion(*map(paddle.to_tensor, batch)).items()}


def features_of(criterion, picture):
    return [t.numpy().astype("float64") for t in criterion.features(paddle.to_tensor(picture.astype("float32")))]


def test_valid_and_hole_are_means_over_the_whole_picture(terms, batch):
    output, gt, mask = (a.astype("float64") for a in batch)
    assert terms["valid"] == pytest.approx((np.abs(output - gt) * mask).sum() / gt.size, rel=1e-5)
    assert terms["hole"] == pytest.approx((np.abs(output - gt) * (1 - mask)).sum() / gt.size, rel=1e-5)


def test_total_variation_counts_pairs_inside_the_dilated_hole(terms, batch):
    output, gt, mask = (a.astype("float64") for a in batch)
    comp = mask * gt + (1 - mask) * output
    n, _, h, w = comp.shape
    total = 0.0
    for k in range(n):
        hole = np.pad(1 - mask[k, 0], 1)
        region = np.array([[hole[i : i + 3, j : j + 3].any() for j in range(w)] for i in range(h)])
        for i in range(h):
            for j in range(w):
                if j + 1 < w and region[i, j] and region[i, j + 1]:
                    total += np.abs(comp[k, :, i, j + 1] - comp[k, :, i, j]).sum()
                if i + 1 < h and region[i, j] and region[i + 1, j]:
                    total += np.abs(comp[k, :, i + 1, j] - comp[k, :, i, j]).sum()
    assert terms["tv"] == pytest.approx(total / comp.size, rel=1e-4)


def test_perceptual_is_the_sum_of_mean_absolute_feature_differences(terms, batch, criterion):
    output, gt, mask = batch
    comp = mask * gt + (1 - mask) * output
    of_output, of_comp, of_gt = (features_of(criterion, picture) for picture in (output, comp, gt))
    expected = sum(
        np.abs(a - c).mean() + np.abs(b - c).mean() for a, b, c in zip(of_output, of_comp, of_gt, strict=True)
    )
    assert terms["perceptual"] == pytest.approx(expected, rel=1e-4)


def test_style_compares_autocorrelations_scaled_by_k_and_c_squared(terms, batch, criterion):
    output, gt, mask = batch
    comp = mask * gt + (1 - mask) * output
    of_gt = features_of(criterion, gt)
    expected = 0.0
    for picture in (output, comp):
        for a, b in zip(features_of(criterion, picture), of_gt, strict=True):
            n, c, h, w = a.shape
            for k in range(n):
                difference = a[k].reshape(c, -1) @ a[k].reshape(c, -1).T - b[k].reshape(c, -1) @ b[k].reshape(c, -1).T
                expected += np.abs(difference / (c * h * w)).sum() / c**2 / n
    assert terms["style"] == pytest.approx(expected, rel=1e-3)


def test_gradients_reach_the_output_and_are_finite(criterion, batch):
    output, gt, mask = map(paddle.to_tensor, batch)
    output.stop_gradient = False
    criterion.total(criterion(output, gt, mask)).backward()
    gradient = output.grad.numpy()
    assert np.isfinite(gradient).all() and (np.abs(gradient).max(axis=(1, 2, 3)) > 0).all()
    assert all(p.grad is None for p in criterion.features.parameters())


def test_terms_without_weight_leave_the_network_out(batch):
    def fail(picture):
        raise AssertionError("the feature extractor was run")

    criterion = InpaintingLoss(features=fail, weights={"perceptual": 0, "style": 0})
    assert set(criterion(*map(paddle.to_tensor, batch))) == {"valid", "hole", "tv"}


def test_total_weighs_each_term_once(criterion, batch):
    terms = criterion(*map(paddle.to_tensor, batch))
    assert set(terms) == set(PAPER_WEIGHTS)
    expected = sum(PAPER_WEIGHTS[name] * float(value) for name, value in terms.items())
    assert float(criterion.total(terms)) == pytest.approx(expected, rel=1e-5)


def test_an_unknown_term_is_refused():
    with pytest.raises(ValueError, match="expected terms among"):
        InpaintingLoss(features=lambda x: [], weights={"stile": 1})


def test_gram_stays_inside_float16_range():
    feature = paddle.full([1, 64, 128, 128], 30.0)
    flat = feature.numpy().reshape(64, -1) / np.sqrt(64 * 128 * 128)
    assert flat.astype("float16").min() > 6e-5  # a normal float16 number
    assert gram(feature).numpy().max() == pytest.approx(900 / 64, rel=1e-4)


def caffe_taps(photo):
    """Pooled taps by Caffe's conventions and the file's arrays as they are, in float64, each over its divisor.

    Caffe sees blue, green, red on 0-255 less their means.
    """
    with np.load(SHIPPED_WEIGHTS) as archive:
        arrays = {name: archive[name].astype("float64") for name in archive.files}
    x = (photo[:, :, ::-1].astype("float64") - CAFFE_MEAN).transpose(2, 0, 1)[None]
    taps = []
    for stage in (("conv1_1", "conv1_2"), ("conv2_1", "conv2_2"), ("conv3_1", "conv3_2", "conv3_3")):
        for name in stage:
            x = np.maximum(naive_conv3x3(x, arrays[f"{name}.weight"], arrays[f"{name}.bias"]), 0)
        n, c, h, w = x.shape
        x = x.reshape(n, c, h // 2, 2, w // 2, 2).max(axis=(3, 5))
        taps.append(x)
    return [tap / divisor for tap, divisor in zip(taps, (145.36, 339.78, 326.13), strict=True)]


def test_taps_are_what_caffe_would_see_over_their_divisors():
    photo = sample_face()[100:124, 60:92]
    expected = caffe_taps(photo)
    for ours, theirs in zip(VGG16Features()(paddle.to_tensor(to_float(photo)[None])), expected, strict=True):
        np.testing.assert_allclose(ours.numpy(), theirs, atol=1e-4)
    exchanged = VGG16Features()(paddle.to_tensor(to_float(photo[:, :, ::-1])[None]))[0].numpy()
    assert np.abs(exchanged - expected[0]).max() > 0.5  # the photo has colours to tell by


def hard_pictures():
    """Photographs, and patterns of full contrast, which are louder than any photograph; [3, H, W] each."""
    rng = np.random.default_rng(0)
    stripes = np.broadcast_to(np.arange(64) // 2 % 2, [3, 64, 64])
    yield from (to_float(sample_photo(name))[:, :128, :128] for name in ("chelsea", "coffee", "rocket", "astronaut"))
    yield stripes
    yield (rng.random([3, 64, 64]) > 0.5) * np.array([0, 0, 1]).reshape(3, 1, 1)
    yield np.broadcast_to(rng.random([64, 64]) > 0.5, [3, 64, 64])


def test_nothing_inside_comes_near_the_end_of_float16():
    """And the pooled taps are about 1 in the mean, on photographs."""
    network, loudest, means = VGG16Features(), [], []
    for layer in network.convolutions.values():
        layer.register_forward_post_hook(lambda _, __, x: loudest.append(float(x.abs().max())))
    for picture in hard_pictures():
        means.append([float(t.mean()) for t in network(paddle.to_tensor(picture.astype("float32")[None]))])
    assert max(loudest) < np.finfo("float16").max / 500
    of_photographs = np.mean(means[:-3], axis=0)
    assert of_photographs.min() > 0.5 and of_photographs.max() < 2


def test_compared_in_float32_whatever_the_features_are(batch):
    seen = []

    def features(picture):
        seen.append(picture.dtype)
        return [(picture * 30).astype("float16")]

    terms = InpaintingLoss(features)(*map(paddle.to_tensor, batch))
    assert set(seen) == {paddle.float32} and all(t.dtype == paddle.float32 for t in terms.values())
    of_float = InpaintingLoss(lambda picture: [picture * 30])(*map(paddle.to_tensor, batch))
    for name, value in terms.items():
        assert float(value) == pytest.approx(float(of_float[name]), rel=5e-3)


def test_torchvision_names_are_read_with_their_own_normalisation_and_no_scaling():
    from losses.vgg import CHANNELS, TORCHVISION_INDEX

    rng = np.random.default_rng(0)
    arrays = {}
    for name, (i, o) in CHANNELS.items():
        arrays[f"features.{TORCHVISION_INDEX[name]}.weight"] = rng.standard_normal([o, i, 3, 3]).astype("float32") / 10
        arrays[f"features.{TORCHVISION_INDEX[name]}.bias"] = rng.standard_normal(o).astype("float32")
    picture = rng.random([1, 3, 8, 8]).astype("float32")
    tap = VGG16Features(arrays)(paddle.to_tensor(picture))[0]
    x = (picture - np.array([0.485, 0.456, 0.406]).reshape(1, 3, 1, 1)) / np.array([0.229, 0.224, 0.225]).reshape(
        1, 3, 1, 1
    )
    for index in (0, 2):
        x = np.maximum(naive_conv3x3(x, arrays[f"features.{index}.weight"], arrays[f"features.{index}.bias"]), 0)
    pooled = x.reshape(1, 64, 4, 2, 4, 2).max(axis=(3, 5))
    np.testing.assert_allclose(tap.numpy(), pooled, rtol=1e-3, atol=1e-3)


def naive_conv3x3(x, weight, bias):
    padded = np.pad(x, [(0, 0), (0, 0), (1, 1), (1, 1)])
    h, w = x.shape[2:]
    out = sum(
        np.einsum("oc,nchw->nohw", weight[:, :, i, j], padded[:, :, i : i + h, j : j + w])
        for i in range(3)
        for j in range(3)
    )
    return out + bias.reshape(1, -1, 1, 1)
