"""Contextual attention against a loop over patches; parts against the whole; gradients against differences."""

import numpy as np
import paddle
import pytest

from models import contextual_attention
from models.contextual_attention import ContextualAttention, offsets_to_picture


def features(n, c, h, w, seed=0):
    return np.random.default_rng(seed).standard_normal([n, c, h, w]).astype("float32")


def holes(n, h, w, seed=1):
    """Masks that differ within a batch: a box that moves, and single pixels that scatter."""
    rng = np.random.default_rng(seed)
    mask = np.ones([n, 1, h, w], "float32")
    for k in range(n):
        top, left = rng.integers(0, h // 2), rng.integers(0, w // 2)
        mask[k, :, top : top + h // 3, left : left + w // 3] = 0
        mask[k, 0, rng.integers(h), rng.integers(w)] = 0
    return mask


def pixel(x, i, j):
    """x[:, i, j], zeros beyond the edge."""
    _, h, w = x.shape
    return x[:, i, j] if 0 <= i < h and 0 <= j < w else np.zeros(len(x))


def patch(x, centre, reach):
    """The patch around a position, [C, k, k]."""
    steps = range(-reach, reach + 1)
    return np.array([[pixel(x, centre[0] + i, centre[1] + j) for j in steps] for i in steps]).transpose(2, 0, 1)


def unit(x, as_port):
    return x / (np.sqrt((x**2 + 1e-4).sum()) if as_port else max(np.sqrt((x**2).sum()), 1e-4))


def along_a_line(score, reach):
    """Σ_d score[a + d, b + d]: what a convolution with an identity matrix comes to."""
    padded = np.pad(score, reach)
    return sum(padded[d : d + len(score), d : d + len(score)] for d in range(2 * reach + 1))


def flat_propagation(score, h, w, reach):
    """As the author's code does it: over positions row after row, then, both turned, column after column."""
    turn = np.arange(h * w).reshape(h, w).T.ravel()
    score = along_a_line(score, reach)[turn][:, turn]
    back = np.argsort(turn)
    return along_a_line(score, reach)[back][:, back]


def grid_propagation(score, h, w, reach):
    shifts, at = range(-reach, reach + 1), reach
    grid = np.pad(score.reshape(h, w, h, w), reach)
    return sum(
        grid[at + i : at + i + h, at + j : at + j + w, at + i : at + i + h, at + j : at + j + w]
        for i in shifts
        for j in shifts
    ).reshape(h * w, h * w)


def is_whole(mask, q, rate):
    """Whether neither what is compared around q nor what would be pasted has a hole pixel; mask [1, H, W]."""
    for first, length in (((np.array(q) - 1) * rate, 3 * rate), (np.array(q) * rate - rate // 2, 2 * rate)):
        (top, left), (bottom, right) = np.maximum(first, 0), first + length
        if (mask[0, top:bottom, left:right] == 0).any():
            return False
    return True


def naive(foreground, background, mask, rate=2, softmax_scale=10, as_port=False):
    """One picture: every position against every patch, by the formulas, in float64."""
    c, height, width = foreground.shape
    small_fg, small_bg, small_mask = (x[:, ::rate, ::rate].astype("float64") for x in (foreground, background, mask))
    h, w = small_fg.shape[1:]
    positions, reach = list(np.ndindex(h, w)), 1
    of_foreground = np.array([patch(small_fg, p, reach).ravel() for p in positions])
    if not as_port:
        of_foreground = np.array([unit(x, as_port) for x in of_foreground])
    of_background = np.array([unit(patch(small_bg, q, reach), as_port).ravel() for q in positions])
    score = of_foreground @ of_background.T
    score = (flat_propagation if as_port else grid_propagation)(score, h, w, 1)
    if as_port:
        whole = [not patch(1 - small_mask, q, reach).any() for q in positions]
    else:
        whole = [is_whole(mask, q, rate) for q in positions]
    known = np.array(whole)
    shown = np.ones_like(known) if as_port else known
    total, count = np.zeros([c, height, width]), np.zeros([height, width])
    offsets = np.zeros([2, h, w], int)
    for p, scores in zip(positions, score, strict=True):
        scores = np.where(known, scores, 0.0)
        weights = np.exp(softmax_scale * (scores - scores.max())) * shown
        weights = weights * known / max(weights.sum(), 1e-300)
        if known.any():
            best = positions[np.argmax(np.where(known, scores, -np.inf))]
            offsets[:, p[0], p[1]] = best[0] - p[0], best[1] - p[1]
        for i in range(-(rate // 2), 2 * rate - rate // 2):
            for j in range(-(rate // 2), 2 * rate - rate // 2):
                y, x = p[0] * rate + i, p[1] * rate + j
                if 0 <= y < height and 0 <= x < width:
                    count[y, x] += 1
                    for q in np.flatnonzero(weights):
                        row, column = positions[q][0] * rate + i, positions[q][1] * rate + j
                        total[:, y, x] += weights[q] * pixel(background, row, column)
    return total / (4 if as_port else count), offsets


@pytest.mark.parametrize(
    ("size", "options"),
    [
        ((8, 8), {}),
        ((9, 12), {}),
        ((13, 7), {"softmax_scale": 3}),
        ((5, 6), {"rate": 1}),
        ((11, 14), {"rate": 3}),
        ((8, 12), {"as_port": True, "softmax_scale": 1}),
        ((11, 14), {"as_port": True, "softmax_scale": 3}),
    ],
)
def test_it_is_the_loop_over_patches(size, options):
    foreground, background, mask = features(2, 3, *size), features(2, 3, *size, seed=5), holes(2, *size)
    out, offsets = ContextualAttention(**options)(*map(paddle.to_tensor, (foreground, background, mask)))
    for k in range(2):
        expected, expected_offsets = naive(foreground[k], background[k], mask[k], **options)
        assert np.abs(expected).max() > 0.1 and mask[k].min() == 0
        np.testing.assert_allclose(out[k].numpy(), expected, atol=1e-5)
        np.testing.assert_array_equal(offsets[k].numpy(), expected_offsets)


def test_what_the_port_adds_to_the_squares_of_quiet_features():
    inputs = 0.01 * features(1, 3, 8, 12), 0.01 * features(1, 3, 8, 12, seed=5), holes(1, 8, 12)
    options = {"softmax_scale": 300, "as_port": True}
    out, _ = ContextualAttention(**options)(*map(paddle.to_tensor, inputs))
    np.testing.assert_allclose(out[0].numpy(), naive(*(x[0] for x in inputs), **options)[0], atol=1e-6)


@pytest.mark.parametrize("options", [{}, {"softmax_scale": 1, "as_port": True}])
def test_bands_are_the_whole(options, monkeypatch):
    inputs = [paddle.to_tensor(x) for x in (features(3, 4, 22, 18), features(3, 4, 22, 18, 5), holes(3, 22, 18))]
    whole, offsets = ContextualAttention(**options)(*inputs)
    for max_scores in (1, 40_000):
        monkeypatch.setattr(contextual_attention, "MAX_SCORES", max_scores)
        out, same = ContextualAttention(**options)(*inputs)
        np.testing.assert_allclose(out.numpy(), whole.numpy(), atol=1e-5)
        np.testing.assert_array_equal(same.numpy(), offsets.numpy())


def test_bands_have_the_gradient_of_the_whole(monkeypatch):
    """Also where there is nothing to tell patches apart by, and where a part of the background is all hole."""
    arrays = features(1, 2, 12, 12), features(1, 2, 12, 12, 5), np.ones([1, 1, 12, 12], "float32")
    arrays[0][..., :6], arrays[2][..., 6:, :7] = 0, 0
    gradients = []
    for max_scores in (10**9, 900):
        tensors = [paddle.to_tensor(a, stop_gradient=False) for a in arrays]
        monkeypatch.setattr(contextual_attention, "MAX_SCORES", max_scores)
        out, _ = ContextualAttention(softmax_scale=2)(*tensors)
        (out * paddle.to_tensor(features(1, 2, 12, 12, 9))).sum().backward()
        gradients.append([t.grad.numpy() for t in tensors[:2]])
    for whole, parts in zip(*gradients, strict=True):
        assert np.abs(whole).max() > 0.01
        np.testing.assert_allclose(parts, whole, rtol=1e-4, atol=1e-4)


def test_a_mask_that_leaves_no_patch_gives_nothing():
    x = paddle.to_tensor(features(2, 3, 12, 12))
    x.stop_gradient = False
    mask = np.ones([2, 1, 12, 12], "float32")
    mask[0, :, ::4, ::4] = 0  # of 6×6 positions every third: each patch of 3×3 has one
    out, offsets = ContextualAttention()(x, x, paddle.to_tensor(mask))
    assert not out[0].numpy().any() and not offsets[0].numpy().any()
    assert out[1].numpy().any()
    out.sum().backward()
    assert np.isfinite(x.grad.numpy()).all()


@pytest.mark.parametrize("which", [0, 1])
def test_gradient_is_that_of_differences(which):
    """Central differences of the loop in float64, along random directions."""
    arrays = [features(1, 2, 6, 6), features(1, 2, 6, 6, 5), np.ones([1, 1, 6, 6], "float32")]
    arrays[2][..., 5, 4] = 0
    arrays[2][..., 4, 0] = 0
    target = features(1, 2, 6, 6, 9)
    tensors = [paddle.to_tensor(a) for a in arrays]
    tensors[which].stop_gradient = False
    options = {"softmax_scale": 0.5}  # a soft choice, so that each patch's gradient counts
    (ContextualAttention(**options)(*tensors)[0] * paddle.to_tensor(target)).sum().backward()
    gradient = tensors[which].grad.numpy()

    def loss(step):
        moved = [a[0].astype("float64") for a in arrays]
        moved[which] = moved[which] + step
        return (naive(*moved, **options)[0] * target[0]).sum()

    for seed in range(3):
        direction = np.random.default_rng(seed).standard_normal([2, 6, 6])
        expected = (loss(1e-5 * direction) - loss(-1e-5 * direction)) / 2e-5
        assert (gradient[0] * direction).sum() == pytest.approx(expected, rel=1e-3, abs=1e-4)
    assert np.isfinite(gradient).all() and np.abs(gradient).max() > 0.01


def test_colours_tell_direction_and_length():
    offsets = np.zeros([2, 1, 5])
    offsets[:, 0, 1:] = np.array([[0, 4], [4, 0], [0, -4], [0, 2]]).T  # right, down, left, half as far right
    picture = offsets_to_picture(offsets)
    expected = [[255, 255, 255], [255, 0, 0], [128, 255, 0], [0, 255, 255], [255, 128, 128]]
    np.testing.assert_allclose(picture[0], expected, atol=1)
    large = offsets_to_picture(offsets, enlarge=3, longest=8)
    assert large.shape == (3, 15, 3) and large.dtype == np.uint8
    np.testing.assert_array_equal(large[1, 4], picture[0, 4])  # 4 of 8 is as pale as 2 of 4
