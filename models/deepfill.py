"""DeepFillv1: a coarse network fills the hole, a second one refines the fill with contextual attention.

Yu et al. 2018, *Generative Image Inpainting with Contextual Attention*, arXiv:1801.07892, section 3 and its appendix.
Both networks go down to a quarter of the picture's size and up again; ELU, no normalisation, zero padding, kernels
3×3 but for the first, 5×5. With c the base width (32)::

    coarse      c, 2c/2, 2c, 4c/2, 4c, 4c │ 4c dilated 2, 4, 8, 16 │ 4c, 4c, up 2c, 2c, up c, c/2, 3
    refined     c,  c/2, 2c, 2c/2, 4c, 4c │ 4c dilated 2, 4, 8, 16 ┐
    attention   c,  c/2, 2c, 4c/2, 4c, 4c (ReLU) │ attention, 4c, 4c ┴ 4c, 4c, up 2c, 2c, up c, c/2, 3

where /2 is stride 2 and "up" nearest ×2 before the convolution. The last layer of each is linear, and clipped to
[−1, 1], the range in which pictures are inside. A network sees the picture with its holes at 0, ones, and the hole; the
refining one sees the coarse fill in the hole.
"""

from typing import NamedTuple

import paddle
import paddle.nn.functional as F
from paddle import nn

from .contextual_attention import PYTORCH_PORT, ContextualAttention
from .partial_conv import _spatial_size, upsampling_filter, upsampling_taps
from .unet import _check_inputs, _pad_to_multiple

SMALLEST = 4  # the features that attention matches are this much smaller than the picture
ATTENTION_RATE = 2
OFFSETS_STEP = SMALLEST * ATTENTION_RATE  # pixels of the picture between two of the attention's offsets
DILATIONS = (2, 4, 8, 16)
FORMER_NAMES = {  # of parts of the network, in weights files of earlier versions
    "convolving": "conv_encoder",
    "matching": "attention_encoder",
    "pasted": "attention_decoder",
    "joining": "fusion",
}


class Stages(NamedTuple):
    """What the generator's losses and the curious ask for; pictures [N, 3, H, W] in [0, 1] scale.

    ``offsets`` [N, 2, ⌈H/8⌉, ⌈W/8⌉] int32: see ``ContextualAttention`` and ``offsets_to_picture``.
    """

    coarse: paddle.Tensor
    refined: paddle.Tensor
    offsets: paddle.Tensor


