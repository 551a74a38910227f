"""The terms of the loss that compare features: perceptual and style.

Liu et al. 2018, arXiv:1804.07723, section 3.3. Features are lists of [N, C_p, H_p, W_p], one for each of VGG16's
pool1, pool2, pool3.
"""

import math

import paddle


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
