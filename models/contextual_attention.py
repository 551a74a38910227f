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

The author's code and the best known port of it to PyTorch do other things, each of which is an option here
(``PYTORCH_PORT`` is all of them), since converted weights expect it: the foreground is not normalised; the sum over
neighbours goes over positions in one line, first row after row, then column after column, so that it goes on in the
next row and column at the edge; patches that hold hole pixels stand in the softmax with a score of 0 and are weighted 0
after it; overlapping patches are divided by 4, at the border too; the mask is sampled at the first pixel of each
``rate``; and 1e-4 is added to the square of each number of a patch where others floor its norm.

The scores are worked out for tiles of positions.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import paddle
import paddle.nn.functional as F
from paddle import nn

from .partial_conv import _no_amp, _spatial_size

KERNEL = 3  # side of the patches that are compared
LEAST_NORM = 1e-4
NO_CANDIDATE = -1e9  # added to a score, it leaves nothing after the softmax
CHOICES = {
    "propagation": ("grid", "flat"),
    "hole_patches": ("left_out", "zero_score"),
    "overlap": ("mean", "quarter"),
    "sampling": ("max", "nearest"),
    "norm": ("floored", "added"),
}
PYTORCH_PORT = {
    "cosine": False,
    "propagation": "flat",
    "hole_patches": "zero_score",
    "overlap": "quarter",
    "sampling": "nearest",
    "norm": "added",
}

Tile = tuple  # first row and row after the last, first column and column after the last


