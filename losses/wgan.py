"""The losses of DeepFillv1: Wasserstein critics with a gradient penalty in the hole, and the generator's four terms.

Yu et al. 2018, *Generative Image Inpainting with Contextual Attention*, arXiv:1801.07892, section 3; Gulrajani et
al. 2017, arXiv:1704.00028. With D a critic, x a true picture, z the completed one, and x̂ on the line between them::

    critic     E D(z) − E D(x) + 10 · E (‖∇D(x̂) ⊙ hole‖₂ − 1)²                 for each of the two critics
    generator  0.001 · (−E D_local(z) − E D_global(z)) + 1.2 · discounted + 1.2 · known
    discounted 1.2 · |coarse − x|₁ + |refined − x|₁ in the hole, each pixel weighted γ^distance, over their number
    known      1.2 · |coarse − x|₁ + |refined − x|₁ outside the hole, over their number

The weights are those of the author's code. γ is 0.99 in the paper and 0.9 in that code, which
at 256×256 is also the author's advice.

Pictures come in [0, 1], as everywhere here. The author's weights are for [−1, 1], so differences count double and
gradients half: both terms are what they are there.
"""

from collections.abc import Callable

import cv2
import numpy as np
import paddle

AUTHOR_WEIGHTS = {"adversarial_local": 0.001, "adversarial_global": 0.001, "discounted": 1.2, "known": 1.2}
AUTHOR_COARSE_WEIGHT = 1.2
PENALTY_WEIGHT = 10.0  # paper and author alike
PAPER_GAMMA, AUTHOR_GAMMA = 0.99, 0.9
SPAN = 2.0  # of a picture in [−1, 1], in units of one in [0, 1]


class GeneratorLoss:
    """Raw terms in a dict, the weights beside them in ``.weights``, their weighted sum by ``.total(terms)``.

    Args:
        weights: changes to the author's weights, by term.
        coarse_weight: of the coarse picture beside the refined one, in ``discounted`` and ``known``.
        gamma: of the discount: ``AUTHOR_GAMMA`` or ``PAPER_GAMMA``.
    Shape:
        coarse, refined, gt: [N, 3, H, W] in [0, 1] scale.   mask: [N, 1, H, W], {0, 1}, 1 = valid.
        local_score, global_score: [N, 1], of the completed pictures.
        Each term: a float32 scalar.
    Example:
        >>> picture, mask, score = paddle.rand([2, 3, 16, 16]), paddle.ones([2, 1, 16, 16]), paddle.ones([2, 1])
        >>> criterion = GeneratorLoss()
        >>> float(criterion.total(criterion(picture, picture, picture, mask, score, score)))
        -0.0020000000949949026
    """

    def __init__(
        self,
        weights: dict[str, float] | None = None,
        coarse_weight: float = AUTHOR_COARSE_WEIGHT,
        gamma: float = AUTHOR_GAMMA,
    ):
        self.weights = {**AUTHOR_WEIGHTS, **(weights or {})}
        self.coarse_weight, self.gamma = coarse_weight, gamma

    def __call__(
        self,
        coarse: paddle.Tensor,
        refined: paddle.Tensor,
        gt: paddle.Tensor,
        mask: paddle.Tensor,
        local_score: paddle.Tensor,
        global_score: paddle.Tensor,
    ) -> dict[str, paddle.Tensor]:
        coarse, refined, gt, mask = (t.astype("float32") for t in (coarse, refined, gt, mask))
        return {
            "adversarial_local": generator_score(local_score),
            "adversarial_global": generator_score(global_score),
            "discounted": self._of_both(coarse, refined, gt, discount_map(mask, self.gamma)),
            "known": self._of_both(coarse, refined, gt, mask),
        }

    def total(self, terms: dict[str, paddle.Tensor]) -> paddle.Tensor:
        """Σ weight · term, each weighted once."""
        return sum(self.weights[name] * term for name, term in terms.items())

    def _of_both(self, coarse, refined, gt, weight) -> paddle.Tensor:
        return self.coarse_weight * weighted_l1(coarse, gt, weight) + weighted_l1(refined, gt, weight)


