"""How far two pictures are apart in the features of the shipped VGG16: the loss's perceptual term as a measure.

    Σ_p mean |Ψ_p(a) − Ψ_p(b)|,   Ψ_p: pool1, pool2, pool3, each divided by its mean on natural photographs

It is not LPIPS: nothing in it was fitted to what people see, and its figures can be held against no other's.
"""

import numpy as np
import paddle

from datasets.images import to_float
from losses.perceptual import perceptual
from losses.vgg import VGG16Features


class VGGDistance:
    """Called with two pictures, uint8 [H, W, 3], at least 8 pixels on each side: 0 for equal ones; it is symmetric.

    Example:
        >>> picture = np.zeros([16, 16, 3], np.uint8)
        >>> VGGDistance()(picture, picture)
        0.0
    """

    def __init__(self):
        self.features = VGG16Features()

    def __call__(self, gt: np.ndarray, result: np.ndarray) -> float:
        pictures = paddle.to_tensor(np.stack([to_float(gt), to_float(result)]))
        with paddle.no_grad():
            taps = self.features(pictures)
            return float(perceptual([tap[:1] for tap in taps], [tap[1:] for tap in taps]))
