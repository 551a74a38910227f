"""The paper's composite loss: valid, hole, perceptual, style (of output and of composite) and total variation.

Liu et al. 2018, arXiv:1804.07723, section 3.3 and Eq. 7: L = L_valid + 6 L_hole + 0.05 L_perceptual + 120
(L_style_out + L_style_comp) + 0.1 L_tv. Each L1 is averaged over the whole picture (N = C·H·W, not the hole's size), as
its authors confirm, and over the batch. Pictures are [N, 3, H, W] in [0, 1], masks [N, 1, H, W] with 1 = valid,
features lists of [N, C_p, H_p, W_p], one for each of VGG16's pool1, pool2, pool3.
"""

import math

import paddle
import paddle.nn.functional as F
from paddle import nn

from .vgg import VGG16Features

PAPER_WEIGHTS = {"valid": 1.0, "hole": 6.0, "perceptual": 0.05, "style": 120.0, "tv": 0.1}


class InpaintingLoss(nn.Layer):
    """Raw terms in a dict, the weights beside them in ``.weights``, their weighted sum by ``.total(terms)``.

    Args:
        features: picture to list of features; ``VGG16Features()`` by default.
        weights: changes to the paper's weights, by term. They may be changed between calls (a schedule). While
            ``perceptual`` and ``style`` both weigh 0 the feature extractor, most of the cost, is not run and the two
            terms are left out of the dict.
    Shape:
        output, gt: [N, 3, H, W] in [0, 1] scale.   mask: [N, 1, H, W], {0, 1}, 1 = valid.
        Each term: a float32 scalar. Under automatic mixed precision the feature extractor, and nothing else, runs in
        float16.
    Raises:
        ValueError: an unknown term.
    """

    def __init__(self, features: nn.Layer | None = None, weights: dict[str, float] | None = None):
        super().__init__()
        if unknown := sorted(set(weights or {}) - set(PAPER_WEIGHTS)):
            raise ValueError(f"loss weights: expected terms among {', '.join(PAPER_WEIGHTS)}, got {', '.join(unknown)}")
        self.weights = {**PAPER_WEIGHTS, **(weights or {})}
        self.features = VGG16Features() if features is None else features

    def forward(self, output: paddle.Tensor, gt: paddle.Tensor, mask: paddle.Tensor) -> dict[str, paddle.Tensor]:
        output, gt, mask = (t.astype("float32") for t in (output, gt, mask))
        with paddle.amp.auto_cast(enable=False):
            comp = composite(output, gt, mask)
            terms = {"valid": masked_l1(output, gt, mask), "hole": masked_l1(output, gt, 1 - mask)}
            variation = total_variation(comp, mask)
        if self.weights["perceptual"] or self.weights["style"]:
            terms |= self._feature_terms(output, comp, gt)
        return terms | {"tv": variation}

    def total(self, terms: dict[str, paddle.Tensor]) -> paddle.Tensor:
        """Σ weight · term, each weighted once."""
        return sum(self.weights[name] * term for name, term in terms.items())

    def _feature_terms(self, output, comp, gt) -> dict[str, paddle.Tensor]:
        with paddle.no_grad():
            of_gt = self._features_of(gt)
        of_output, of_comp = self._features_of(output), self._features_of(comp)
        with paddle.amp.auto_cast(enable=False):
            return {
                "perceptual": perceptual(of_output, of_gt) + perceptual(of_comp, of_gt),
                "style": style(of_output, of_gt) + style(of_comp, of_gt),
            }

    def _features_of(self, picture) -> list[paddle.Tensor]:
        """Float32, whatever they were worked out in."""
        return [t.astype("float32") for t in self.features(picture)]


def masked_l1(output: paddle.Tensor, gt: paddle.Tensor, where: paddle.Tensor) -> paddle.Tensor:
    """|where ⊙ (output − gt)|₁ / N: the mask gives L_valid, 1 − mask gives L_hole. Returns a scalar."""
    return ((output - gt).abs() * where.expand_as(gt)).mean()


def composite(output: paddle.Tensor, gt: paddle.Tensor, mask: paddle.Tensor) -> paddle.Tensor:
    """mask·gt + (1 − mask)·output: the truth where it is known, the network's painting in the hole."""
    mask = mask.expand_as(gt)
    return mask * gt + (1 - mask) * output


def total_variation(comp: paddle.Tensor, mask: paddle.Tensor) -> paddle.Tensor:
    """Sum of |differences| of neighbours, both inside the hole dilated by one pixel (3×3), over N. Returns a scalar."""
    region = F.max_pool2d(1 - mask, 3, stride=1, padding=1)
    across = (comp[:, :, :, 1:] - comp[:, :, :, :-1]).abs() * (region[:, :, :, 1:] * region[:, :, :, :-1])
    down = (comp[:, :, 1:] - comp[:, :, :-1]).abs() * (region[:, :, 1:] * region[:, :, :-1])
    return (across.sum() + down.sum()) / comp.size


def perceptual(features: list[paddle.Tensor], target: list[paddle.Tensor]) -> paddle.Tensor:
    """Σ_p |Ψ_p(a) − Ψ_p(b)|₁ / N_Ψp, averaged over the batch. Returns a scalar."""
    return sum((a - b).abs().mean() for a, b in zip(features, target, strict=True))


def gram(feature: paddle.Tensor) -> paddle.Tensor:
    """ΨᵀΨ / (C·H·W): [N, C, H, W] to [N, C, C].

    Each factor is divided by √(C·H·W) before the product, which would leave float16's range otherwise.
    """
    n, c, h, w = feature.shape
    flat = feature.reshape([n, c, h * w]) / math.sqrt(c * h * w)
    return paddle.matmul(flat, flat, transpose_y=True)


def style(features: list[paddle.Tensor], target: list[paddle.Tensor]) -> paddle.Tensor:
    """Σ_p |K_p(Ψ_p(a)ᵀΨ_p(a) − Ψ_p(b)ᵀΨ_p(b))|₁ / C_p², averaged over the batch. Returns a scalar."""
    return sum((gram(a) - gram(b)).abs().mean() for a, b in zip(features, target, strict=True))
