"""Filling from coarse to fine: a network sees each hole at the scale it was trained for.

Networks are trained on pictures of some hundred pixels; in a photograph of thousands a hole is deeper than they have
ever seen, or than they reach. Near its edge, though, a hole is filled best by what stands
beside it at full size. So, for each group of holes:

    crop with context ─ halve until the hole is as deep as in training ─ network ─ enlarge, join ─ enlarge, join ─ ...

* Halving takes the mean of the known pixels; a pixel is known if any of its four is.
* The network starts at the first scale at which no hole is deeper than ``DEPTH`` (``DEPTH_OVER_PRIOR``) and the
  network reaches all of it, and at which it sees no more pixels than the hole is worth (``PIXELS_AT_LEAST``,
  ``PIXELS_PER_HOLE_PIXEL``).
* Joining: the fill enlarged (bicubic) is the coarse prediction of the next scale. Its error at the known pixels is
  carried into the hole as a membrane, a few pixels deep, since what is missing there is finer than the coarser scale. A
  network with a prior does this itself and paints on (see ``models.unet``).

Beside the hole nothing is touched, and far from it nothing is computed.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import cv2
import numpy as np

from inpainting.boxes import Box, hole_boxes, tiles
from inpainting.surface import enlarge, halve_sums, relax, smooth_surface

DEPTH = 16  # pixels; of the published masks at 128 pixels, 9 of 10 holes of up to half a picture are no deeper
DEPTH_OVER_PRIOR = 64  # the same for a network with a prior, whose surfaces reach any depth; see docs/results.md
PIXELS_AT_LEAST, PIXELS_PER_HOLE_PIXEL = 400_000, 0.25  # of what a network is shown, over all of a picture
SMALLEST = 8  # pixels of a side that a picture is halved to
BLEND = 16  # pixels from the edge of a hole over which a network without a prior takes over from a smooth surface
NEAR = 48  # pixels: deeper inside a hole a finer scale has nothing to go by
JOIN_STEPS = 16  # of the membrane, and so the most pixels that it reaches
TILE, MARGIN, AT_ONCE = 256, 64, 640  # pixels: a network sees more than AT_ONCE² in tiles, and their margins
JOIN_TILE = 512  # pixels, even


@dataclass(frozen=True)
class Network:
    """What filling by scales asks of a network.

    Args:
        run: (image [H, W, 3] float32, 0 in holes; mask [H, W]; coarse [H, W, 3] or None) to [H, W, 3] float32.
        takes_coarse: whether it uses a coarse prediction.
        reached: mask [H, W] to where the network paints, bool [H, W].
        start_depth: pixels; the deepest hole that it fills without a coarse prediction.
    """

    run: Callable[[np.ndarray, np.ndarray, np.ndarray | None], np.ndarray]
    takes_coarse: bool
    reached: Callable[[np.ndarray], np.ndarray]
    start_depth: float | None = None


@dataclass
class Group:
    """Holes that are filled together: their box with context, and the scales at which a network runs.

    Args:
        masks: uint8 [h, w] of the box at each scale, 1 = known, full size first.
        level: of the coarsest scale, at which filling starts.
        finest: a network that takes a coarse prediction paints down to this scale; at finer ones fills are joined.
    """

    box: Box
    masks: list[np.ndarray]
    level: int
    finest: int = 0

    @property
    def is_coarsest(self) -> bool:
        return self.level == len(self.masks) - 1


def fill_by_scales(network: Network, picture: np.ndarray, hole: np.ndarray, scales: int | None = None) -> np.ndarray:
    """The picture with its hole filled; nothing else is changed.

    Args:
        scales: how many, so that the network starts at 1/2^(scales - 1) of the size; None chooses for each hole.
    Shape:
        picture: uint8 [H, W, 3].   hole: bool [H, W], True = to be filled, not all of it.   Returns uint8 [H, W, 3].
    """
    result = picture.copy()
    for group in plan(network, hole, scales):
        part = group.box.slices
        _fill_group(network, picture[part], group, result[part])
    return result


def fill_in_one_pass(network: Network, picture: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """The picture with its hole filled by a single pass at its own size, in tiles where it is large.

    For holes that are everywhere and shallow, as those of super-resolution: nothing is halved and nothing blended.

    Shape:
        as ``fill_by_scales``.
    """
    mask, result = 1 - hole.astype(np.uint8), picture.copy()
    _write(result, mask, np.clip(_paint(network, _masked(picture, mask), mask), 0, 1))
    return result


def plan(network: Network, hole: np.ndarray, scales: int | None = None) -> list[Group]:
    """Which holes are filled together, and from which scale on."""
    groups, deepest = [], network.start_depth or (DEPTH_OVER_PRIOR if network.takes_coarse else DEPTH)
    for box, depth in hole_boxes(hole):
        masks = _halved_masks(1 - hole[box.slices].astype(np.uint8))
        level = int(np.ceil(np.log2(max(depth / deepest, 1)))) if scales is None else scales - 1
        groups.append(Group(box, masks, min(level, len(masks) - 1)))
    if scales is None:
        _start_where_affordable(groups, _most_pixels(hole))
        for group in groups:
            _start_where_reached(network, group)
    for group in groups:
        group.finest = group.level
    if network.takes_coarse:
        _paint_finer(groups, _most_pixels(hole))
    return groups


def _halved_masks(mask: np.ndarray) -> list[np.ndarray]:
    """A mask at each scale, full size first: a pixel is known if any of its four is."""
    masks = [mask]
    while min(masks[-1].shape) >= 2 * SMALLEST:
        h, w = masks[-1].shape
        mask = np.pad(masks[-1], [(0, h % 2), (0, w % 2)])
        masks.append(mask[::2, ::2] | mask[1::2, ::2] | mask[::2, 1::2] | mask[1::2, 1::2])
    return masks


def _most_pixels(hole: np.ndarray) -> float:
    """How many pixels a network may be shown for a hole."""
    return max(PIXELS_AT_LEAST, PIXELS_PER_HOLE_PIXEL * np.count_nonzero(hole))


def _start_where_affordable(groups: list[Group], most: float) -> None:
    """Groups start coarser, the dearest first, until the network sees no more than so many pixels."""
    costs = [_pixels_seen(group) for group in groups]
    while sum(costs) > most:
        i = max((i for i, group in enumerate(groups) if not group.is_coarsest), key=costs.__getitem__, default=None)
        if i is None:
            break
        groups[i].level += 1
        costs[i] = _pixels_seen(groups[i])


def _start_where_reached(network: Network, group: Group) -> None:
    """The group starts at the first scale at which the network paints all of its hole, if there is one."""
    while not group.is_coarsest:
        mask = group.masks[group.level]
        if (network.reached(mask) | (mask > 0)).all():
            break
        group.level += 1


def _paint_finer(groups: list[Group], most: float) -> None:
    """Groups are painted again at finer scales, the cheapest next one first, while the network sees no more than so
    many pixels in all; a scale only when all coarser ones are."""
    left = most - sum(map(_pixels_seen, groups))
    costs = {i: _pixels(_tiles_near(g.masks[g.finest - 1])) for i, g in enumerate(groups) if g.finest > 0}
    while costs and costs[cheapest := min(costs, key=costs.get)] <= left:
        left -= costs.pop(cheapest)
        group = groups[cheapest]
        group.finest -= 1
        if group.finest > 0:
            costs[cheapest] = _pixels(_tiles_near(group.masks[group.finest - 1]))


def _pixels_seen(group: Group) -> int:
    return _pixels(_network_tiles(group.masks[group.level]))


def _pixels(parts: list[tuple[Box, Box]]) -> int:
    return sum(outer.pixels for _, outer in parts)


def _fill_group(network: Network, picture: np.ndarray, group: Group, result: np.ndarray) -> None:
    """Fill a group's holes in ``result``, which is its box of the whole picture's, as ``picture`` is."""
    start, mask = group.level, group.masks[0]
    coarser = _halved_images(picture, group.masks[: start + 1])
    fill = _first_fill(network, coarser[-1] if coarser else _masked(picture, mask), group.masks[start])
    for scale in range(start - 1, 0, -1):
        image = coarser[scale - 1]
        if scale >= group.finest:
            fill = _paint_over(network, image, group.masks[scale], fill)
            continue
        for tile, joined in _joined_tiles(fill, lambda at, image=image: image[at], group.masks[scale]):
            image[tile] = joined
        fill = image
    if group.finest > 0:
        for tile, joined in _joined_tiles(fill, lambda at: _masked(picture[at], mask[at]), mask):
            _write(result[tile], mask[tile], joined)
        return
    _write(result, mask, _paint_over(network, _masked(picture, mask), mask, fill) if start > 0 else fill)


def _first_fill(network: Network, image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The network's fill at the scale that it starts at; without a prior of its own, joined to the picture.

    Its output counts fully ``BLEND`` pixels inside the hole; at the edge it is the mean of both smooth surfaces, and
    so it is wherever the network paints nothing.
    """
    if (mask > 0).all():
        return image
    output = np.clip(_paint(network, image, mask), 0, 1)
    if network.takes_coarse:
        return np.where(mask[..., None] > 0, image, output)
    surface = sum(smooth_surface(image, mask.astype(np.float32), order) for order in (1, 2)) / 2
    weight = np.clip((_depth(mask) - 1) / BLEND, 0, 1) * network.reached(mask)
    fill = np.clip(surface, 0, 1) * (1 - weight)[..., None] + output * weight[..., None]
    return np.where(mask[..., None] > 0, image, fill)


