"""VGG16 up to pool3, frozen: the features Ψ that the perceptual and style terms compare.

Simonyan & Zisserman 2014, configuration D. Two releases of its ImageNet weights are read, told apart by their keys:

* ``conv1_1.weight`` ...: the Oxford release, which the repository ships (weights/vgg16_pool3.npz). Its input is on the
  0-255 scale minus a mean and, being Caffe's, in the order blue, green, red: conv1_1's input channels are reversed as
  they are read, and pictures are RGB here as everywhere. Its activations are two orders of magnitude louder than those
  the paper's weights 0.05 and 120 were tuned with, so each pooled tap is divided by its mean on natural photos, which
  is exact for a network of ReLUs (Gatys et al. 2016).
* ``features.0.weight`` ...: torchvision's naming, which Paddle's own VGG16 shares. Its input is normalised by mean and
  standard deviation; its taps are used as they are.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import paddle
import paddle.nn.functional as F
from paddle import nn

SHIPPED_WEIGHTS = Path(__file__).resolve().parent.parent / "weights" / "vgg16_pool3.npz"
STAGES = (("conv1_1", "conv1_2"), ("conv2_1", "conv2_2"), ("conv3_1", "conv3_2", "conv3_3"))
CHANNELS = {"conv1_1": (3, 64), "conv1_2": (64, 64), "conv2_1": (64, 128), "conv2_2": (128, 128)}
CHANNELS |= {"conv3_1": (128, 256), "conv3_2": (256, 256), "conv3_3": (256, 256)}
TORCHVISION_INDEX = dict(zip(CHANNELS, (0, 2, 5, 7, 10, 12, 14), strict=True))

# Input scale, mean and standard deviation per release, on the 0-255 and the 0-1 scale, and the taps' divisors.
OXFORD = (255.0, (123.68, 116.779, 103.939), (1.0, 1.0, 1.0), (145.36, 339.78, 326.13))
TORCHVISION = (1.0, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), (1.0, 1.0, 1.0))


class VGG16Features(nn.Layer):
    """pool1, pool2, pool3 of a frozen VGG16.

    Args:
        arrays: name to array in either release's naming, conv1_1 of Oxford's as in Caffe (BGR); the shipped Oxford
            weights by default.
    Shape:
        picture: [N, 3, H, W] RGB in [0, 1], H and W at least 8.
        Returns [N, 64, H/2, W/2], [N, 128, H/4, W/4], [N, 256, H/8, W/8].
    Raises:
        ValueError: an array is missing or has another shape.
    """

    def __init__(self, arrays: Mapping[str, np.ndarray] | None = None):
        super().__init__()
        if arrays is None:
            with np.load(SHIPPED_WEIGHTS, allow_pickle=False) as archive:
                arrays = dict(archive)
        oxford = "conv1_1.weight" in arrays
        self.scale, mean, deviation, self.divisors = OXFORD if oxford else TORCHVISION
        self.register_buffer("mean", paddle.to_tensor(mean).reshape([1, 3, 1, 1]), persistable=False)
        self.register_buffer("deviation", paddle.to_tensor(deviation).reshape([1, 3, 1, 1]), persistable=False)
        self.convolutions = nn.LayerDict()
        for name, (in_channels, out_channels) in CHANNELS.items():
            key = name if oxford else f"features.{TORCHVISION_INDEX[name]}"
            self.convolutions[name] = _frozen_conv(arrays, key, in_channels, out_channels)
        if oxford:
            first = self.convolutions["conv1_1"].weight
            first.set_value(first.flip(axis=1))  # from blue, green, red
        self.eval()

    def forward(self, picture: paddle.Tensor) -> list[paddle.Tensor]:
        x = (picture * self.scale - self.mean) / self.deviation
        taps = []
        for stage, divisor in zip(STAGES, self.divisors, strict=True):
            for name in stage:
                x = F.relu(self.convolutions[name](x))
            x = F.max_pool2d(x, 2, stride=2)
            taps.append(x / divisor)
        return taps


def _frozen_conv(arrays: Mapping[str, np.ndarray], key: str, in_channels: int, out_channels: int) -> nn.Conv2D:
    conv = nn.Conv2D(in_channels, out_channels, 3, padding=1)
    for name, parameter in (("weight", conv.weight), ("bias", conv.bias)):
        array = arrays.get(f"{key}.{name}")
        if array is None or list(array.shape) != list(parameter.shape):
            got = "nothing" if array is None else f"shape {list(array.shape)}"
            raise ValueError(
                f"VGG16 weights: expected {key}.{name} of shape {list(parameter.shape)}, got {got};"
                " give a VGG16 with Oxford (conv1_1.weight) or torchvision (features.0.weight) names, or none for the"
                " shipped weights"
            )
        parameter.set_value(np.asarray(array, "float32"))
        parameter.stop_gradient = True
    return conv
