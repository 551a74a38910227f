"""The smooth surfaces that the network gets beside the picture; numbers are repeated here to do without Paddle."""

import numpy as np

from inpainting.surface import smooth_surface

STEPS = {2: 30, 1: 20}  # by order; a test holds them to ``models.unet.PRIOR_STEPS``


def surfaces(known: np.ndarray, mask: np.ndarray) -> list[np.ndarray]:
    """The smooth surfaces of order 2 and 1.

    Shape:
        known: float32 [H, W, C]; hole pixels do not matter.   mask: float32 [H, W], 1 = valid.
        Returns float32 [H, W, C] each, not clipped.
    """
    known = known * mask[..., None]
    return [smooth_surface(known, mask, order, steps) for order, steps in STEPS.items()]