class ContextualAttention(nn.Layer):
    """Rebuild a feature from similar patches of the background of another (or of itself).

    It has no parameters. Matching costs (H·W / rate²)² scores per picture. They are worked out for tiles of positions,
    none of which has more than ``max_scores`` with the neighbours that are added up, or is one position. So without
    gradients memory stays small; for a backward pass Paddle keeps the scores of every tile. A graph being exported
    takes all of them at once.

    Args:
        rate: how much smaller the features are compared than pasted.
        fuse_kernel: neighbours over which scores are added up, odd; 1 for none.
        softmax_scale: the larger, the fewer patches share in a position.
        cosine: normalise the foreground too.
        max_scores: scores in one tensor, at most.
        propagation: over neighbours on the "grid", or by "flat" positions.
        hole_patches: patches with hole pixels are "left_out" of the softmax, or get "zero_score" in it.
        overlap: pasted patches are divided by how many there are ("mean"), or by 4 ("quarter").
        sampling: of the mask, "max": of each rate × rate pixels a hole wherever one is; "nearest": the first of them.
        norm: of a patch, "floored" at 1e-4, or with 1e-4 "added" to each of its squares.
    Shape:
        foreground, background: [N, C, H, W], any H and W.   mask: [N, 1, H, W], {0, 1}, 1 = valid; of the background.
        Returns out [N, C, H, W] float32, offsets [N, 2, ⌈H/rate⌉, ⌈W/rate⌉] int32: for each position, how many rows
        down and columns to the right, in pixels of the smaller feature, the best background patch is.
        A mask that leaves no patch without a hole gives out = 0, offsets = 0.
    Raises:
        ValueError: shapes that do not fit, an option out of its range.
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
        rate: int = 2,
        fuse_kernel: int = 3,
        softmax_scale: float = 10.0,
        cosine: bool = True,
        max_scores: int = 2**23,
        propagation: str = "grid",
        hole_patches: str = "left_out",
        overlap: str = "mean",
        sampling: str = "max",
        norm: str = "floored",
    ):
        super().__init__()
        if rate < 1 or fuse_kernel < 1 or fuse_kernel % 2 == 0:
            raise ValueError(f"rate, fuse_kernel: expected 1 or more, and an odd number, got {rate}, {fuse_kernel}")
        self.rate, self.fuse_kernel, self.softmax_scale = rate, fuse_kernel, softmax_scale
        self.cosine, self.max_scores, self.norm = cosine, max_scores, norm
        self.propagation, self.hole_patches, self.overlap, self.sampling = propagation, hole_patches, overlap, sampling
        for name, known in CHOICES.items():
            if getattr(self, name) not in known:
                raise ValueError(f"{name}: expected one of {', '.join(known)}, got {getattr(self, name)!r}")

    def forward(
        self, foreground: paddle.Tensor, background: paddle.Tensor, mask: paddle.Tensor
    ) -> tuple[paddle.Tensor, paddle.Tensor]:
        _check_inputs(foreground, background, mask)
        with _no_amp():  # a scaled score of float16 is off by several percent
            foreground, background, mask = (t.astype("float32") for t in (foreground, background, mask.detach()))
            if not paddle.in_dynamic_mode():
                return self._of_some(foreground, background, mask)
            samples, tile = self._part(*_small_size(foreground.shape[2:], self.rate))
            parts = [
                self._of_some(foreground[i : i + samples], background[i : i + samples], mask[i : i + samples], tile)
                for i in range(0, foreground.shape[0], samples)
            ]
        out, offsets = zip(*parts, strict=True)
        return paddle.concat(out), paddle.concat(offsets)

    @property
    def _reach(self) -> int:
        """Neighbours on either side over which scores are added up."""
        return self.fuse_kernel // 2

    def _part(self, h: int, w: int) -> tuple[int, list[int]]:
        """How many pictures are matched at once, and the sides of a tile of positions."""
        tile, around = [h, w], 2 * self._reach
        patches = (h + around) * (w + around)
        while (scores := patches * math.prod(side + around for side in tile)) > self.max_scores and max(tile) > 1:
            longest = tile.index(max(tile))  # tiles as square as can be have the fewest neighbours
            tile[longest] = (tile[longest] + 1) // 2
        return max(1, self.max_scores // scores), tile

    def _of_some(self, foreground, background, mask, tile: list[int] | None = None):
        """``forward`` for pictures that are matched together, tile by tile; in one for None."""
        size = _spatial_size(foreground)
        h, w = _small_size(size, self.rate)
        fg, bg = (_patches(t[:, :, :: self.rate, :: self.rate]) for t in (foreground, background))  # [n, C·9, h·w]
        fg = self._with_neighbours(_unit(fg, self.norm) if self.cosine else fg, (h, w))
        bg = self._with_neighbours(_unit(bg, self.norm), (h, w)).flatten(2)
        valid = self._whole_patches(mask)  # [n, 1, h, w]
        raw = _extract_patches(background, self.rate, (h, w))  # [n, 4·C·rate², h, w]
        # Where no patch is a candidate the softmax spreads over all, which then bring nothing.
        raw = raw * valid.tile([1, raw.shape[1], 1, 1])
        given, bands = _Given(fg, bg, raw.flatten(2), valid.flatten(2), (h, w)), []
        for rows in _spans(h, tile and tile[0]):
            band = [self._match(given, (*rows, *columns)) for columns in _spans(w, tile and tile[1])]
            bands.append([_concat(tiles, axis=3) for tiles in zip(*band, strict=True)])
        patches, best = (_concat(tiles, axis=2) for tiles in zip(*bands, strict=True))
        patches = _fold_patches(patches, self.rate, size, mean=self.overlap == "mean")
        return patches, _offsets(best, valid, (h, w))

    def _match(self, given: "_Given", tile: Tile) -> tuple[paddle.Tensor, paddle.Tensor]:
        """For each position of a tile what is pasted, [n, 4·C·rate², th, tw], and the best patch, [n, 1, th, tw]."""
        scores = self._fused_scores(given, tile) * self.softmax_scale  # [n, P, h·w]
        height, width = tile[1] - tile[0], tile[3] - tile[2]
        penalty = ((1 - given.valid) * NO_CANDIDATE).tile([1, height * width, 1])
        if self.hole_patches == "left_out":
            scores = ranks = scores + penalty
        else:
            scores = scores * given.valid.tile([1, height * width, 1])
            ranks = scores + penalty
        pasted = paddle.matmul(given.raw, F.softmax(scores, axis=2), transpose_y=True)
        best = ranks.argmax(axis=2)
        return pasted.reshape([0, pasted.shape[1], height, width]), best.reshape([-1, 1, height, width])

    def _fused_scores(self, given: "_Given", tile: Tile) -> paddle.Tensor:
        """Scores added up over neighbours, [n, P, h·w]."""
        reach, (h, w) = self._reach, given.size
        top, bottom, left, right = tile
        fg = given.foreground[:, :, top : bottom + 2 * reach, left : right + 2 * reach].flatten(2)
        scores = paddle.matmul(fg, given.background, transpose_x=True)
        if not reach:
            return scores
        lengths = [bottom - top, right - left, h, w]
        scores = scores.reshape([-1, *(n + 2 * reach for n in lengths)])
        scores = _fuse(scores, (2, 4), reach)  # along rows
        if self.propagation == "flat":
            inside = _inside(given.size, reach)  # [h + 2·reach, w]
            scores = scores * inside[top : bottom + 2 * reach, left:right].unsqueeze([0, 3, 4])
            scores = scores * inside.unsqueeze([0, 1, 2])
        scores = _fuse(scores, (1, 3), reach)  # along columns
        return scores.reshape([-1, lengths[0] * lengths[1], h * w])

    def _with_neighbours(self, patches: paddle.Tensor, size) -> paddle.Tensor:
        """Patches [n, D, h·w] as a grid [n, D, h + 2·reach, w + 2·reach] with the neighbours of those at its edge."""
        reach = self._reach
        if self.propagation == "grid" or not reach:
            return _frame(patches.reshape([0, patches.shape[1], *size]), *[reach] * 4)
        return _continued(patches, size, reach)

    def _whole_patches(self, mask: paddle.Tensor) -> paddle.Tensor:
        """1 for a patch without a hole pixel, else 0: [n, 1, h, w]. What lies beyond the edge is no hole."""
        return 1 - F.max_pool2d(1 - bring_mask_down(mask, self.rate, self.sampling), KERNEL, stride=1, padding=1)


class _Given(NamedTuple):
    """What is compared and pasted.

    foreground [n, D, h + 2·reach, w + 2·reach] and background [n, D, patches]: patches with neighbours around the grid.
    raw [n, 4·C·rate², h·w]: what is pasted.   valid [n, 1, h·w]: whole patches.   size: of the grid.
    """

    foreground: paddle.Tensor
    background: paddle.Tensor
    raw: paddle.Tensor
    valid: paddle.Tensor
    size: tuple


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


def bring_mask_down(mask: paddle.Tensor, rate: int, sampling: str = "max") -> paddle.Tensor:
    """A mask [N, 1, H, W] of ⌈H/rate⌉ rows and ⌈W/rate⌉ columns; for "max" hole wherever one pixel of them is."""
    if sampling == "nearest":
        return mask[:, :, ::rate, ::rate]
    return 1 - F.max_pool2d(_frame(1 - mask, 0, rate - 1, 0, rate - 1), rate, stride=rate)


def _small_size(size, rate: int) -> list:
    """⌈side / rate⌉ of each side."""
    return [(side + rate - 1) // rate for side in size]


def _spans(length, side: int | None) -> Iterator[tuple]:
    """First and last (excluded) of each part."""
    if side is None:
        yield 0, length
        return
    for first in range(0, length, side):
        yield first, min(length, first + side)


def _concat(tiles, axis: int) -> paddle.Tensor:
    return paddle.concat(tiles, axis=axis) if len(tiles) > 1 else tiles[0]


def _patches(x: paddle.Tensor) -> paddle.Tensor:
    """The patch around every position, zeros beyond the edge: [n, C·9, positions]."""
    return F.unfold(x, KERNEL, paddings=1)


def _unit(patches: paddle.Tensor, norm: str) -> paddle.Tensor:
    """Each patch over its norm."""
    # The floor goes under the root, whose gradient at 0 would be infinite.
    square = patches.square().sum(axis=1, keepdim=True)
    square = square.clip(min=LEAST_NORM**2) if norm == "floored" else square + LEAST_NORM * patches.shape[1]
    return patches / square.sqrt().tile([1, patches.shape[1], 1])


def _continued(patches: paddle.Tensor, size, reach: int) -> paddle.Tensor:
    """Patches [n, D, h·w] as a grid with neighbours by flat positions, ``reach`` of them on each side.

    Below the last row of a column stands the next column's first, and to the right of what now is a row goes on what
    follows its last column; zeros before the first position and after the last. See ``_inside``.
    """
    h, w = size
    rows, down = _wrapped_rows(h, reach)
    columns = paddle.arange(-reach, w + reach, dtype="int32")
    index = (rows * w + down).unsqueeze(1) + columns.unsqueeze(0)  # [h + 2·reach, w + 2·reach]
    inside = ((index >= 0) & (index < h * w)).astype(patches.dtype).flatten()
    taken = paddle.index_select(patches, index.clip(0, h * w - 1).flatten(), axis=2)
    taken = taken * inside.reshape([1, 1, -1])
    return taken.reshape([0, patches.shape[1], h + 2 * reach, w + 2 * reach])


def _inside(size, reach: int) -> paddle.Tensor:
    """1 where a position's neighbour by column is one at all: [h + 2·reach, w]."""
    h, w = size
    _, down = _wrapped_rows(h, reach)
    columns = paddle.arange(w, dtype="int32").unsqueeze(0) + down.unsqueeze(1)
    return ((columns >= 0) & (columns < w)).astype("float32")


