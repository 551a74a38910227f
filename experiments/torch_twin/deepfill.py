"""``deepfill_v1`` and its critics in PyTorch, equal in formula and in names of parameters, for pictures with one box.

See models/deepfill.py, models/contextual_attention.py (its default options) and models/critics.py.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import nn

from experiments.torch_twin.network import TAPS

DILATIONS = (2, 4, 8, 16)
RATE, SOFTMAX_SCALE, LEAST_NORM, NO_CANDIDATE = 2, 10.0, 1e-4, -1e9
GLOBAL_WIDTHS, LOCAL_WIDTHS = (1, 2, 4, 4), (1, 2, 4, 8)


class TwinDeepFill(nn.Module):
    """The generator.

    Args:
        base_channels: as of ``models.deepfill.DeepFillV1``.
    Shape:
        image: [N, 3, H, W] in [0, 1], 0 in holes.   mask: [N, 1, H, W], 1 = valid.   H and W multiples of 8.
        Returns the coarse and the refined picture, [N, 3, H, W] float32 in [0, 1] each.
    """

    def __init__(self, base_channels: int = 32):
        super().__init__()
        c = base_channels
        self.coarse = nn.Sequential(*_down((c, 2 * c, 2 * c, 4 * c, 4 * c, 4 * c)), *_dilated(4 * c), *_up(4 * c, c))
        self.convolving = nn.Sequential(*_down((c, c, 2 * c, 2 * c, 4 * c, 4 * c)), *_dilated(4 * c))
        self.matching = nn.Sequential(*_down((c, c, 2 * c, 4 * c, 4 * c, 4 * c), last=F.relu))
        self.pasted = nn.Sequential(Conv(4 * c, 4 * c), Conv(4 * c, 4 * c))
        self.joining = nn.Sequential(*_up(8 * c, c))

    def forward(self, image: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        marks = torch.cat([torch.ones_like(mask), 1 - mask], 1)
        picture = (2 * image - 1) * mask
        coarse = self.coarse(_joined(picture, marks)).float().clip(-1, 1)
        x = _joined(picture + coarse * (1 - mask), marks)
        features = self.matching(x).float()
        with torch.autocast(x.device.type, enabled=False):
            pasted = attend(features, 1 - F.max_pool2d(1 - mask, 4))
        refined = self.joining(torch.cat([self.convolving(x), self.pasted(pasted)], 1)).float().clip(-1, 1)
        return (coarse + 1) / 2, (refined + 1) / 2


class _ELU(torch.autograd.Function):
    """PyTorch's own takes twice as long as a convolution in bfloat16."""

    @staticmethod
    def forward(ctx, x):
        y = torch.maximum(x, x.clamp(max=0).exp_().sub_(1))
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def backward(ctx, gradient):
        [y] = ctx.saved_tensors
        return y.clamp(max=0).add_(1).mul_(gradient)


