"""Contextual attention: the hole is filled by patches of the background, weighted by their similarity.

Yu et al. 2018, *Generative Image Inpainting with Contextual Attention*, arXiv:1801.07892, section 4.1. With f a 3×3
patch of the foreground around position p and b one of the background around q, both brought down by ``rate``::

    s(p, q)  = <f / |f|, b / |b|>                               norms floored at 1e-4
    s'(p, q) = Σ_j Σ_i s(p + (j, i), q + (j, i))                i, j in −1, 0, 1; no row or column beyond the feature
    w(p, ·)  = softmax(scale · s'(p, ·)) over the background     patches that hold hole pixels are no candidates
    out      = Σ_q w(p, q) · raw(q), pasted at p                 averaged where pasted patches overlap

raw(q) is the patch of 2·rate pixels a side around q in the background at its full size. To paste them is the transposed
convolution of w with the raw patches as filters and stride ``rate``. Since a raw patch is twice its stride on a side,
it is four cells of a grid of rate × rate pixels, and both cutting and pasting are shifts of that grid.

A position is hole if any of the rate × rate pixels that it stands for is, so no patch that is compared or pasted holds
a hole pixel, however thin the hole.

The author's code and the best known port of it to PyTorch do other things, which ``as_port`` does too, since converted
weights expect it: the foreground is not normalised; the sum over neighbours goes over positions in one line, first row
after row, then column after column, so that it goes on in the next row and column at the edge; patches that hold hole
pixels stand in the softmax with a score of 0 and are weighted 0 after it; overlapping patches are divided by 4, at the
border too; the mask is sampled at the first pixel of each ``rate``; and 1e-4 is added to the square of each number of a
patch where others floor its norm.
"""

import numpy as np
import paddle
import paddle.nn.functional as F
from paddle import nn

from .partial_conv import _no_amp, _spatial_size

KERNEL = 3  # side of the patches that are compared
REACH = 1  # neighbours on either side over which scores are added up
LEAST_NORM = 1e-4
NO_CANDIDATE = -1e9  # added to a score, it leaves nothing after the softmax
MAX_SCORES = 2**25  # in one tensor: larger features are matched in bands of rows
PYTORCH_PORT = {  # as the meta.json of converted weights says ``as_port``
    "cosine": False,
    "propagation": "flat",
    "hole_patches": "zero_score",
    "overlap": "quarter",
    "sampling": "nearest",
    "norm": "added",
}


