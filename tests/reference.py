"""Partial convolution the usual way, from the formula: the oracle of the tests and the peer of the benchmark.

A mask for every channel, convolved with a block of ones as large as the filter; upsampling and concatenation before the
decoder's convolution. Slow and plain on purpose.
"""

import math

import paddle
import paddle.nn.functional as F
from paddle import nn

from models.unet import UNet, conv_and_norm


def reference_partial_conv(x, mask, weight, bias=None, **geometry):
    """Eq. 1 and 2 of Liu et al. 2018 with a mask of every channel.

    Shape:
        x: [N, C, H, W], mask: [N, 1 or C, H, W], weight: [O, C, kh, kw], bias: [O] or None.
        Returns out and the updated mask, both [N, O, H', W'].
    """
    mask = mask.expand(x.shape)
    with paddle.no_grad():
        valid = F.conv2d(mask, paddle.ones(weight.shape), **geometry)
        new_mask = (valid > 0).astype("float32")
        ratio = math.prod(weight.shape[1:]) / (valid + 1e-8)
    out = F.conv2d(x * mask, weight, **geometry) * ratio
    if bias is not None:
        out = out + bias.reshape([1, -1, 1, 1])
    return out * new_mask, new_mask


def reference_up_conv(x, mask, skip, skip_mask, weight, bias=None):
    """Nearest ×2 of x and its mask, concatenated with skip and its mask (x first), then a 3×3 partial convolution."""
    features = paddle.concat([F.interpolate(x, scale_factor=2, mode="nearest"), skip], axis=1)
    up_mask = F.interpolate(mask.expand(x.shape), scale_factor=2, mode="nearest")
    masks = paddle.concat([up_mask, skip_mask.expand(skip.shape)], axis=1)
    return reference_partial_conv(features, masks, weight, bias, padding=1)


class ReferenceDown(nn.Layer):
    """Strided partial convolution the usual way, batch normalisation except in the first stage, ReLU."""

    def __init__(self, index: int, in_channels: int, out_channels: int, _has_norm: bool):
        super().__init__()
        self.conv, self.norm = conv_and_norm(nn.Conv2D, index, in_channels, out_channels)
        self.padding = self.conv.weight.shape[2] // 2

    def forward(self, x, mask):
        geometry = {"stride": 2, "padding": self.padding}
        x, mask = reference_partial_conv(x, mask, self.conv.weight, self.conv.bias, **geometry)
        return F.relu(self.norm(x)), mask


class ReferenceUp(nn.Layer):
    """Upsampling, concatenation, 3×3 partial convolution; batch normalisation and LeakyReLU but in the last stage."""

    def __init__(self, index: int, up_channels: int, skip_channels: int, out_channels: int, _has_norm: bool):
        super().__init__()
        bias_attr = None if index == 0 else False
        self.conv = nn.Conv2D(up_channels + skip_channels, out_channels, 3, padding=1, bias_attr=bias_attr)
        self.norm = nn.BatchNorm2D(out_channels) if index else None

    def forward(self, x, mask, skip, skip_mask):
        x, mask = reference_up_conv(x, mask, skip, skip_mask, self.conv.weight, self.conv.bias)
        return (x if self.norm is None else F.leaky_relu(self.norm(x), 0.2)), mask


class ReferencePConvUNet(UNet):
    """``pconv_unet`` the usual way; the names of its parameters are the same, so it takes that one's state."""

    down, up = ReferenceDown, ReferenceUp
