"""The paper's composite loss: valid, hole, perceptual, style (of output and of composite) and total variation.

Liu et al. 2018, arXiv:1804.07723, Eq. 7: L = L_valid + 6 L_hole + 0.05 L_perceptual + 120 (L_style_out +
L_style_comp) + 0.1 L_tv.
"""

import paddle
from paddle import nn

from .perceptual import perceptual, style
from .reconstruction import composite, masked_l1, total_variation
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