def critic_loss(real_score: paddle.Tensor, fake_score: paddle.Tensor) -> paddle.Tensor:
    """E D(z) − E D(x), a critic's loss without the penalty; negated, an estimate of the Wasserstein distance."""
    return fake_score.astype("float32").mean() - real_score.astype("float32").mean()


def generator_score(fake_score: paddle.Tensor) -> paddle.Tensor:
    """−E D(z), the generator's adversarial loss."""
    return -fake_score.astype("float32").mean()


def gradient_penalty(
    critic: Callable[[paddle.Tensor], paddle.Tensor],
    real: paddle.Tensor,
    fake: paddle.Tensor,
    mask: paddle.Tensor,
    at: paddle.Tensor | None = None,
) -> paddle.Tensor:
    """E (‖∇D(x̂) ⊙ hole‖₂ − 1)² with x̂ = x + t·(z − x), t uniform in [0, 1]; to be multiplied by ``PENALTY_WEIGHT``.

    Only the hole differs between x and z, so the gradient is penalised only there. It is taken with respect to a
    picture in [−1, 1].

    Args:
        critic: picture to score [N, 1]; each score of its own picture alone. Its operators need second derivatives.
        at: t [N, 1, 1, 1]; drawn by default.
    Shape:
        real, fake: [N, 3, H, W] in [0, 1]; no gradient goes back to them.   mask: [N, 1, H, W], 1 = valid.
        Returns a scalar, whose gradient goes to the critic's parameters.
    """
    real, fake = (t.detach().astype("float32") for t in (real, fake))
    t = paddle.rand([real.shape[0], 1, 1, 1]) if at is None else at
    between = real + t * (fake - real)
    between.stop_gradient = False
    [gradient] = paddle.grad(critic(between).sum(), between, create_graph=True)
    gradient = gradient / SPAN * (1 - mask).expand_as(real)
    # The floor goes under the root, whose gradient at 0 would be infinite.
    norm = gradient.square().sum(axis=[1, 2, 3]).clip(min=1e-12).sqrt()
    return (norm - 1).square().mean()


def weighted_l1(output: paddle.Tensor, gt: paddle.Tensor, weight: paddle.Tensor) -> paddle.Tensor:
    """Σ weight · |output − gt| over the number of values whose weight is not 0, in the whole batch; of [−1, 1] scale.

    With the mask for weight this is the author's term outside the hole, with a ``discount_map`` that inside.

    Shape:
        output, gt: [N, C, H, W] in [0, 1] scale.   weight: [N or 1, 1, H, W]. Returns a scalar, 0 for no weight at all.
    """
    weight = weight.expand_as(gt)
    return SPAN * ((output - gt).abs() * weight).sum() / (weight != 0).astype("float32").sum().clip(min=1.0)


def discount_map(mask: paddle.Tensor, gamma: float = AUTHOR_GAMMA) -> paddle.Tensor:
    """γ^distance to the nearest known pixel, in pixels (Euclidean), inside the hole; 0 outside.

    Far from known pixels many fills are plausible, so errors there weigh less. For holes of any shape. A picture
    without a known pixel has weight 0.

    Shape:
        mask: [N, 1, H, W], {0, 1}, 1 = valid. Returns the same shape, float32.
    Example:
        >>> mask = paddle.to_tensor([1.0, 0, 0, 0, 1]).reshape([1, 1, 1, 5])
        >>> discount_map(mask, 0.5).flatten().tolist()
        [0.0, 0.5, 0.25, 0.5, 0.0]
    """
    return paddle.to_tensor(np.stack([_discounts(m, gamma) for m in mask[:, 0].numpy()])[:, None])


def _discounts(mask: np.ndarray, gamma: float) -> np.ndarray:
    """The map of one mask [H, W]."""
    hole = (mask < 0.5).astype("uint8")
    if hole.all():
        return np.zeros(hole.shape, "float32")
    distance = cv2.distanceTransform(hole, cv2.DIST_L2, cv2.DIST_MASK_PRECISE).astype("float64")
    # OpenCV's last digit depends on where the arrays lie in memory; squared distances are whole numbers.
    distance = np.sqrt(np.rint(distance**2))
    return (gamma**distance * hole).astype("float32")
