"""``pconv_unet`` and ``pconv_residual_unet`` with ``prior="smooth"`` and ``norm="none"`` in PyTorch.

Equal to the project's in formula and in names of parameters.

Beside the smooth surfaces every window has known channels, so updated masks are all 1, and the rescaling sum(1)/sum(M)
differs from 1 in the first and the last layer, which see the picture's own mask, and at the border.
"""

import functools

import torch
import torch.nn.functional as F
from torch import nn

FIRST_CHANNELS = 10  # picture, surfaces of both orders, mask
AXIS_TAPS = torch.tensor([[0.0, 0, 1, 1], [0, 1, 1, 0], [1, 1, 0, 0]])
TAPS = torch.kron(AXIS_TAPS, AXIS_TAPS)  # see models.partial_conv.upsampling_filter


class TwinUNet(nn.Module):
    """The twin.

    Args:
        base_channels, depth: as of ``models.unet.UNet``.
        residual: ``pconv_residual_unet``. Its branches start at zero, so that a trained network without them can grow.
    Shape:
        image: [N, 3, H, W] in [0, 1], 0 in holes.   mask: [N, 1, H, W], 1 = valid.   H and W multiples of 2^depth.
        second, first: the smooth surfaces of order 2 and 1 in [0, 1], [N, 3, H, W] each.
        Returns [N, 3, H, W] float32, not clipped.
    """

    def __init__(self, base_channels: int = 32, depth: int = 6, residual: bool = False):
        super().__init__()
        widths = [FIRST_CHANNELS, *(base_channels * min(2**i, 8) for i in range(depth))]
        kernels = {0: 7, 1: 5, 2: 5}
        self.encoder = nn.ModuleList(
            [Down(widths[i], widths[i + 1], kernels.get(i, 3), residual) for i in range(depth)]
        )
        self.decoder = nn.ModuleList(
            [Up(widths[i + 1], widths[i], widths[i] if i else 3) for i in reversed(range(depth))]
        )
        nn.init.zeros_(self.decoder[-1].conv.weight)

    def forward(self, image, mask, second, first):
        x = torch.cat([image, second, first, mask], 1).contiguous(memory_format=torch.channels_last)
        count = 3 * mask + FIRST_CHANNELS - 3
        skips = []
        for i, stage in enumerate(self.encoder):
            skips.append(x)
            x = stage(x, count if i == 0 else None)
        for stage in self.decoder[:-1]:
            x = F.leaky_relu(stage(x, skips.pop()), 0.2)
        x = self.decoder[-1](x, skips.pop(), count)
        return second + (1 - mask) * x.float()


class Down(nn.Module):
    """A strided partial convolution and ReLU, with ``residual`` also ReLU(x + PConv(x)).

    ``count`` is how many channels are valid at each position, all when not given.
    """

    def __init__(self, in_channels: int, out_channels: int, kernel: int, residual: bool):
        super().__init__()
        self.conv = _parameters(out_channels, in_channels, kernel)
        self.branch = _parameters(out_channels, out_channels, 3) if residual else None
        if residual:
            nn.init.zeros_(self.branch.weight)

    def forward(self, x, count=None):
        weight = self.conv.weight
        out = F.conv2d(x, weight, stride=2, padding=weight.shape[2] // 2)
        out = F.relu(_rescale(out, _ratio(x, count, x.shape[1], weight.shape[2], 2), self.conv.bias))
        if self.branch is None:
            return out
        branch = F.conv2d(out, self.branch.weight, padding=1)
        return F.relu(out + _rescale(branch, _ratio(out, None, out.shape[1], 3, 1), self.branch.bias))


class Up(nn.Module):
    """A partial convolution over [x upsampled by two, skip]; ``count`` is of the skip's channels."""

    def __init__(self, up_channels: int, skip_channels: int, out_channels: int):
        super().__init__()
        self.up_channels = up_channels
        self.conv = _parameters(out_channels, up_channels + skip_channels, 3)

    def forward(self, x, skip, count=None):
        weight, channels = self.conv.weight, self.up_channels
        up = (weight[:, :channels].reshape(len(weight), channels, 9) @ TAPS.to(weight)).permute(1, 0, 2)
        out = F.conv_transpose2d(x, up.reshape(channels, len(weight), 4, 4), stride=2, padding=1)
        out = out + F.conv2d(skip, weight[:, channels:], padding=1)
        count = None if count is None else count + channels
        return _rescale(out, _ratio(out, count, weight.shape[1], 3, 1), self.conv.bias)


def _parameters(out_channels: int, in_channels: int, kernel: int) -> nn.Module:
    layer = nn.Module()
    layer.weight = nn.Parameter(torch.empty(out_channels, in_channels, kernel, kernel))
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
    layer.bias = nn.Parameter(torch.zeros(out_channels))
    return layer


def _ratio(x, count, channels: int, kernel: int, stride: int):
    """sum(1)/sum(M) of each window."""
    if count is None:
        return _border_ratio(*x.shape[2:], kernel, stride, x.dtype, x.device)
    with torch.no_grad(), torch.autocast(x.device.type, enabled=False):
        window = torch.ones(1, 1, kernel, kernel, device=x.device)
        valid = F.conv2d(count, window, stride=stride, padding=kernel // 2)
        return channels * kernel**2 / valid


@functools.lru_cache(64)
def _border_ratio(height: int, width: int, kernel: int, stride: int, dtype: torch.dtype, device: torch.device):
    with torch.no_grad(), torch.autocast(device.type, enabled=False):
        picture, window = (torch.ones(1, 1, h, w, device=device) for h, w in ((height, width), (kernel, kernel)))
        valid = F.conv2d(picture, window, stride=stride, padding=kernel // 2)
        return (kernel**2 / valid).to(dtype)


def _rescale(out, ratio, bias):
    return out * ratio.to(out.dtype) + bias.to(out.dtype)[None, :, None, None]