class Conv(nn.Conv2d):
    """Convolution that keeps the size (halves it at stride 2), and an activation."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int = 3,
        stride: int = 1,
        dilation: int = 1,
        activation: Callable | None = _ELU.apply,
    ):
        super().__init__(in_channels, out_channels, kernel, stride, kernel // 2 * dilation, dilation)
        nn.init.xavier_uniform_(self.weight)
        nn.init.zeros_(self.bias)
        self.activation = activation

    def forward(self, x):
        x = super().forward(x)
        return x if self.activation is None else self.activation(x)


class UpConv(Conv):
    """Nearest ×2, then a ``Conv``, by a transposed convolution; see ``models.partial_conv.upsampling_filter``."""

    def forward(self, x):
        out_channels, in_channels = self.weight.shape[:2]
        weight = (self.weight.reshape(out_channels, in_channels, 9) @ TAPS.to(self.weight)).permute(1, 0, 2)
        weight = weight.reshape(in_channels, out_channels, 4, 4)
        return self.activation(F.conv_transpose2d(x, weight, self.bias, stride=2, padding=1))


def attend(features: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """Contextual attention of a feature [N, C, H, W], H and W even, to itself; mask [N, 1, H, W], 1 = valid."""
    n, _, height, width = features.shape
    h, w = height // RATE, width // RATE
    patches = F.unfold(features[:, :, ::RATE, ::RATE], 3, padding=1)
    patches = patches / patches.square().sum(1, keepdim=True).clamp(min=LEAST_NORM**2).sqrt()
    scores = (patches.transpose(1, 2) @ patches).reshape(n, h, w, h, w)
    scores = _along(_along(scores, 2, 4), 1, 3).reshape(n, h * w, h * w)
    holes = F.max_pool2d(1 - mask, RATE)
    valid = 1 - F.max_pool2d(holes, 3, stride=1, padding=1)
    shares = F.softmax(scores * SOFTMAX_SCALE + (1 - valid).reshape(n, 1, h * w) * NO_CANDIDATE, 2)
    raw = F.unfold(features, 2 * RATE, stride=RATE, padding=RATE // 2) * valid.reshape(n, 1, h * w)
    pasted, ones = raw @ shares.transpose(1, 2), torch.ones_like(raw[:1, : 4 * RATE**2])
    total, count = (F.fold(t, (height, width), 2 * RATE, stride=RATE, padding=RATE // 2) for t in (pasted, ones))
    return total / count


def _along(scores: torch.Tensor, positions: int, patches: int) -> torch.Tensor:
    """Each score and those of the neighbours before and behind, along an axis of positions and one of patches."""
    total = scores.clone()
    count = scores.shape[positions] - 1
    ahead = scores.narrow(positions, 1, count).narrow(patches, 1, scores.shape[patches] - 1)
    behind = scores.narrow(positions, 0, count).narrow(patches, 0, scores.shape[patches] - 1)
    total.narrow(positions, 0, count).narrow(patches, 0, scores.shape[patches] - 1).add_(ahead)
    total.narrow(positions, 1, count).narrow(patches, 1, scores.shape[patches] - 1).add_(behind)
    return total


class TwinCritic(nn.Module):
    """A critic of pictures of one size: [N, 3, size, size] in [0, 1] to [N, 1]."""

    def __init__(self, size: int, channels: tuple[int, ...]):
        super().__init__()
        self.convs = nn.ModuleList(
            nn.Conv2d(c_in, c_out, 5, 2, 2) for c_in, c_out in zip((3, *channels), channels, strict=False)
        )
        self.linear = nn.Linear(channels[-1] * (-(-size // 2 ** len(channels))) ** 2, 1)
        for layer in (*self.convs, self.linear):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, picture: torch.Tensor) -> torch.Tensor:
        x = 2 * picture - 1
        for conv in self.convs:
            x = F.leaky_relu(conv(x), 0.2)
        return self.linear(x.flatten(1))


class TwinCritics(nn.Module):
    """Both critics, and what each sees: the whole picture, and the window with the box in its middle."""

    def __init__(self, size: int, base_channels: int = 64):
        super().__init__()
        self.size, self.local_size = size, size // 2
        self.local = TwinCritic(self.local_size, tuple(base_channels * width for width in LOCAL_WIDTHS))
        self.whole = TwinCritic(size, tuple(base_channels * width for width in GLOBAL_WIDTHS))

    def by_name(self) -> dict[str, TwinCritic]:
        return {"local": self.local, "global": self.whole}

    def views(self, picture: torch.Tensor, mask: torch.Tensor) -> dict[str, torch.Tensor]:
        windows = [self._window(m[0] < 0.5) for m in mask]
        local = [p[:, rows, columns] for p, (rows, columns) in zip(picture, windows, strict=True)]
        return {"local": torch.stack(local), "global": picture}

    def _window(self, hole: torch.Tensor) -> tuple[slice, slice]:
        return tuple(self._span(hole.any(axis).nonzero()[:, 0]) for axis in (1, 0))

    def _span(self, occupied: torch.Tensor) -> slice:
        start = (int(occupied[0]) + int(occupied[-1]) + 1 - self.local_size) // 2
        start = min(max(start, 0), self.size - self.local_size)
        return slice(start, start + self.local_size)


def _joined(picture: torch.Tensor, marks: torch.Tensor) -> torch.Tensor:
    return torch.cat([picture, marks], 1).contiguous(memory_format=torch.channels_last)


def _down(widths: tuple[int, ...], last: Callable = _ELU.apply) -> list[Conv]:
    c1, c2, c3, c4, c5, c6 = widths
    return [
        Conv(5, c1, 5),
        Conv(c1, c2, stride=2),
        Conv(c2, c3),
        Conv(c3, c4, stride=2),
        Conv(c4, c5),
        Conv(c5, c6, activation=last),
    ]


def _dilated(width: int) -> list[Conv]:
    return [Conv(width, width, dilation=dilation) for dilation in DILATIONS]


def _up(in_channels: int, c: int) -> list[Conv]:
    return [
        Conv(in_channels, 4 * c),
        Conv(4 * c, 4 * c),
        UpConv(4 * c, 2 * c),
        Conv(2 * c, 2 * c),
        UpConv(2 * c, c),
        Conv(c, c // 2),
        Conv(c // 2, 3, activation=None),
    ]