def _wrapped_rows(h, reach: int) -> tuple[paddle.Tensor, paddle.Tensor]:
    """Of rows −reach to h + reach − 1, counted on into the columns beside: row, and how many columns to the right."""
    counted = paddle.arange(-reach, h + reach, dtype="int32") + reach * h  # not below 0, where % differs by runtime
    return counted % h, counted // h - reach


def _fuse(scores: paddle.Tensor, axes: tuple[int, int], reach: int) -> paddle.Tensor:
    """Sum of the scores of neighbours along an axis of positions and one of patches, both shorter by them after it.

    Shape:
        scores: [n, h, w, h, w], of positions and background patches.
    """
    size = _size_of(scores)
    lengths = [size[axis] - 2 * reach for axis in axes]
    return sum(scores.slice(list(axes), [i, i], [i + length for length in lengths]) for i in range(2 * reach + 1))


def _widen(x: paddle.Tensor, axis: int, before: int, after: int) -> paddle.Tensor:
    """Zeros before and after an axis."""
    if not (before or after):
        return x
    if paddle.in_dynamic_mode():
        amounts = [(before, after) if i == axis else (0, 0) for i in range(len(x.shape))]
        return F.pad(x, [amount for pair in amounts for amount in pair])
    # Over five axes F.pad crashes in Paddle Inference with oneDNN, and paddle2onnx misreads the value it pads with.
    zero = paddle.zeros_like(x.slice([axis], [0], [1]))
    return paddle.concat([zero] * before + [x] + [zero] * after, axis=axis)


