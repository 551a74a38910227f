"""Losses of a critic that judges cells: hinge loss, the generator's score, feature matching, all over the hole.

With D a critic's logits, Ψ features of a frozen network, x the truth and z the composite, means over cells that touch
the hole::

    critic      hinge(1 − D(x)) + hinge(1 + D(z))
    generator   −D(z)
    matching    |Ψ(z) − Ψ(x)|₁ / mean |Ψ(x)|

Miyato et al. 2018, arXiv:1802.05957 (hinge loss); Sauer et al. 2021, arXiv:2111.01007 (critics on frozen features).
"""

from collections.abc import Sequence

import paddle
import paddle.nn.functional as F

Maps = Sequence[paddle.Tensor]  # one or more [N, C, h, w]


def critic_loss(real: Maps, fake: Maps, hole: paddle.Tensor) -> paddle.Tensor:
    """Hinge loss of the critic, mean over its heads.

    Shape:
        real, fake: logits [N, 1, h, w] of each head.   hole: [N, 1, H, W], 1 = hole. Returns a scalar.
    Example:
        >>> hole = paddle.ones([1, 1, 4, 4])
        >>> float(critic_loss([paddle.full([1, 1, 2, 2], 2.0)], [paddle.zeros([1, 1, 2, 2])], hole))
        1.0
    """
    losses = [over_hole(F.relu(1 - r), hole) + over_hole(F.relu(1 + f), hole) for r, f in zip(real, fake, strict=True)]
    return sum(losses) / len(losses)


def generator_score(fake: Maps, hole: paddle.Tensor) -> paddle.Tensor:
    """What the generator minimises, mean over the critic's heads."""
    return -sum(over_hole(logits, hole) for logits in fake) / len(fake)


def feature_matching(real: Maps, fake: Maps, hole: paddle.Tensor) -> paddle.Tensor:
    """L1 of features in the hole over their mean activation, mean over the taps."""
    distances = [
        over_hole((f - r).abs().mean(axis=1, keepdim=True), hole) / r.abs().mean()
        for r, f in zip(real, fake, strict=True)
    ]
    return sum(distances) / len(distances)


def over_hole(cells: paddle.Tensor, hole: paddle.Tensor) -> paddle.Tensor:
    """Mean of [N, 1, h, w] over the cells that touch the hole [N, 1, H, W]; 0 if none does."""
    touched = (share_of_hole(hole, cells) > 0).astype("float32")
    return (cells.astype("float32") * touched).sum() / touched.sum().clip(min=1.0)


def share_of_hole(hole: paddle.Tensor, cells: paddle.Tensor) -> paddle.Tensor:
    """The hole's share of each cell: [N, 1, H, W] to [N, 1, h, w], the size of ``cells``."""
    side = hole.shape[2] // cells.shape[2]
    return F.avg_pool2d(hole, side, stride=side)