def _paint(network: Network, image: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The network's output, in tiles where it is large: [H, W, 3] float32, 0 in tiles without a hole."""
    total, weights = _painted_tiles(network, image, mask, None, _network_tiles(mask))
    return total / np.maximum(weights, 1e-6)[..., None]


def _paint_over(network: Network, image: np.ndarray, mask: np.ndarray, coarse: np.ndarray) -> np.ndarray:
    """The network's fill over a coarser one, near the edges of the hole; deep inside the coarser one stays."""
    coarse = enlarge(coarse, *mask.shape)
    total, weights = _painted_tiles(network, image, mask, coarse, _tiles_near(mask))
    painted = np.minimum(weights, 1) / np.maximum(weights, 1e-6)
    fill = coarse * (1 - np.minimum(weights, 1))[..., None] + total * painted[..., None]
    return np.where(mask[..., None] > 0, image, fill.clip(0, 1))


def _painted_tiles(
    network: Network, image: np.ndarray, mask: np.ndarray, coarse: np.ndarray | None, parts: list[tuple[Box, Box]]
) -> tuple[np.ndarray, np.ndarray]:
    """The sum of the network's outputs, each faded towards its tile's neighbours, and the sum of the weights."""
    total, weights = np.zeros_like(image), np.zeros(mask.shape, np.float32)
    for tile, outer in parts:
        at, weight = outer.slices, _fade(tile, outer)
        total[at] += network.run(image[at], mask[at], None if coarse is None else coarse[at]) * weight[..., None]
        weights[at] += weight
    return total, weights


def _network_tiles(mask: np.ndarray, edge: np.ndarray | None = None) -> list[tuple[Box, Box]]:
    """Tiles that hold a hole, each with the box that the network is shown for it; one of all where that is small.

    Args:
        edge: where it is not small, tiles are chosen by this mask.
    """
    h, w = mask.shape
    if h * w <= AT_ONCE**2:
        whole = Box(0, 0, h, w)
        return [] if (mask > 0).all() else [(whole, whole)]
    return [(tile, tile.grown(MARGIN, h, w)) for tile in tiles(mask if edge is None else edge, TILE)]


def _tiles_near(mask: np.ndarray) -> list[tuple[Box, Box]]:
    """``_network_tiles`` for a hole whose inside is filled already: those that hold its edge, or all at once."""
    return _network_tiles(mask, np.where(_depth(mask) > NEAR, np.uint8(1), mask))


def _fade(tile: Box, outer: Box) -> np.ndarray:
    """1 inside a tile, falling to nearly 0 half of its margin outside, so that neighbours change over smoothly."""
    rows, columns = (
        np.clip(1 + 2 * np.minimum(np.arange(low, high) - start, end - 1 - np.arange(low, high)) / MARGIN, 0, 1)
        for low, high, start, end in (
            (outer.top, outer.bottom, tile.top, tile.bottom),
            (outer.left, outer.right, tile.left, tile.right),
        )
    )
    return np.outer(rows, columns).astype(np.float32)


def _joined_tiles(coarse: np.ndarray, image_at: Callable, mask: np.ndarray) -> Iterator[tuple[tuple, np.ndarray]]:
    """A coarser fill, enlarged and joined to the picture at this scale, in tiles that hold a hole.

    The membrane that carries the coarser fill's error into the hole starts from 0: the coarser scale has seen to all
    that is wider than a pixel of its own, so a few steps do, and a tile needs no more margin than them.
    Args:
        image_at: the picture at this scale at given slices, [h, w, 3] float32, 0 in holes.
    """
    h, w = mask.shape
    for tile in tiles(mask, JOIN_TILE):
        outer = tile.grown(JOIN_STEPS + 2, h, w)  # even
        at = outer.slices
        enlarged, known = _enlarged_part(coarse, outer), mask[at].astype(np.float32)
        error = (image_at(at) - enlarged) * known[..., None]
        joined = np.clip(enlarged + relax(error, known, order=1, steps=JOIN_STEPS), 0, 1)
        yield tile.slices, joined[tile.moved(-outer.top, -outer.left).slices]


def _enlarged_part(coarse: np.ndarray, box: Box) -> np.ndarray:
    """``enlarge(coarse)`` in a box that starts at an even row and column."""
    halo = 2  # what bicubic interpolation sees beyond
    top, left = max(box.top // 2 - halo, 0), max(box.left // 2 - halo, 0)
    part = coarse[top : -(-box.bottom // 2) + halo, left : -(-box.right // 2) + halo]
    larger = enlarge(part, box.bottom - 2 * top, box.right - 2 * left)
    return larger[box.top - 2 * top :, box.left - 2 * left :]


def _halved_images(picture: np.ndarray, masks: list[np.ndarray]) -> list[np.ndarray]:
    """The picture at 1/2, 1/4, ... of its size, one for each mask but the first: means of known pixels, 0 in holes."""
    if len(masks) == 1:
        return []
    strips = [slice(top, top + JOIN_TILE) for top in range(0, len(picture), JOIN_TILE)]
    halves = [halve_sums(_masked(picture[at], masks[0][at]), masks[0][at].astype(np.float32)) for at in strips]
    total, share = (np.concatenate(parts) for parts in zip(*halves, strict=True))
    images = []
    for _ in masks[1:]:
        images.append(total / np.where(share > 0, share, 1)[..., None])
        total, share = halve_sums(total, share)
    return images


def _masked(picture: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """uint8 [H, W, 3] to float32 in [0, 1], 0 in holes."""
    return picture.astype(np.float32) / np.float32(255) * mask[..., None]


def _depth(mask: np.ndarray) -> np.ndarray:
    """Of each hole pixel the distance to the nearest known one; 0 at known pixels."""
    return cv2.distanceTransform((mask == 0).astype(np.uint8), cv2.DIST_L2, 5)


def _write(result: np.ndarray, mask: np.ndarray, fill: np.ndarray) -> None:
    """Round a fill in [0, 1] into the holes of a part of the result."""
    hole = mask == 0
    result[hole] = np.rint(fill[hole] * 255)