class DeepFillV1(nn.Layer):
    """``deepfill_v1``: coarse and refining network.

    Args:
        base_channels: width c of the first layer; the widest have 4c.
        attention: ``contextual_attention.PYTORCH_PORT`` for weights of that port, else None.
    Shape:
        image: [N, 3, H, W] in [0, 1], RGB; its values in holes do not matter.   mask: [N, 1, H, W], {0, 1}, 1 = valid.
        Any H and W: the picture is padded with hole to a multiple of 8, the output cropped back.
        Returns the refined picture [N, 3, H, W] in [0, 1], or all ``Stages`` with ``stages=True``.
    Raises:
        ValueError: an option is out of its range, or the inputs' shapes do not fit.
    Source:
        Yu et al. 2018, arXiv:1801.07892. Departures of the attention: models/contextual_attention.py. Strided
        convolutions pad alike on both sides.
    Example:
        >>> model = DeepFillV1(base_channels=4)
        >>> image, mask = paddle.rand([1, 3, 40, 52]), paddle.ones([1, 1, 40, 52])
        >>> [list(t.shape) for t in model(image, mask, stages=True)]
        [[1, 3, 40, 52], [1, 3, 40, 52], [1, 2, 5, 7]]
    """

    def __init__(self, base_channels: int = 32, attention: dict | None = None):
        super().__init__()
        if base_channels < 2:
            raise ValueError(f"base_channels: expected 2 or more, got {base_channels}")
        if attention not in (None, PYTORCH_PORT):
            raise ValueError(f"attention: expected None or {PYTORCH_PORT}, got {attention}")
        c = base_channels
        self.coarse = nn.Sequential(*_down((c, 2 * c, 2 * c, 4 * c, 4 * c, 4 * c)), *_dilated(4 * c), *_up(4 * c, c))
        self.conv_encoder = nn.Sequential(*_down((c, c, 2 * c, 2 * c, 4 * c, 4 * c)), *_dilated(4 * c))
        self.attention_encoder = nn.Sequential(*_down((c, c, 2 * c, 4 * c, 4 * c, 4 * c), last=F.relu))
        self.attention = ContextualAttention(ATTENTION_RATE, as_port=attention is not None)
        self.attention_decoder = nn.Sequential(Conv(4 * c, 4 * c), Conv(4 * c, 4 * c))
        self.fusion = nn.Sequential(*_up(8 * c, c))

    def forward(self, image: paddle.Tensor, mask: paddle.Tensor, stages: bool = False) -> paddle.Tensor | Stages:
        _check_inputs(image, mask)
        h, w = _spatial_size(image)
        image, mask = (_pad_to_multiple(t, OFFSETS_STEP) for t in (image, mask))
        known = mask.tile([1, 3, 1, 1]) > 0
        picture = paddle.where(known, 2 * image - 1, paddle.zeros_like(image))
        marks = paddle.concat([paddle.ones_like(mask), 1 - mask], axis=1)
        coarse = _clip(self.coarse(paddle.concat([picture, marks], axis=1)))
        refined, offsets = self._refine(paddle.where(known, picture, coarse), marks, mask)
        coarse, refined = ((t[:, :, :h, :w] + 1) / 2 for t in (coarse, refined))
        if not stages:
            return refined
        rows, columns = ((side + OFFSETS_STEP - 1) // OFFSETS_STEP for side in (h, w))
        return Stages(coarse, refined, offsets[:, :, :rows, :columns])

    def mask_coverage(self, mask: paddle.Tensor) -> list[float]:
        """Empty: the network carries no mask."""
        return []

    def running_statistics(self) -> list[str]:
        """Empty: nothing is normalised."""
        return []

    def _refine(self, painted, marks, mask) -> tuple[paddle.Tensor, paddle.Tensor]:
        """The second network over the picture with its holes painted, all in [−1, 1]; and the attention's offsets."""
        x = paddle.concat([painted, marks], axis=1)
        features = self.attention_encoder(x)
        small_mask = self.attention.bring_mask_down(mask, SMALLEST)
        attended, offsets = self.attention(features, features, small_mask)
        x = paddle.concat([self.conv_encoder(x), self.attention_decoder(attended)], axis=1)
        return _clip(self.fusion(x)), offsets


class Conv(nn.Conv2D):
    """Convolution that keeps the size (halves it at stride 2), and an activation."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int = 3,
        stride: int = 1,
        dilation: int = 1,
        activation=F.elu,
    ):
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            stride=stride,
            padding=kernel_size // 2 * dilation,
            dilation=dilation,
            weight_attr=nn.initializer.XavierUniform(),
        )
        self.activation = activation

    def forward(self, x):
        x = super().forward(x)
        return x if self.activation is None else self.activation(x)


class UpConv(Conv):
    """Nearest ×2, then a ``Conv``; done by a transposed convolution, see ``upsampling_filter``."""

    def __init__(self, in_channels: int, out_channels: int):
        super().__init__(in_channels, out_channels)
        self.register_buffer("taps", upsampling_taps(), persistable=False)

    def forward(self, x):
        return self.activation(F.conv2d_transpose(x, self.filter(), self.bias, stride=2, padding=1))

    def filter(self) -> paddle.Tensor:
        """What the transposed convolution is done with."""
        return upsampling_filter(self.weight, self.taps)


def _down(widths: tuple[int, ...], last=F.elu) -> list[Conv]:
    """Six layers from the network's input to a quarter of its size."""
    c1, c2, c3, c4, c5, c6 = widths
    return [
        Conv(5, c1, 5),  # picture, ones, hole
        Conv(c1, c2, stride=2),
        Conv(c2, c3),
        Conv(c3, c4, stride=2),
        Conv(c4, c5),
        Conv(c5, c6, activation=last),
    ]


def _dilated(width: int) -> list[Conv]:
    return [Conv(width, width, dilation=dilation) for dilation in DILATIONS]


def _up(in_channels: int, c: int) -> list[Conv]:
    """Seven layers from a quarter of the size to the picture."""
    return [
        Conv(in_channels, 4 * c),
        Conv(4 * c, 4 * c),
        UpConv(4 * c, 2 * c),
        Conv(2 * c, 2 * c),
        UpConv(2 * c, c),
        Conv(c, c // 2),
        Conv(c // 2, 3, activation=None),
    ]


def _clip(x: paddle.Tensor) -> paddle.Tensor:
    return x.clip(min=-1.0, max=1.0)
