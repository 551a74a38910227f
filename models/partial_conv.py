"""Partial convolution, and the same over an upsampled feature joined with a skip connection.

Liu et al. 2018, *Image Inpainting for Irregular Holes Using Partial Convolutions*, arXiv:1804.07723, Eq. 1 and 2.
With X the features under a window, M their mask (1 = valid, 0 = hole), and sums over the window and the input
channels::

    x' = W·(X ⊙ M) · sum(1) / sum(M) + b    where sum(M) > 0, else 0
    m' = 1                                  where sum(M) > 0, else 0

Zero padding counts as hole: it adds to sum(1) and not to sum(M).

Two exact rewrites make this cost about what an ordinary convolution costs:

* One mask channel. All channels of an updated mask are equal, so a feature carries a mask of one channel, and sum(M)
  is the channel count times a box sum of it, in place of a second full convolution.
* No upsampling. A 3×3 convolution over a nearest-×2 feature equals a transposed convolution of the low-resolution
  feature with a 4×4 filter of stride 2, whose taps are sums of the 3×3 filter's: 16 products for each of its pixels,
  not 36.

The mask has no gradient. Its arithmetic is float32 whatever the features are, and the window's sum is clipped at 1
before the division, so that an empty window gives 0 and not 0·inf. On CPU a mask is expanded to its feature's
channels before they are multiplied: Paddle's broadcast product costs several times the expansion and the plain one.
"""

import contextlib

import numpy as np
import paddle
import paddle.nn.functional as F
from paddle import nn
from paddle.autograd import PyLayer


class PartialConv2D(nn.Layer):
    """Convolution over the valid pixels of a window, rescaled by how many there are.

    out = W·(x⊙m)·sum(1)/sum(m) + b where sum(m) > 0, else 0;   m' = [sum(m) > 0]

    Args:
        in_channels: channels of ``x``.
        out_channels: channels of the result.
        kernel_size, stride, padding, dilation: an int or a pair (height, width), as for ``nn.Conv2D``.
        weight_attr: as for ``nn.Conv2D``; Kaiming normal by default.
        bias_attr: as for ``nn.Conv2D``; ``False`` for no bias.
    Shape:
        x: [N, C_in, H, W], any finite values.   mask: [N, 1, H, W] or [N, C_in, H, W], {0, 1}, 1 = valid.
        Without a mask every pixel is valid and only the padding counts as hole (partial-convolution padding).
        Returns out [N, C_out, H', W'], mask' [N, 1, H', W'] float32.
    Raises:
        ValueError: the mask's N, H, W differ from x's, or it has neither 1 nor C_in channels.
    Source:
        Liu et al. 2018, arXiv:1804.07723, Eq. 1 and 2. Departures: docs/deviations.md.
    Example:
        >>> out, m = PartialConv2D(3, 8, 3, padding=1)(paddle.ones([1, 3, 8, 8]), paddle.zeros([1, 1, 8, 8]))
        >>> float(m.sum())
        0.0
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] = 0,
        dilation: int | tuple[int, int] = 1,
        weight_attr=None,
        bias_attr=None,
    ):
        super().__init__()
        self.in_channels, self.out_channels = in_channels, out_channels
        self.kernel_size = _pair(kernel_size)
        self.geometry = {"stride": _pair(stride), "padding": _pair(padding), "dilation": _pair(dilation)}
        self.weight = self.create_parameter(
            [out_channels, in_channels, *self.kernel_size],
            attr=weight_attr,
            default_initializer=nn.initializer.KaimingNormal(),
        )
        self.bias = self.create_parameter([out_channels], attr=bias_attr, is_bias=True)

    def forward(self, x: paddle.Tensor, mask: paddle.Tensor | None = None) -> tuple[paddle.Tensor, paddle.Tensor]:
        if mask is None:
            mask = paddle.ones_like(x[:, :1])
        else:
            _check_mask(x, mask)
            x = apply_mask(x, mask)
        return self.forward_premasked(x, mask)

    def forward_premasked(self, x: paddle.Tensor, mask: paddle.Tensor) -> tuple[paddle.Tensor, paddle.Tensor]:
        """``forward`` for an x that is already 0 where its mask is 0."""
        ratio, new_mask = self._ratio_and_mask(mask)
        out = F.conv2d(x, self.weight, **self.geometry)
        return _rescale(out, ratio, new_mask, self.bias), new_mask

    def updated_mask(self, mask: paddle.Tensor) -> paddle.Tensor:
        """mask' alone."""
        return self._ratio_and_mask(mask)[1]

    def _ratio_and_mask(self, mask: paddle.Tensor) -> tuple[paddle.Tensor, paddle.Tensor]:
        """sum(1)/sum(M) and the updated mask, [N, 1, H', W']."""
        box = paddle.ones([1, 1, *self.kernel_size], "float32")
        return _window_ratio(_valid_channels(mask, self.in_channels), box, self.in_channels, self.geometry)


