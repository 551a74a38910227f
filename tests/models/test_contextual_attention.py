"""Contextual attention against a loop over patches; parts against the whole; gradients against differences."""

import numpy as np
import paddle
import pytest

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


def unit(x):
    return x / max(np.sqrt((x**2).sum()), 1e-4)


def naive(foreground, background, mask, kernel_size=3, stride=1, rate=2, fuse_kernel=3, softmax_scale=10, fuse=True):
    """One picture: every position against every patch, by the formulas, in float64."""
    c, height, width = foreground.shape
    small_fg, small_bg, small_mask = (x[:, ::rate, ::rate].astype("float64") for x in (foreground, background, mask))
    h, w = small_fg.shape[1:]
    positions = list(np.ndindex(h, w))
    candidates = [(i, j) for i, j in positions if i % stride == 0 and j % stride == 0]
    reach = kernel_size // 2
    score = {}
    of_background = {q: unit(patch(small_bg, q, reach)) for q in candidates}
    for p in positions:
        of_foreground = unit(patch(small_fg, p, reach))
        for q in candidates:
            score[p, q] = (of_foreground * of_background[q]).sum()
    whole = {q: not patch(1 - small_mask, q, reach).any() for q in candidates}
    steps = range(-(fuse_kernel // 2), fuse_kernel // 2 + 1) if fuse else [0]
    shifts = [(i * stride, j * stride) for i in steps for j in steps]
    total, count = np.zeros([c, height, width]), np.zeros([height, width])
    offsets = np.zeros([2, h, w], int)
    for p in positions:
        fused = {
            q: sum(score.get(((p[0] + i, p[1] + j), (q[0] + i, q[1] + j)), 0.0) for i, j in shifts)
            for q in candidates
            if whole[q]
        }
        largest = max(fused.values(), default=0)
        weights = {q: np.exp(softmax_scale * (s - largest)) for q, s in fused.items()}
        if fused:
            best = max(fused, key=fused.get)
            offsets[:, p[0], p[1]] = best[0] - p[0], best[1] - p[1]
        for i in range(-(rate // 2), 2 * rate - rate // 2):
            for j in range(-(rate // 2), 2 * rate - rate // 2):
                y, x = p[0] * rate + i, p[1] * rate + j
                if 0 <= y < height and 0 <= x < width:
                    count[y, x] += 1
                    for q, weight in weights.items():
                        total[:, y, x] += (
                            weight / sum(weights.values()) * pixel(background, q[0] * rate + i, q[1] * rate + j)
                        )
    return total / count, offsets


@pytest.mark.parametrize(
    ("size", "options"),
    [
        ((8, 8), {}),
        ((9, 12), {}),
        ((13, 7), {"softmax_scale": 3}),
        ((10, 8), {"fuse": False}),
        ((9, 10), {"stride": 2}),
        ((5, 6), {"rate": 1, "kernel_size": 1}),
        ((11, 14), {"rate": 3, "fuse_kernel": 5}),
    ],
)
def test_it_is_the_loop_over_patches(size, options):
    foreground, background, mask = features(2, 3, *size), features(2, 3, *size, seed=5), holes(2, *size)
    out, offsets = ContextualAttention(**options)(*map(paddle.to_tensor, (foreground, background, mask)))
    for k in range(2):
        expected, expected_offsets = naive(foreground[k], background[k], mask[k], **options)
        assert np.abs(expected).max() > 0.1
        np.testing.assert_allclose(out[k].numpy(), expected, atol=1e-5)
        np.testing.assert_array_equal(offsets[k].numpy(), expected_offsets)


@pytest.mark.parametrize(("fuse_kernel", "stride"), [(3, 1), (5, 1), (3, 2), (1, 1)])
def test_parts_are_the_whole(fuse_kernel, stride):
    inputs = [paddle.to_tensor(x) for x in (features(3, 4, 22, 18), features(3, 4, 22, 18, 5), holes(3, 22, 18))]
    options = {"fuse_kernel": fuse_kernel, "stride": stride}
    whole, offsets = ContextualAttention(max_scores=10**9, **options)(*inputs)
    for max_scores in (1, 9 * 99, 4 * 9 * 99, 2 * 99 * 99):  # a row, some rows, two pictures
        out, same = ContextualAttention(max_scores=max_scores, **options)(*inputs)
        np.testing.assert_allclose(out.numpy(), whole.numpy(), atol=1e-5)
        np.testing.assert_array_equal(same.numpy(), offsets.numpy())


def test_no_part_holds_more_scores_than_allowed(monkeypatch):
    """Of 64×64 positions, as a picture of 512×512 has: the neighbours' rows come on top."""
    import models.contextual_attention as module

    sizes, softmax = [], module.F.softmax
    monkeypatch.setattr(module.F, "softmax", lambda x, axis: sizes.append(x.size) or softmax(x, axis))
    with paddle.no_grad():
        x = paddle.rand([1, 1, 128, 128])
        ContextualAttention(fuse=False, max_scores=2**22)(x, x, paddle.ones([1, 1, 128, 128]))
    assert sizes == [2**22] * 4


def test_known_content_comes_back_where_nothing_is_missing():
    """A sharp softmax finds each patch itself, and what is pasted is the picture, to the edge."""
    x = paddle.to_tensor(features(1, 8, 12, 10))
    out, offsets = ContextualAttention(softmax_scale=1000)(x, x, paddle.ones([1, 1, 12, 10]))
    np.testing.assert_allclose(out.numpy(), x.numpy(), atol=1e-5)
    assert not offsets.numpy().any()


def test_what_stands_in_the_hole_and_beside_it_is_not_pasted():
    """Rows and columns 5 to 9 belong only to patches that touch the hole, at 6 to 9."""
    foreground, background, mask = features(1, 3, 16, 16), features(1, 3, 16, 16, 5), np.ones([1, 1, 16, 16], "float32")
    mask[..., 6:10, 6:10] = 0
    spoiled = background.copy()
    spoiled[..., 5:10, 5:10] += 100
    attention = ContextualAttention(fuse=False)
    out, same = (attention(*map(paddle.to_tensor, (foreground, b, mask)))[0].numpy() for b in (background, spoiled))
    np.testing.assert_allclose(same, out, atol=1e-5)
    unmasked = attention(*map(paddle.to_tensor, (foreground, spoiled, np.ones_like(mask))))[0].numpy()
    assert np.abs(unmasked - out).max() > 1


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


def test_an_empty_feature_has_finite_gradients():
    x = paddle.zeros([1, 3, 8, 8])
    x.stop_gradient = False
    out, _ = ContextualAttention()(x, x, paddle.to_tensor(holes(1, 8, 8)))
    (out.sum() + (out**2).sum()).backward()
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


def test_without_cosine_a_louder_foreground_chooses_more_sharply():
    foreground, background, mask = (
        paddle.to_tensor(x) for x in (features(1, 3, 8, 8), features(1, 3, 8, 8, 5), holes(1, 8, 8))
    )
    loud, soft = (ContextualAttention(cosine=True)(k * foreground, background, mask)[0].numpy() for k in (4, 1))
    np.testing.assert_allclose(loud, soft, atol=1e-5)
    plain = ContextualAttention(cosine=False, softmax_scale=2)(4 * foreground, background, mask)[0]
    scaled = ContextualAttention(cosine=False, softmax_scale=8)(foreground, background, mask)[0]
    np.testing.assert_allclose(plain.numpy(), scaled.numpy(), atol=1e-5)
    assert np.abs(plain.numpy() - soft).max() > 1e-3


def test_colours_tell_direction_and_length():
    offsets = np.zeros([2, 1, 5])
    offsets[:, 0, 1:] = np.array([[0, 4], [4, 0], [0, -4], [0, 2]]).T  # right, down, left, half as far right
    picture = offsets_to_picture(offsets)
    expected = [[255, 255, 255], [255, 0, 0], [128, 255, 0], [0, 255, 255], [255, 128, 128]]
    np.testing.assert_allclose(picture[0], expected, atol=1)
    large = offsets_to_picture(offsets, enlarge=3, longest=8)
    assert large.shape == (3, 15, 3) and large.dtype == np.uint8
    np.testing.assert_array_equal(large[1, 4], picture[0, 4])  # 4 of 8 is as pale as 2 of 4


@pytest.mark.parametrize(
    ("options", "message"),
    [({"kernel_size": 2}, "kernel_size: expected an odd"), ({"fuse_kernel": 4}, "fuse_kernel"), ({"rate": 0}, "rate")],
)
def test_wrong_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        ContextualAttention(**options)


@pytest.mark.parametrize(
    "shapes",
    [
        ([1, 2, 8, 8], [1, 2, 8, 6], [1, 1, 8, 8]),
        ([1, 2, 8, 8], [1, 2, 8, 8], [1, 2, 8, 8]),
        ([2, 8, 8], [2, 8, 8], [1, 1, 8, 8]),
    ],
)
def test_inputs_that_do_not_fit_are_refused(shapes):
    with pytest.raises(ValueError, match="expected"):
        ContextualAttention()(*map(paddle.ones, shapes))
