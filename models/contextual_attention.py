"""Contextual attention: what stands in the hole is pasted together from patches of the background.

Yu et al. 2018, *Generative Image Inpainting with Contextual Attention*, arXiv:1801.07892, section 4.1. With f a 3×3
patch of the foreground around position p and b one of the background around q, both brought down by ``rate``::

    s(p, q)  = <f / |f|, b / |b|>                               norms floored at 1e-4
    s'(p, q) = Σ_j Σ_i s(p + (j, i), q + (j, i))                i, j in −1, 0, 1; no row or column beyond the feature
    w(p, ·)  = softmax(scale · s'(p, ·)) over the background     patches that touch the hole are no candidates
    out      = Σ_q w(p, q) · raw(q), pasted at p                 averaged where pasted patches overlap

raw(q) is the patch of 2·rate pixels a side around q in the background at its full size. To paste them is the transposed
convolution of w with the raw patches as filters and stride ``rate``. Since a raw patch is twice its stride on a side,
it is four cells of a grid of rate × rate pixels, and both cutting and pasting are shifts of that grid.

Departures from the author's code: both sides of the product are normalised, as the paper has it (``cosine=False``
leaves the foreground as it is); patches that are no candidates take no part in the softmax, where the code lets them
in with a score of 0; the sum over neighbours stops at the feature's edge and does not go on in the next row; a pixel is
divided by the number of patches that were pasted over it, also at the border, not by 4 everywhere.
"""

from collections.abc import Iterator

import numpy as np
import paddle
import paddle.nn.functional as F
from paddle import nn

from .partial_conv import _no_amp
from .unet import _spatial_size

LEAST_NORM = 1e-4
NO_CANDIDATE = -1e9  # added to a score, it leaves nothing after the softmax


