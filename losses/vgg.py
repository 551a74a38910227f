"""VGG16 up to pool3, frozen: the features Ψ that the perceptual and style terms compare.

Simonyan & Zisserman 2014, configuration D. Two releases of its ImageNet weights are read, told apart by their keys:

* ``conv1_1.weight`` ...: the Oxford release, which the repository ships (weights/vgg16_pool3.npz). Its input is on the
  0-255 scale minus a mean and, being Caffe's, in the order blue, green, red: conv1_1's input channels are reversed as
  they are read, and pictures are RGB here as everywhere. Its activations are about a hundred times those
  the paper's weights 0.05 and 120 were tuned with, so each pooled tap is divided by its mean on natural photos.
* ``features.0.weight`` ...: torchvision's naming, which Paddle's own VGG16 shares. Its input is normalised by mean and
  std; its taps are used as they are.

A network of ReLUs and pooling scales with its filters (Gatys et al. 2016), so the divisors stand in the filters: each
convolution gives its stage's activations divided already. Nothing inside then exceeds about 80, where the
Oxford release comes within a third of what float16 can hold: under automatic mixed precision the network runs in
float16.
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

# Of each release: scale of its input, mean and std on that scale, and the taps' divisors.
OXFORD = (255.0, (123.68, 116.779, 103.939), (1.0, 1.0, 1.0), (145.36, 339.78, 326.13))
TORCHVISION = (1.0, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225), (1.0, 1.0, 1.0))


class VGG16Features(nn.Layer):
    """pool1, pool2, pool3 of a frozen VGG16.

    Args:
        arrays: name to array in either release's naming, conv1_1 of Oxford's as in Caffe (BGR); the shipped Oxford
            weights by default.
    Shape:
        picture: [N, 3, H, W] RGB in [0, 1], H and W at least 8.
        Returns [N, 64, H/2, W/2], [N, 128, H/4, W/4], [N, 256, H/8, W/8]; float16 under mixed precision.
    Raises:
        ValueError: an array is missing or has another shape.
    """

    channels = (64, 128, 256)

    def __init__(self, arrays: Mapping[str, np.ndarray] | None = None):
        super().__init__()
        if arrays is None:
            with np.load(SHIPPED_WEIGHTS, allow_pickle=False) as archive:
                arrays = dict(archive)
        _refuse_vgg19(arrays)
        oxford = "conv1_1.weight" in arrays
        scale, mean, std, divisors = OXFORD if oxford else TORCHVISION
        mean = np.array(mean, "float32").reshape([1, 3, 1, 1]) / scale
        std = np.array(std, "float32").reshape([1, 3, 1, 1])
        self.register_buffer("mean", paddle.to_tensor(mean), persistable=False)
        self.register_buffer("std", paddle.to_tensor(std), persistable=False)
        self.convolutions = nn.LayerDict()
        divided_by = scale  # the input of the next convolution
        for stage, divisor in zip(STAGES, divisors, strict=True):
            for name in stage:
                weight, bias = _arrays_of(name, arrays, oxford)
                self.convolutions[name] = _frozen_conv(weight * (divided_by / divisor), bias / divisor)
                divided_by = divisor
        self.eval()

    def forward(self, picture: paddle.Tensor) -> list[paddle.Tensor]:
        x = (picture - self.mean) / self.std
        taps = []
        for stage in STAGES:
            for name in stage:
                x = F.relu(self.convolutions[name](x))
            x = F.max_pool2d(x, 2, stride=2)
            taps.append(x)
        return taps


def _refuse_vgg19(arrays: Mapping[str, np.ndarray]) -> None:
    """VGG19's first seven convolutions have the same names and shapes."""
    if more := [name for name in ("conv3_4.weight", "features.16.weight") if name in arrays]:
        raise ValueError(f"VGG16 weights: expected three convolutions in the third stage, got {more[0]}: a VGG19's")


def _arrays_of(name: str, arrays: Mapping[str, np.ndarray], oxford: bool) -> tuple[np.ndarray, np.ndarray]:
    """Weight and bias of a convolution, of its release's scale, for RGB."""
    key = name if oxford else f"features.{TORCHVISION_INDEX[name]}"
    in_channels, out_channels = CHANNELS[name]
    weight = _array(arrays, f"{key}.weight", [out_channels, in_channels, 3, 3])
    bias = _array(arrays, f"{key}.bias", [out_channels])
    return weight[:, ::-1] if oxford and name == "conv1_1" else weight, bias


def _array(arrays: Mapping[str, np.ndarray], name: str, shape: list[int]) -> np.ndarray:
    array = arrays.get(name)
    if array is None or list(array.shape) != shape:
        got = "nothing" if array is None else f"shape {list(array.shape)}"
        raise ValueError(
            f"VGG16 weights: expected {name} of shape {shape}, got {got};"
            " give a VGG16 with Oxford (conv1_1.weight) or torchvision (features.0.weight) names, or none for the"
            " shipped weights"
        )
    return np.asarray(array, "float64")


def _frozen_conv(weight: np.ndarray, bias: np.ndarray) -> nn.Conv2D:
    conv = nn.Conv2D(weight.shape[1], weight.shape[0], 3, padding=1)
    for array, parameter in ((weight, conv.weight), (bias, conv.bias)):
        parameter.set_value(array.astype("float32"))
        parameter.stop_gradient = True
    return conv
