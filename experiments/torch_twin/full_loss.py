"""The paper's loss for the twin, ``losses.inpainting`` in PyTorch: VGG16's features, perceptual, style, variation.

A twin's output is the picture itself outside the hole, so that output and composite are one, and the terms of the two
count double. Each picture's terms are divided by its hole's share, as L1 over the hole is: large holes would dominate
otherwise.
"""

import math
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from experiments.torch_twin.samples import Batch

SHIPPED_WEIGHTS = Path(__file__).resolve().parent.parent.parent / "weights" / "vgg16_pool3.npz"
STAGES = (("conv1_1", "conv1_2"), ("conv2_1", "conv2_2"), ("conv3_1", "conv3_2", "conv3_3"))
MEAN, DIVISORS = (123.68, 116.779, 103.939), (145.36, 339.78, 326.13)  # see losses.vgg
HOLE, PERCEPTUAL, STYLE, VARIATION = 6.0, 0.05, 120.0, 0.1  # Liu et al. 2018, Eq. 7


class Features(nn.Module):
    """pool1, pool2, pool3 of the shipped VGG16, each divided by its mean activation.

    Shape:
        picture: [N, 3, H, W] RGB in [0, 1].   Returns [N, 64, H/2, W/2], [N, 128, H/4, W/4], [N, 256, H/8, W/8].
    """

    def __init__(self):
        super().__init__()
        self.convolutions, divided_by = nn.ModuleDict(), 255.0
        with np.load(SHIPPED_WEIGHTS, allow_pickle=False) as arrays:
            for stage, divisor in zip(STAGES, DIVISORS, strict=True):
                for name in stage:
                    weight, bias = arrays[f"{name}.weight"] * (divided_by / divisor), arrays[f"{name}.bias"] / divisor
                    # conv1_1's input channels are Caffe's: blue, green, red
                    self.convolutions[name] = _convolution(weight[:, ::-1] if name == "conv1_1" else weight, bias)
                    divided_by = divisor
        self.register_buffer("mean", torch.tensor(MEAN).reshape(1, 3, 1, 1) / 255)
        self.to(memory_format=torch.channels_last).requires_grad_(False)

    def forward(self, picture: torch.Tensor) -> list[torch.Tensor]:
        x, taps = picture - self.mean, []
        for stage in STAGES:
            for name in stage:
                x = F.relu(self.convolutions[name](x))
            x = F.max_pool2d(x, 2)
            taps.append(x)
        return taps


class FullLoss:
    """The weighted sum, a scalar, for a network's output [N, 3, H, W] and the batch that it was given.

    Args:
        precision: what VGG16 is worked out in.
    """

    def __init__(self, precision: torch.dtype = torch.bfloat16):
        self.features, self.precision = Features(), precision

    def __call__(self, output: torch.Tensor, batch: Batch) -> torch.Tensor:
        truth, mask = batch.truth, batch.mask
        with torch.autocast("cpu", self.precision, enabled=self.precision != torch.float32):
            with torch.no_grad():
                target = self.features(truth)
            features = self.features(output)
        pairs = [(a.float(), b.float()) for a, b in zip(features, target, strict=True)]
        perceptual = sum((a - b).abs().mean((1, 2, 3)) for a, b in pairs)
        style = sum((gram(a) - gram(b)).abs().mean((1, 2)) for a, b in pairs)
        hole = ((output - truth).abs() * (1 - mask)).mean((1, 2, 3))
        terms = HOLE * hole + 2 * PERCEPTUAL * perceptual + 2 * STYLE * style + VARIATION * variation(output, mask)
        return (terms / (1 - mask).mean((1, 2, 3)).clamp(min=1e-3)).mean()


def gram(feature: torch.Tensor) -> torch.Tensor:
    """ΨᵀΨ / (C·H·W): [N, C, H, W] to [N, C, C]."""
    flat = feature.flatten(2) / math.sqrt(feature[0].numel())
    return flat @ flat.transpose(1, 2)


def variation(output: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """As ``losses.inpainting.total_variation``, of each picture: [N]."""
    region = F.max_pool2d(1 - mask, 3, stride=1, padding=1)
    across = output.diff(dim=3).abs() * region[:, :, :, 1:] * region[:, :, :, :-1]
    down = output.diff(dim=2).abs() * region[:, :, 1:] * region[:, :, :-1]
    return (across.sum((1, 2, 3)) + down.sum((1, 2, 3))) / output[0].numel()


def _convolution(weight: np.ndarray, bias: np.ndarray) -> nn.Conv2d:
    layer = nn.Conv2d(weight.shape[1], weight.shape[0], 3, padding=1)
    for array, parameter in ((weight, layer.weight), (bias, layer.bias)):
        parameter.data = torch.from_numpy(np.ascontiguousarray(array, np.float32))
    return layer