class PartialUpConv2D(nn.Layer):
    """3×3 partial convolution of [x upsampled ×2, skip] without an upsampled or concatenated feature in memory.

    Equal to nearest ×2 of ``x`` and ``mask``, concatenation with ``skip`` and ``skip_mask`` (x first), then
    ``PartialConv2D(up_channels + skip_channels, out_channels, 3, padding=1)`` with the same weight and bias.

    Args:
        up_channels: channels of ``x``.   skip_channels: channels of ``skip``.   out_channels: channels of the result.
        weight_attr, bias_attr: as for ``PartialConv2D``; the weight is [out, up + skip, 3, 3].
    Shape:
        x: [N, C_up, H, W], mask: [N, 1 or C_up, H, W].
        skip: [N, C_skip, 2H, 2W], skip_mask: [N, 1 or C_skip, 2H, 2W].
        Returns out [N, C_out, 2H, 2W], mask' [N, 1, 2H, 2W] float32.
    Raises:
        ValueError: a mask does not fit its feature.
    Source:
        Liu et al. 2018, arXiv:1804.07723, section 3.2 (the decoder). The rewrite is this project's.
    Example:
        >>> layer = PartialUpConv2D(8, 4, 6)
        >>> out, m = layer(paddle.ones([1, 8, 4, 4]), paddle.ones([1, 1, 4, 4]),
        ...                paddle.ones([1, 4, 8, 8]), paddle.ones([1, 1, 8, 8]))
        >>> list(out.shape), list(m.shape)
        ([1, 6, 8, 8], [1, 1, 8, 8])
    """

    def __init__(self, up_channels: int, skip_channels: int, out_channels: int, weight_attr=None, bias_attr=None):
        super().__init__()
        self.up_channels, self.skip_channels, self.out_channels = up_channels, skip_channels, out_channels
        self.weight = self.create_parameter(
            [out_channels, up_channels + skip_channels, 3, 3],
            attr=weight_attr,
            default_initializer=nn.initializer.KaimingNormal(),
        )
        self.bias = self.create_parameter([out_channels], attr=bias_attr, is_bias=True)
        self.register_buffer("taps", upsampling_taps(), persistable=False)

    def forward(
        self, x: paddle.Tensor, mask: paddle.Tensor, skip: paddle.Tensor, skip_mask: paddle.Tensor
    ) -> tuple[paddle.Tensor, paddle.Tensor]:
        _check_mask(x, mask)
        _check_mask(skip, skip_mask, "skip_mask")
        return self.forward_premasked(apply_mask(x, mask), mask, apply_mask(skip, skip_mask), skip_mask)

    def forward_premasked(
        self, x: paddle.Tensor, mask: paddle.Tensor, skip: paddle.Tensor, skip_mask: paddle.Tensor
    ) -> tuple[paddle.Tensor, paddle.Tensor]:
        """``forward`` for features that are 0 already where their masks are."""
        up_filter, skip_filter = self.filters()
        out = F.conv2d_transpose(x, up_filter, stride=2, padding=1) + F.conv2d(skip, skip_filter, padding=1)
        ratio, new_mask = self._ratio_and_mask(mask, skip_mask)
        return _rescale(out, ratio, new_mask, self.bias), new_mask

    def updated_mask(self, mask: paddle.Tensor, skip_mask: paddle.Tensor) -> paddle.Tensor:
        """mask' alone, [N, 1, 2H, 2W]."""
        return self._ratio_and_mask(mask, skip_mask)[1]

    def _ratio_and_mask(self, mask: paddle.Tensor, skip_mask: paddle.Tensor) -> tuple[paddle.Tensor, paddle.Tensor]:
        count = paddle.concat(
            [_upsample(_valid_channels(mask, self.up_channels)), _valid_channels(skip_mask, self.skip_channels)], axis=1
        )
        box = paddle.ones([1, 2, 3, 3], "float32")
        return _window_ratio(count, box, self.up_channels + self.skip_channels, {"padding": 1})

    def filters(self) -> tuple[paddle.Tensor, paddle.Tensor]:
        """Of the transposed convolution over x [C_up, C_out, 4, 4], and of that over skip [C_out, C_skip, 3, 3]."""
        up_weight, skip_weight = self.weight.split([self.up_channels, self.skip_channels], axis=1)
        return upsampling_filter(up_weight, self.taps), skip_weight


def _pair(value: int | tuple[int, int]) -> list[int]:
    return [value, value] if isinstance(value, int) else list(value)


def _check_mask(x: paddle.Tensor, mask: paddle.Tensor, name: str = "mask") -> None:
    n, c, h, w = x.shape
    if list(mask.shape) not in ([n, 1, h, w], [n, c, h, w]):
        raise ValueError(
            f"{name}: expected [{n}, 1, {h}, {w}] or [{n}, {c}, {h}, {w}] to go with its feature,"
            f" got {list(mask.shape)}"
        )


def apply_mask(x: paddle.Tensor, mask: paddle.Tensor) -> paddle.Tensor:
    """x ⊙ mask for a mask of one channel or of x's; no gradient goes to the mask."""
    return _scale(x, mask.detach().astype(x.dtype))


