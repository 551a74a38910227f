"""The partial-convolution U-Net the usual way in PyTorch: the benchmark's peer (for development only).

Written from Liu et al. 2018, Eq. 1 and 2: a mask of every channel, convolved with a block of ones; upsampling and
concatenation before the decoder's convolution. It takes the arrays of a ``pconv_unet``.
"""

import math
from collections.abc import Mapping

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn


class PartialConv(nn.Module):
    """A partial convolution with a mask of every channel."""

    def __init__(self, weight: np.ndarray, bias: np.ndarray | None, stride: int):
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(weight))
        self.bias = None if bias is None else nn.Parameter(torch.tensor(bias))
        self.register_buffer("ones", torch.ones_like(self.weight))
        self.geometry = {"stride": stride, "padding": weight.shape[2] // 2}

    def forward(self, x, mask):
        mask = mask.expand_as(x)
        with torch.no_grad():
            valid = F.conv2d(mask, self.ones, **self.geometry)
            new_mask = (valid > 0).float()
            ratio = math.prod(self.weight.shape[1:]) / (valid + 1e-8) * new_mask
        out = F.conv2d(x * mask, self.weight, **self.geometry) * ratio
        if self.bias is not None:
            out = out + self.bias.view(1, -1, 1, 1) * new_mask
        return out, new_mask


class Stage(nn.Module):
    """A partial convolution with its normalisation, where it has one."""

    def __init__(self, arrays: Mapping[str, np.ndarray], name: str, stride: int):
        super().__init__()
        self.conv = PartialConv(arrays[f"{name}.conv.weight"], arrays.get(f"{name}.conv.bias"), stride)
        self.norm = _norm(arrays, name) if f"{name}.norm.weight" in arrays else nn.Identity()


class TorchPConvUNet(nn.Module):
    """``pconv_unet`` in PyTorch.

    Args:
        arrays: its ``state_dict`` as arrays.
        depth: its depth.
    Shape:
        image: [N, 3, H, W], mask: [N, 1, H, W]; H and W multiples of 2^depth. Returns [N, 3, H, W].
    """

    def __init__(self, arrays: Mapping[str, np.ndarray], depth: int):
        super().__init__()
        self.encoder = nn.ModuleList([Stage(arrays, f"encoder.{i}", 2) for i in range(depth)])
        self.decoder = nn.ModuleList([Stage(arrays, f"decoder.{i}", 1) for i in range(depth)])

    def forward(self, image, mask):
        x, mask = image * mask, mask.expand_as(image)
        skips = []
        for stage in self.encoder:
            skips.append((x, mask))
            x, mask = stage.conv(x, mask)
            x = F.relu(stage.norm(x))
        for i, stage in enumerate(self.decoder):
            skip, skip_mask = skips.pop()
            x = torch.cat([F.interpolate(x, scale_factor=2, mode="nearest"), skip], 1)
            mask = torch.cat([F.interpolate(mask, scale_factor=2, mode="nearest"), skip_mask], 1)
            x, mask = stage.conv(x, mask)
            if i < len(self.decoder) - 1:
                x = F.leaky_relu(stage.norm(x), 0.2)
        return x


def _norm(arrays: Mapping[str, np.ndarray], name: str) -> nn.BatchNorm2d:
    norm = nn.BatchNorm2d(len(arrays[f"{name}.norm.weight"]))
    names = {"weight": "weight", "bias": "bias", "running_mean": "_mean", "running_var": "_variance"}
    norm.load_state_dict(
        {ours: torch.tensor(arrays[f"{name}.norm.{theirs}"]) for ours, theirs in names.items()}, strict=False
    )
    return norm