def _frame(x: paddle.Tensor, top: int, bottom: int, left: int, right: int) -> paddle.Tensor:
    """Zeros around a feature [N, C, H, W]."""
    return _widen(_widen(x, 2, top, bottom), 3, left, right)


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


def _fold_patches(patches: paddle.Tensor, rate: int, size, mean: bool) -> paddle.Tensor:
    """Patches of four cells laid at their positions, over how many overlap, or over 4: [n, C, H, W].

    Shape:
        patches: [n, 4·C·rate², h, w].
    """
    total = _sum_of_patches(patches, rate, size)
    if not mean:
        return total / 4
    count = _sum_of_patches(paddle.ones_like(patches[:1, : 4 * rate * rate]), rate, size)
    return total / count.tile([_size_of(total)[0], total.shape[1], 1, 1])


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


def _check_inputs(foreground: paddle.Tensor, background: paddle.Tensor, mask: paddle.Tensor) -> None:
    if len(foreground.shape) != 4 or list(background.shape) != list(foreground.shape):
        raise ValueError(
            f"foreground and background: expected the same [N, C, H, W], "
            f"got {list(foreground.shape)} and {list(background.shape)}"
        )
    n, _, h, w = foreground.shape
    if list(mask.shape) != [n, 1, h, w]:
        raise ValueError(f"mask: expected {[n, 1, h, w]} to go with the features, got {list(mask.shape)}")