def _valid_channels(mask: paddle.Tensor, channels: int) -> paddle.Tensor:
    """How many of the feature's channels are valid at each position: [N, 1, H, W] float32."""
    mask = mask.detach().astype("float32")
    return mask * channels if mask.shape[1] == 1 else mask.sum(axis=1, keepdim=True)


def _window_ratio(
    count: paddle.Tensor, box: paddle.Tensor, channels: int, geometry: dict
) -> tuple[paddle.Tensor, paddle.Tensor]:
    """sum(1)/sum(M), 0 where sum(M) = 0, and the updated mask; both [N, 1, H', W'] float32.

    ``count`` holds how many features are valid at each position, ``box`` is a filter of ones over it, and ``channels``
    how many features there are.
    """
    with _no_amp():  # counts reach thousands: float16 would round them
        valid = F.conv2d(count, box, **geometry)
        new_mask = (valid > 0.5).astype("float32")  # counts, of which fast algorithms leave 1e-3 where there is none
        window = channels * box.shape[2] * box.shape[3]
        # Like shapes, since oneDNN in Paddle 2.6 divides a number by a tensor wrongly.
        return new_mask * window / valid.clip(min=1.0), new_mask


def _rescale(
    out: paddle.Tensor, ratio: paddle.Tensor, mask: paddle.Tensor, bias: paddle.Tensor | None
) -> paddle.Tensor:
    out = _scale(out, ratio.astype(out.dtype))
    if bias is None:
        return out
    with _no_amp():  # the bias's gradient is a sum over all pixels: at a loss scale of 2^16 it overflows float16
        # bias ⊗ mask as a 1×1 convolution: on CPU faster than a broadcast product
        bias = F.conv2d(mask.astype(bias.dtype), bias.reshape([-1, 1, 1, 1]))
    return out + bias.astype(out.dtype)


def _scale(x: paddle.Tensor, by: paddle.Tensor) -> paddle.Tensor:
    """x times a mask or map of one channel or of x's, without a gradient to it."""
    if paddle.in_dynamic_mode():
        return _Scale.apply(x, by)
    return x * by  # an exported graph broadcasts well


class _Scale(PyLayer):
    """A product that saves for backward only the map, not x, and not the map repeated for each channel."""

    @staticmethod
    def forward(ctx, x, by):
        ctx.save_for_backward(by)
        return x * _over_channels(by, x)

    @staticmethod
    def backward(ctx, gradient):
        [by] = ctx.saved_tensor()
        return gradient * _over_channels(by, gradient), None


def _over_channels(mask: paddle.Tensor, x: paddle.Tensor) -> paddle.Tensor:
    """The mask as a factor of x: on CPU repeated for each channel, which is far faster than to broadcast."""
    if mask.shape[1] == x.shape[1] or not x.place.is_cpu_place():
        return mask
    return mask.tile([1, x.shape[1], 1, 1])


def _spatial_size(x: paddle.Tensor) -> list:
    """Height and width; in a graph being exported, tensors that hold them when it runs."""
    if paddle.in_dynamic_mode():
        return x.shape[2:]
    shape = paddle.shape(x)
    return [shape[2], shape[3]]


def _no_amp() -> contextlib.AbstractContextManager:
    """Automatic mixed precision off; in a graph being exported it is off, and Paddle 2.6 refuses the switch."""
    return paddle.amp.auto_cast(enable=False) if paddle.in_dynamic_mode() else contextlib.nullcontext()


def _upsample(x: paddle.Tensor) -> paddle.Tensor:
    """Nearest ×2 of a one-channel map. Not F.interpolate, which neither oneDNN inference nor ONNX export takes."""
    return F.pixel_shuffle(paddle.concat([x, x, x, x], axis=1), 2)


def upsampling_filter(weight: paddle.Tensor, taps: paddle.Tensor) -> paddle.Tensor:
    """The filter whose transposed convolution (stride 2, padding 1) is conv2d(nearest ×2 of x, weight, padding=1).

    Along one axis, row 2i of the result sees rows i−1, i, i of x under the taps w0, w1, w2, and row 2i+1 sees rows i,
    i, i+1. So row i of x adds [w2, w1+w2, w0+w1, w0] times itself to rows 2i−1 ... 2i+2.

    Shape:
        weight: [O, C, 3, 3].   taps: ``upsampling_taps()``. Returns [C, O, 4, 4].
    """
    o, c = weight.shape[:2]
    # One matrix product makes the 16 taps; slices and sums of so short an axis cost more than the convolution.
    product = paddle.matmul(weight.reshape([o, c, 9]), taps.astype(weight.dtype))
    return product.transpose([1, 0, 2]).reshape([c, o, 4, 4])


def upsampling_taps() -> paddle.Tensor:
    """The matrix of ``upsampling_filter``, [9, 16]; layers keep it as a buffer."""
    axis = np.array([[0, 0, 1, 1], [0, 1, 1, 0], [1, 1, 0, 0]], "float32")  # w0, w1, w2 to [w2, w1+w2, w0+w1, w0]
    return paddle.to_tensor(np.kron(axis, axis))