class ContextualAttention(nn.Layer):
    """Rebuild a feature from similar patches of the background of another (or of itself).

    It has no parameters. Matching costs (H·W / rate²)² scores per picture. They are worked out for bands of rows, of
    about ``MAX_SCORES`` with the neighbours that are added up, so without gradients memory stays small; for a backward
    pass Paddle keeps the scores of every band. A graph being exported takes all of them at once.

    Args:
        rate: how much smaller the features are compared than pasted.
        softmax_scale: the larger, the fewer patches share in a position.
        as_port: what differs from the paper in the PyTorch port; see the module.
    Shape:
        foreground, background: [N, C, H, W], any H and W.   mask: [N, 1, H, W], {0, 1}, 1 = valid; of the background.
        Returns out [N, C, H, W] float32, offsets [N, 2, ⌈H/rate⌉, ⌈W/rate⌉] int32: for each position, how many rows
        down and columns to the right, in pixels of the smaller feature, the best background patch is.
        A mask that leaves no patch without a hole gives out = 0, offsets = 0.
    Source:
        Yu et al. 2018, arXiv:1801.07892, section 4.1. Departures: see the module.
    Example:
        >>> x, mask = paddle.rand([1, 4, 16, 16]), paddle.ones([1, 1, 16, 16])
        >>> mask[:, :, 4:8, 4:8] = 0
        >>> out, offsets = ContextualAttention()(x, x, mask)
        >>> list(out.shape), list(offsets.shape)
        ([1, 4, 16, 16], [1, 2, 8, 8])
    """

    def __init__(self, rate: int = 2, softmax_scale: float = 10.0, as_port: bool = False):
        super().__init__()
        self.rate, self.softmax_scale, self.as_port = rate, softmax_scale, as_port

    def forward(
        self, foreground: paddle.Tensor, background: paddle.Tensor, mask: paddle.Tensor
    ) -> tuple[paddle.Tensor, paddle.Tensor]:
        with _no_amp():  # a scaled score of float16 is off by several percent
            return self._fill(*(t.astype("float32") for t in (foreground, background, mask.detach())))

    def _fill(self, foreground, background, mask):
        """``forward`` in float32."""
        size = _spatial_size(foreground)
        h, w = _small_size(size, self.rate)
        fg, bg = (_patches(t[:, :, :: self.rate, :: self.rate]) for t in (foreground, background))  # [n, C·9, h·w]
        fg = self._with_neighbours(fg if self.as_port else self._unit(fg), (h, w))
        bg = self._with_neighbours(self._unit(bg), (h, w)).flatten(2)
        valid = self._whole_patches(mask)  # [n, 1, h, w]
        raw = _extract_patches(background, self.rate, (h, w))  # [n, 4·C·rate², h, w]
        # Where no patch is a candidate the softmax spreads over all, which then bring nothing.
        raw = (raw * valid.tile([1, raw.shape[1], 1, 1])).flatten(2)
        bands = []
        for rows in self._bands(foreground.shape[0], h, w):
            scores = self._fused_scores(fg, bg, (h, w), rows) * self.softmax_scale  # [n, P, h·w]
            bands.append(self._match(scores, raw, valid.flatten(2), [rows[1] - rows[0], w]))
        patches, best = (paddle.concat(parts, axis=2) for parts in zip(*bands, strict=True))
        return self._fold_patches(patches, size), _offsets(best, valid, (h, w))

    def _bands(self, n: int, h, w) -> list[tuple]:
        """First row and row after the last of each band."""
        if not paddle.in_dynamic_mode():
            return [(0, h)]
        around = 2 * REACH
        of_a_row = n * (w + around) * (h + around) * (w + around)
        rows = max(1, MAX_SCORES // of_a_row - around)
        return [(top, min(h, top + rows)) for top in range(0, h, rows)]

    def _match(self, scores, raw, valid, size) -> tuple[paddle.Tensor, paddle.Tensor]:
        """For each position of a band what is pasted, [n, 4·C·rate², th, tw], and the best patch, [n, 1, th, tw]."""
        height, width = size
        penalty = ((1 - valid) * NO_CANDIDATE).tile([1, height * width, 1])
        if self.as_port:
            scores = scores * valid.tile([1, height * width, 1])
            ranks = scores + penalty
        else:
            scores = ranks = scores + penalty
        pasted = paddle.matmul(raw, F.softmax(scores, axis=2), transpose_y=True)
        best = ranks.argmax(axis=2)
        return pasted.reshape([0, pasted.shape[1], height, width]), best.reshape([-1, 1, height, width])

    def _fused_scores(self, fg, bg, size, rows: tuple) -> paddle.Tensor:
        """Scores of a band of rows, added up over neighbours, [n, P, h·w]."""
        (h, w), (top, bottom) = size, rows
        scores = paddle.matmul(fg[:, :, top : bottom + 2 * REACH].flatten(2), bg, transpose_x=True)
        scores = scores.reshape([-1, *(n + 2 * REACH for n in (bottom - top, w, h, w))])
        scores = _fuse(scores, (2, 4))  # along rows
        if self.as_port:
            inside = _inside(size)  # [h + 2·REACH, w]
            scores = scores * inside[top : bottom + 2 * REACH].unsqueeze([0, 3, 4])
            scores = scores * inside.unsqueeze([0, 1, 2])
        scores = _fuse(scores, (1, 3))  # along columns
        return scores.reshape([-1, (bottom - top) * w, h * w])

    def _with_neighbours(self, patches: paddle.Tensor, size) -> paddle.Tensor:
        """Patches [n, D, h·w] as a grid [n, D, h + 2·REACH, w + 2·REACH] with the neighbours of those at its edge."""
        if self.as_port:
            return _continued(patches, size)
        return _frame(patches.reshape([0, patches.shape[1], *size]), *[REACH] * 4)

    def _unit(self, patches: paddle.Tensor) -> paddle.Tensor:
        """Each patch over its norm."""
        # The floor goes under the root, whose gradient at 0 would be infinite.
        square = patches.square().sum(axis=1, keepdim=True)
        square = square + LEAST_NORM * patches.shape[1] if self.as_port else square.clip(min=LEAST_NORM**2)
        return patches / square.sqrt().tile([1, patches.shape[1], 1])

    def _whole_patches(self, mask: paddle.Tensor) -> paddle.Tensor:
        """1 for a patch without a hole pixel, else 0: [n, 1, h, w]. What lies beyond the edge is no hole."""
        return 1 - F.max_pool2d(1 - self.bring_mask_down(mask, self.rate), KERNEL, stride=1, padding=1)

    def bring_mask_down(self, mask: paddle.Tensor, rate: int) -> paddle.Tensor:
        """A mask [N, 1, H, W] of ⌈H/rate⌉ rows and ⌈W/rate⌉ columns; hole wherever one pixel of them is."""
        if self.as_port:
            return mask[:, :, ::rate, ::rate]
        return 1 - F.max_pool2d(_frame(1 - mask, 0, rate - 1, 0, rate - 1), rate, stride=rate)

    def _fold_patches(self, patches: paddle.Tensor, size) -> paddle.Tensor:
        """Patches [n, 4·C·rate², h, w] laid at their positions, over how many overlap, or over 4: [n, C, H, W]."""
        total = _sum_of_patches(patches, self.rate, size)
        if self.as_port:
            return total / 4
        count = _sum_of_patches(paddle.ones_like(patches[:1, : 4 * self.rate * self.rate]), self.rate, size)
        return total / count.tile([_size_of(total)[0], total.shape[1], 1, 1])


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


def _patches(x: paddle.Tensor) -> paddle.Tensor:
    """The patch around every position, zeros beyond the edge: [n, C·9, positions]."""
    return F.unfold(x, KERNEL, paddings=1)


def _continued(patches: paddle.Tensor, size) -> paddle.Tensor:
    """Patches [n, D, h·w] as a grid with neighbours by flat positions, ``REACH`` of them on each side.

    Below the last row of a column stands the next column's first, and to the right of what now is a row goes on what
    follows its last column; zeros before the first position and after the last. See ``_inside``.
    """
    h, w = size
    rows, down = _wrapped_rows(h)
    columns = paddle.arange(-REACH, w + REACH, dtype="int32")
    index = (rows * w + down).unsqueeze(1) + columns.unsqueeze(0)  # [h + 2·REACH, w + 2·REACH]
    inside = ((index >= 0) & (index < h * w)).astype(patches.dtype).flatten()
    taken = paddle.index_select(patches, index.clip(0, h * w - 1).flatten(), axis=2)
    taken = taken * inside.reshape([1, 1, -1])
    return taken.reshape([0, patches.shape[1], h + 2 * REACH, w + 2 * REACH])


def _inside(size) -> paddle.Tensor:
    """1 where a position's neighbour by column is one at all: [h + 2·REACH, w]."""
    h, w = size
    _, down = _wrapped_rows(h)
    columns = paddle.arange(w, dtype="int32").unsqueeze(0) + down.unsqueeze(1)
    return ((columns >= 0) & (columns < w)).astype("float32")


def _wrapped_rows(h) -> tuple[paddle.Tensor, paddle.Tensor]:
    """Of rows −REACH to h + REACH − 1, counted on into the columns beside: row, and how many columns to the right."""
    counted = paddle.arange(-REACH, h + REACH, dtype="int32") + REACH * h  # not below 0, where % differs by runtime
    return counted % h, counted // h - REACH


def _fuse(scores: paddle.Tensor, axes: tuple[int, int]) -> paddle.Tensor:
    """Sum of the scores of neighbours along an axis of positions and one of patches, both shorter by them after it.

    Shape:
        scores: [n, h, w, h, w], of positions and background patches.
    """
    size = _size_of(scores)
    lengths = [size[axis] - 2 * REACH for axis in axes]
    return sum(scores.slice(list(axes), [i, i], [i + length for length in lengths]) for i in range(2 * REACH + 1))


def _frame(x: paddle.Tensor, top: int, bottom: int, left: int, right: int) -> paddle.Tensor:
    """Zeros around a feature [N, C, H, W]."""
    if paddle.in_dynamic_mode():
        return F.pad(x, [left, right, top, bottom])
    # In an exported graph paddle2onnx misreads the value that F.pad pads with.
    row = paddle.zeros_like(x[:, :, :1])
    x = paddle.concat([row] * top + [x] + [row] * bottom, axis=2)
    column = paddle.zeros_like(x[..., :1])
    return paddle.concat([column] * left + [x] + [column] * right, axis=3)


def _extract_patches(x: paddle.Tensor, rate: int, size) -> paddle.Tensor:
    """Raw patches, 2·rate pixels a side, as four cells each: [n, 4·C·rate², h, w]. Zeros beyond the edge."""
    h, w = size
    before, after = rate // 2, 2 * rate - 1 - rate // 2
    # Padded by the most that any size needs, so that a graph for every size can do it too, then cut to whole cells.
    x = _frame(x, before, after, before, after)[:, :, : (h + 1) * rate, : (w + 1) * rate]
    # Not by pixel_unshuffle, which cannot be exported for every size.
    cells = F.unfold(x, rate, strides=rate).reshape([0, x.shape[1] * rate * rate, h + 1, w + 1])
    corners = [cells[:, :, i : i + h, j : j + w] for i in (0, 1) for j in (0, 1)]
    return paddle.concat(corners, axis=1)


def _sum_of_patches(patches: paddle.Tensor, rate: int, size) -> paddle.Tensor:
    """The sum of overlapping patches, not yet divided."""
    corners = patches.split(4, axis=1)
    cells = sum(_frame(c, i, 1 - i, j, 1 - j) for c, (i, j) in zip(corners, np.ndindex(2, 2), strict=True))
    before = rate // 2
    return F.pixel_shuffle(cells, rate)[:, :, before : before + size[0], before : before + size[1]]


def _offsets(best: paddle.Tensor, valid: paddle.Tensor, size) -> paddle.Tensor:
    """From each position to its best background patch: [n, 2, h, w] int32; 0 where there is none.

    Shape:
        best: [n, 1, h, w], indices into the background's patches.   valid: [n, 1, h, w].
    """
    h, w = size
    best = best.astype("int32").squeeze(1)
    rows = paddle.arange(h, dtype="int32").reshape([1, -1, 1])
    columns = paddle.arange(w, dtype="int32").reshape([1, 1, -1])
    down = best // w - rows
    right = best % w - columns
    any_valid = valid.max(axis=[1, 2, 3]).astype("int32").reshape([-1, 1, 1, 1])
    return paddle.stack([down, right], axis=1) * any_valid


def _size_of(x: paddle.Tensor) -> list:
    """The shape; in a graph being exported, tensors that hold it when it runs."""
    if paddle.in_dynamic_mode():
        return x.shape
    shape = paddle.shape(x)
    return [shape[i] for i in range(len(x.shape))]
