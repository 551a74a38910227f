"""DeepFillv1's losses against plain formulas: penalty of critics known by heart, discounts, weights."""

import numpy as np
import paddle
import pytest

from losses.wgan import (
    GeneratorLoss,
    critic_loss,
    discount_map,
    generator_score,
    gradient_penalty,
    weighted_l1,
)


def pictures(*names, n=2, h=8, w=10):
    rng = np.random.default_rng(0)
    return [rng.random([n, 3, h, w]).astype("float32") for _ in names]


def masks(n=2, h=8, w=10):
    mask = np.ones([n, 1, h, w], "float32")
    mask[0, :, 2:6, 3:8] = 0
    mask[1:, :, :3, 7:] = 0
    mask[1:, :, 6, 1] = 0
    return mask


def test_penalty_draws_a_point_between_for_each_picture():
    seen = []
    real, fake = np.zeros([50, 3, 2, 2], "float32"), np.ones([50, 3, 2, 2], "float32")
    mask = np.zeros([50, 1, 2, 2], "float32")
    gradient_penalty(
        lambda x: seen.append(x.numpy()) or x.sum(axis=[1, 2, 3]), *map(paddle.to_tensor, (real, fake, mask))
    )
    [points] = seen
    assert (points == points[:, :1, :1, :1]).all() and 0 <= points.min() < 0.2 and 0.8 < points.max() <= 1
    assert len(np.unique(points)) > 25


def test_scores_become_losses():
    real, fake = paddle.to_tensor([[1.0], [4.0]]), paddle.to_tensor([[0.5], [-2.5]])
    assert float(critic_loss(real, fake)) == pytest.approx(-1 - 2.5)
    assert float(generator_score(fake)) == pytest.approx(1)


def irregular(kind, h=15, w=19):
    mask = np.ones([2, 1, h, w], "float32")
    if kind == "scattered":
        mask = (np.random.default_rng(3).random(mask.shape) > 0.9).astype("float32")
    if kind == "box":
        mask[0, :, 3:12, 2:17] = 0
        mask[1, :, :6, 9:] = 0  # at the border, beyond which nothing is known
    if kind == "blobs":
        i, j = np.mgrid[:h, :w]
        mask[:, 0, (i - 7) ** 2 + (j - 6) ** 2 < 30] = 0
        mask[1, 0, 10:, :] = 0
    return mask


@pytest.mark.parametrize("kind", ["scattered", "box", "blobs", "none"])
def test_discount_is_gamma_to_the_distance_from_what_is_known(kind):
    mask = irregular(kind)
    got = discount_map(paddle.to_tensor(mask), 0.9).numpy()
    for k in range(2):
        known = np.argwhere(mask[k, 0] == 1)
        for i, j in np.ndindex(15, 19):
            distance = np.sqrt(((known - [i, j]) ** 2).sum(axis=1)).min()
            # To the bit, or a resumed run would not end where the unbroken one does.
            assert got[k, 0, i, j] == np.float32(0.9**distance if distance else 0)


def test_where_nothing_is_known_no_pixel_counts():
    mask = masks()
    mask[0] = 0
    got = discount_map(paddle.to_tensor(mask)).numpy()
    assert not got[0].any() and got[1].any() and np.isfinite(got).all()


def test_weighted_l1_is_the_mean_over_what_has_weight_in_the_authors_range():
    output, gt = pictures("output", "gt")
    mask = masks()
    signed = np.abs((2 * output - 1) - (2 * gt - 1))
    got = float(weighted_l1(*map(paddle.to_tensor, (output, gt, mask))))
    assert got == pytest.approx((signed * mask).mean() / mask.mean(), rel=1e-5)
    assert float(weighted_l1(*map(paddle.to_tensor, (output, gt, 0 * mask)))) == 0


def test_generator_loss_is_the_authors_sum():
    coarse, refined, gt = pictures("coarse", "refined", "gt")
    mask = masks()
    local_score, global_score = np.array([[2.0], [4.0]], "float32"), np.array([[1.0], [-6.0]], "float32")
    criterion = GeneratorLoss()
    terms = criterion(*map(paddle.to_tensor, (coarse, refined, gt, mask, local_score, global_score)))
    discount = discount_map(paddle.to_tensor(mask), 0.9).numpy()
    hole = 3 * (1 - mask).sum()
    c, r = 2 * np.abs(coarse - gt), 2 * np.abs(refined - gt)
    expected = {
        "adversarial_local": -3.0,
        "adversarial_global": 2.5,
        "discounted": ((1.2 * c + r) * discount).sum() / hole,
        "known": ((1.2 * c + r) * mask).mean() / mask.mean(),
    }
    assert {name: float(value) for name, value in terms.items()} == pytest.approx(expected, rel=1e-5)
    total = 0.001 * -0.5 + 1.2 * expected["discounted"] + 1.2 * expected["known"]
    assert float(criterion.total(terms)) == pytest.approx(total, rel=1e-5)