class ContextualAttention(nn.Layer):
    """Rebuild a feature from patches of the background of another (or of itself), by likeness.

    It has no parameters. Matching costs (H·W / rate²)² scores per picture. They are worked out in parts of at most
    ``max_scores``, some pictures or some rows of one at a time, so without gradients memory stays bounded; for a
    backward pass Paddle keeps the scores of every part. A graph being exported takes all of them at once.

    Args:
        kernel_size: side of the patches that are compared, odd.
        stride: step between the background's patches, in pixels of the smaller feature.
        rate: how much smaller the features are compared than pasted.
        fuse_kernel: neighbours over which scores are added up, odd.
        softmax_scale: the larger, the fewer patches share in a position.
        fuse: add scores up over neighbours.
        cosine: normalise the foreground too; the author's code does not.
        max_scores: scores held at once.
    Shape:
        foreground, background: [N, C, H, W], any H and W.   mask: [N, 1, H, W], {0, 1}, 1 = valid; of the background.
        Features and mask are made smaller by nearest: of their rows and columns every rate-th is looked at.
        Returns out [N, C, H, W] float32, offsets [N, 2, ⌈H/rate⌉, ⌈W/rate⌉] int32: for each position, how many rows
        down and columns to the right, in pixels of the smaller feature, the best background patch is.
        A mask that leaves no patch without a hole gives out = 0, offsets = 0.
    Raises:
        ValueError: shapes that do not fit, an even or too small option.
    Source:
        Yu et al. 2018, arXiv:1801.07892, section 4.1. Departures: see the module.
    Example:
        >>> x, mask = paddle.rand([1, 4, 16, 16]), paddle.ones([1, 1, 16, 16])
        >>> mask[:, :, 4:8, 4:8] = 0
        >>> out, offsets = ContextualAttention()(x, x, mask)
        >>> list(out.shape), list(offsets.shape)
        ([1, 4, 16, 16], [1, 2, 8, 8])
    """

    def __init__(
        self,
        kernel_size: int = 3,
        stride: int = 1,
        rate: int = 2,
        fuse_kernel: int = 3,
        softmax_scale: float = 10.0,
        fuse: bool = True,
        cosine: bool = True,
        max_scores: int = 2**23,
    ):
        super().__init__()
        _check_options(kernel_size, stride, rate, fuse_kernel, max_scores)
        self.kernel_size, self.stride, self.rate = kernel_size, stride, rate
        self.fuse_kernel = fuse_kernel if fuse else 1
        self.softmax_scale, self.cosine, self.max_scores = softmax_scale, cosine, max_scores

    def forward(
        self, foreground: paddle.Tensor, background: paddle.Tensor, mask: paddle.Tensor
    ) -> tuple[paddle.Tensor, paddle.Tensor]:
        _check_inputs(foreground, background, mask)
        with _no_amp():  # a scaled score of float16 is off by several percent
            foreground, background, mask = (t.astype("float32") for t in (foreground, background, mask.detach()))
            if not paddle.in_dynamic_mode():
                return self._of_some(foreground, background, mask)
            samples, rows = self._part(*_small_size(foreground.shape[2:], self.rate))
            parts = [
                self._of_some(foreground[i : i + samples], background[i : i + samples], mask[i : i + samples], rows)
                for i in range(0, foreground.shape[0], samples)
            ]
        out, offsets = zip(*parts, strict=True)
        return paddle.concat(out), paddle.concat(offsets)

    def extra_repr(self) -> str:
        return (
            f"kernel_size={self.kernel_size}, stride={self.stride}, rate={self.rate}, "
            f"fuse_kernel={self.fuse_kernel}, softmax_scale={self.softmax_scale}"
        )

    def _part(self, h: int, w: int) -> tuple[int, int]:
        """How many pictures, and how many of a picture's rows, are matched at once."""
        in_a_row = w * -(-h // self.stride) * -(-w // self.stride)
        samples = max(1, self.max_scores // (h * in_a_row))
        return samples, min(h, max(1, self.max_scores // in_a_row))

    def _of_some(self, foreground, background, mask, rows: int | None = None):
        """``forward`` for pictures that are matched together, ``rows`` at a time; all at once for None."""
        size = _spatial_size(foreground)
        h, w = _small_size(size, self.rate)
        # Nearest, as the features: the first of each rate × rate pixels.
        small_fg, small_bg, small_mask = (t[:, :, :: self.rate, :: self.rate] for t in (foreground, background, mask))
        fg = _patches(small_fg, self.kernel_size, 1)  # [n, C·k², h·w]
        fg = _unit(fg) if self.cosine else fg
        bg = _unit(_patches(small_bg, self.kernel_size, self.stride))  # [n, C·k², Q]
        valid = _whole_patches(small_mask, self.kernel_size, self.stride)  # [n, 1, Q]
        raw = _cut(background, self.rate, (h, w), self.stride)  # [n, 4·C·rate², Q]
        # Where no patch is a candidate the softmax spreads over all, which then bring nothing.
        raw = raw * valid.tile([1, raw.shape[1], 1])
        patches, best = [], []
        for top, bottom in _spans(h, rows):
            weights, indices = self._match(fg, bg, valid, (h, w), top, bottom)
            patches.append(paddle.matmul(raw, weights, transpose_y=True))
            best.append(indices)
        patches = paddle.concat(patches, axis=2).reshape([0, raw.shape[1], h, w])
        return _paste(patches, self.rate, size), _offsets(paddle.concat(best, axis=1), valid, (h, w), self.stride)

    def _match(self, fg, bg, valid, size, top, bottom) -> tuple[paddle.Tensor, paddle.Tensor]:
        """Weights [n, P, Q] and best background patch [n, P] of the P positions from row ``top`` to before ``bottom``.

        A row's score takes in those of its neighbours, which may stand in other parts: they are matched again.
        """
        h, w = size
        reach = self.fuse_kernel // 2 * self.stride
        # In an exported graph the only part is the whole, which has no neighbours; its h and w are tensors.
        first, last = (max(0, top - reach), min(h, bottom + reach)) if isinstance(h, int) else (top, bottom)
        scores = paddle.matmul(fg[:, :, first * w : last * w], bg, transpose_x=True)  # [n, rows·w, Q]
        if self.fuse_kernel > 1:
            grid = [last - first, w, *_small_size(size, self.stride)]
            scores = _fuse(scores.reshape([-1, *grid]), self.fuse_kernel // 2, self.stride)
            scores = scores.reshape([-1, grid[0] * w, grid[2] * grid[3]])
        scores = scores[:, (top - first) * w : (bottom - first) * w]
        penalty = ((1 - valid) * NO_CANDIDATE).tile([1, (bottom - top) * w, 1])
        scores = scores * self.softmax_scale + penalty
        return F.softmax(scores, axis=2), scores.argmax(axis=2)


def offsets_to_picture(offsets: np.ndarray, enlarge: int = 1, longest: float | None = None) -> np.ndarray:
    """Offsets as colours, for viewing: hue is the direction, saturation the length; white is no offset.

    To the right is red, down is yellow-green, to the left is cyan, up is violet.

    Args:
        enlarge: how many pixels a side each position gets.
        longest: length of full saturation; that of the longest offset by default.
    Shape:
        offsets: [2, H, W], rows down and columns to the right. Returns uint8 [H·enlarge, W·enlarge, 3] RGB.
    Example:
        >>> offsets_to_picture(np.zeros([2, 1, 1]))
        array([[[255, 255, 255]]], dtype=uint8)
    """
    down, right = np.asarray(offsets, "float64")
    length = np.hypot(down, right)
    saturation = np.clip(length / max(longest or length.max(), 1e-12), 0, 1)
    hue = np.arctan2(down, right) * 3 / np.pi  # of six sectors
    sector = (np.array([5, 3, 1]) + hue[..., None]) % 6  # of red, green and blue
    colours = 1 - saturation[..., None] * np.clip(np.minimum(sector, 4 - sector), 0, 1)
    return np.kron(np.rint(colours * 255).astype("uint8"), np.ones([enlarge, enlarge, 1], "uint8"))


def _small_size(size, rate: int) -> list:
    """⌈side / rate⌉ of each side."""
    return [(side + rate - 1) // rate for side in size]


def _spans(height, rows: int | None) -> Iterator[tuple]:
    """First row and row after the last of each part."""
    if rows is None:
        yield 0, height
        return
    for top in range(0, height, rows):
        yield top, min(height, top + rows)


def _patches(x: paddle.Tensor, kernel_size: int, stride: int) -> paddle.Tensor:
    """The patch around every position, or every ``stride``-th, zeros beyond the edge: [n, C·k², positions]."""
    return F.unfold(x, kernel_size, strides=stride, paddings=kernel_size // 2)


def _unit(patches: paddle.Tensor) -> paddle.Tensor:
    """Each patch over its norm."""
    # The floor goes under the root, whose gradient at 0 would be infinite.
    norm = patches.square().sum(axis=1, keepdim=True).clip(min=LEAST_NORM**2).sqrt()
    return patches / norm.tile([1, patches.shape[1], 1])


def _whole_patches(mask: paddle.Tensor, kernel_size: int, stride: int) -> paddle.Tensor:
    """1 for a patch without a hole pixel, else 0: [n, 1, Q]. What lies beyond the edge is no hole."""
    holes = F.max_pool2d(1 - mask, kernel_size, stride=stride, padding=kernel_size // 2)
    return 1 - holes.flatten(2)


def _fuse(scores: paddle.Tensor, reach: int, stride: int) -> paddle.Tensor:
    """Sum of the scores of neighbours, along rows and then along columns.

    Shape:
        scores: [n, h, w, h', w'], of foreground positions and background patches, the latter ``stride`` positions
        apart. Returns the same.
    """
    for fg_axis, bg_axis in ((2, 4), (1, 3)):
        size = _size_of(scores)
        padded = _widen(_widen(scores, fg_axis, reach * stride, reach * stride), bg_axis, reach, reach)
        scores = sum(
            padded.slice([fg_axis, bg_axis], [i * stride, i], [i * stride + size[fg_axis], i + size[bg_axis]])
            for i in range(2 * reach + 1)
        )
    return scores


def _widen(x: paddle.Tensor, axis: int, before: int, after: int) -> paddle.Tensor:
    """Zeros before and after an axis."""
    if paddle.in_dynamic_mode():
        amounts = [(before, after) if i == axis else (0, 0) for i in range(len(x.shape))]
        return F.pad(x, [amount for pair in amounts for amount in pair])
    # Over five axes F.pad crashes in Paddle Inference with oneDNN, and paddle2onnx misreads the value it pads with.
    zero = paddle.zeros_like(x.slice([axis], [0], [1]))
    return paddle.concat([zero] * before + [x] + [zero] * after, axis=axis)


def _frame(x: paddle.Tensor, top: int, bottom: int, left: int, right: int) -> paddle.Tensor:
    """Zeros around a feature [N, C, H, W]."""
    return _widen(_widen(x, 2, top, bottom), 3, left, right)


def _cut(x: paddle.Tensor, rate: int, size, stride: int) -> paddle.Tensor:
    """Raw patches, 2·rate pixels a side, as four cells each: [n, 4·C·rate², Q]. Zeros beyond the edge."""
    h, w = size
    before, after = rate // 2, 2 * rate - 1 - rate // 2
    # Padded by the most that any size needs, so that a graph for every size can do it too, then cut to whole cells.
    x = _frame(x, before, after, before, after)[:, :, : (h + 1) * rate, : (w + 1) * rate]
    # Not by pixel_unshuffle, which cannot be exported for every size.
    cells = F.unfold(x, rate, strides=rate).reshape([0, x.shape[1] * rate * rate, h + 1, w + 1])
    corners = [cells[:, :, i : i + h : stride, j : j + w : stride] for i in (0, 1) for j in (0, 1)]
    return paddle.concat(corners, axis=1).flatten(2)


def _paste(patches: paddle.Tensor, rate: int, size) -> paddle.Tensor:
    """Patches of four cells laid at their positions, averaged where they overlap: [n, C, H, W].

    Shape:
        patches: [n, 4·C·rate², h, w].
    """
    ones = paddle.ones_like(patches[:1, : 4 * rate * rate])
    total, count = _lay(patches, rate, size), _lay(ones, rate, size)
    return total / count.tile([_size_of(total)[0], total.shape[1], 1, 1])


def _lay(patches: paddle.Tensor, rate: int, size) -> paddle.Tensor:
    """The sum of what ``_paste`` averages."""
    corners = patches.split(4, axis=1)
    cells = sum(_frame(c, i, 1 - i, j, 1 - j) for c, (i, j) in zip(corners, np.ndindex(2, 2), strict=True))
    before = rate // 2
    return F.pixel_shuffle(cells, rate)[:, :, before : before + size[0], before : before + size[1]]


def _offsets(best: paddle.Tensor, valid: paddle.Tensor, size, stride: int) -> paddle.Tensor:
    """From each position to its best background patch: [n, 2, h, w] int32; 0 where there is none.

    Shape:
        best: [n, h·w], indices into the background's patches.   valid: [n, 1, Q].
    """
    h, w = size
    patches_in_a_row = _small_size(size, stride)[1]
    best = best.astype("int32").reshape([-1, h, w])
    rows = paddle.arange(h, dtype="int32").reshape([1, -1, 1])
    columns = paddle.arange(w, dtype="int32").reshape([1, 1, -1])
    down = best // patches_in_a_row * stride - rows
    right = best % patches_in_a_row * stride - columns
    any_valid = valid.max(axis=[1, 2]).astype("int32").reshape([-1, 1, 1, 1])
    return paddle.stack([down, right], axis=1) * any_valid


def _size_of(x: paddle.Tensor) -> list:
    """The shape; in a graph being exported, tensors that hold it when it runs."""
    if paddle.in_dynamic_mode():
        return x.shape
    shape = paddle.shape(x)
    return [shape[i] for i in range(len(x.shape))]


def _check_options(kernel_size: int, stride: int, rate: int, fuse_kernel: int, max_scores: int) -> None:
    for name, value in (("kernel_size", kernel_size), ("fuse_kernel", fuse_kernel)):
        if value < 1 or value % 2 == 0:
            raise ValueError(f"{name}: expected an odd number, got {value}")
    for name, value in (("stride", stride), ("rate", rate), ("max_scores", max_scores)):
        if value < 1:
            raise ValueError(f"{name}: expected 1 or more, got {value}")


def _check_inputs(foreground: paddle.Tensor, background: paddle.Tensor, mask: paddle.Tensor) -> None:
    if len(foreground.shape) != 4 or list(background.shape) != list(foreground.shape):
        raise ValueError(
            f"foreground and background: expected the same [N, C, H, W], "
            f"got {list(foreground.shape)} and {list(background.shape)}"
        )
    n, _, h, w = foreground.shape
    if list(mask.shape) != [n, 1, h, w]:
        raise ValueError(f"mask: expected {[n, 1, h, w]} to go with the features, got {list(mask.shape)}")
