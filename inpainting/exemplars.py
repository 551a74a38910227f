"""Holes painted with texture and structure of the known picture; the network's fill says what goes where.

Networks trained on L1 give smooth fills. Here each patch of the hole is matched with a known patch and copied
(Wexler et al. 2007; Barnes et al. 2009; Newson et al. 2014 and 2017), from coarse to fine (needs numba):

    filled picture ─ halve until the hole is shallow ─ match, paint ─ field ×2, search, paint ─ ... ─ copy, join

* Patches are compared by colour and by two channels of texture (mean absolute gradients). The texture in the hole is
  that around it, never that of the smooth fill, which would match smooth places.
* A source must have about the colour that the network gives the target (the guide, blurred).
* Large holes are searched at a smaller size; the field is enlarged and pixels are copied at full size.
* Low frequencies are the network's, but where the ground is flat; at its edge the hole is joined to the picture.

Strokes up to 16 pixels wide stay as the network fills them. In strokes up to 32 pixels wide nothing is copied where
copies contradict what the network drew: it joins the edges of both sides, and copies break them.
"""

import cv2
import numpy as np

from inpainting.boxes import box_around, hole_boxes, tiles
from inpainting.patch_search import PATCH, RADIUS, UNKNOWN, best_offsets, measure, search, search_all, vote
from inpainting.surface import relax, smooth_surface

THIN = 8.0  # pixels of depth: across narrower strokes the network joins edges better than copies do
DEEP = 16.0  # pixels of depth: in deeper holes copies are better, also where they contradict the network's fill
AGREE, DISAGREE = 0.35, 0.45  # how far copies are from the network's fill, over the mean gradient around
SMEAR, DRAWN = 0.3, 0.5  # mean gradient of the network's fill, over that around
DISAGREE_SIGMA, NEAR_SIGMA, AROUND_SIGMA = 2, 4, 8  # pixels: of the blur before comparing, of means, of gradients
LEAST_AROUND = 2  # grey levels, added to the gradient around: on flat ground nothing would seem to agree
AROUND = 1.5  # times the size of a hole's box: where its sources are
AROUND_AT_LEAST = 128  # pixels
MOST_PIXELS = 100_000  # of a hole, at the finest level that is searched
MOST_PAIRS = 2_000_000  # of a target and a source, in the search of all
LEAST_SOURCES = 32  # a coarser level must have so many
JOIN_TILE = 512  # pixels
FLAT, FLAT_SIGMA = 0.5, 1.5  # grey levels of mean gradient, and pixels: on flat ground a shift of colour would be seen

# Chosen by measure on training pictures.
DEPTH = 8  # pixels that a hole may be deep at the coarsest level
GUIDE_SIGMA = 4  # pixels, of the guide's blur at the finest level that is searched
GUIDE_COARSEST, GUIDE_FINEST = 20, 4  # weight of the guide beside one pixel of a patch
TEXTURE_SIGMA, TEXTURE_WEIGHT = 4, 12  # pixels; of a grey level of texture beside one of colour
PASSES = (14, 8, 5, 3, 2)  # of searching and painting, from the coarsest level on; the last is for all finer ones
SWEEPS, TRIES, SEARCH_AROUND = 2, 2, 8  # see ``patch_search.search``
SPREAD = 0.05  # of the votes, as a share of the third quartile of costs
SHIFT_SIGMA, JOIN_STEPS = 8, 16  # pixels, of the low frequencies that come from the network; of their join at the edge


def add_exemplars(filled: np.ndarray, hole: np.ndarray, beside: np.ndarray | None = None) -> np.ndarray:
    """The filled picture with its hole painted anew from known patches; nothing else is changed.

    Where no known patch is at hand the fill stays.

    Args:
        beside: other pixels that were filled, and so are no sources: bool [H, W].
    Shape:
        filled: uint8 [H, W, 3].   hole: bool [H, W].   Returns uint8 [H, W, 3].
    """
    result = filled.copy()
    wide, deep = without_thin(hole, THIN), without_thin(hole, DEEP)
    unknown = hole if beside is None else hole | beside
    for box, _ in hole_boxes(wide):
        tight = box_around(wide[box.slices]).moved(box.top, box.left)
        side = max(tight.bottom - tight.top, tight.right - tight.left)
        outer = tight.grown(max(int(AROUND * side), AROUND_AT_LEAST), *hole.shape)
        at, mine = outer.slices, np.zeros_like(wide[outer.slices])
        mine[tight.moved(-outer.top, -outer.left).slices] = wide[tight.slices]
        _paint(result[at], filled[at], mine, deep[at], unknown[at])
    return result


def without_thin(hole: np.ndarray, thin: float) -> np.ndarray:
    """The parts of the hole that are deeper than ``thin`` pixels, with their corners: bool [H, W]."""
    if not hole.any():
        return hole
    at = box_around(hole).grown(1, *hole.shape).slices
    wide = np.zeros_like(hole)
    deep = cv2.distanceTransform(hole[at].astype(np.uint8), cv2.DIST_L2, 5) > thin
    if deep.any():
        away = cv2.distanceTransform((~deep).astype(np.uint8), cv2.DIST_L2, 5)
        wide[at] = hole[at] & (away <= 1.5 * thin)  # as far as to the corner of a box
    return wide


def _paint(result: np.ndarray, filled: np.ndarray, hole: np.ndarray, deep: np.ndarray, unknown: np.ndarray) -> None:
    """``add_exemplars`` of one group of holes, in place; ``unknown`` has other holes too, which are no sources."""
    level = max(0, int(np.ceil(np.log2(max(np.count_nonzero(hole) / MOST_PIXELS, 1)) / 2)))
    small, small_hole, small_unknown = filled.astype(np.float32), hole, unknown
    for _ in range(level):
        small, small_hole, small_unknown = (_halved(a) for a in (small, small_hole, small_unknown))
    offsets = find_offsets(small, small_hole, small_unknown)
    if offsets is None:
        return
    rim = _grown(hole) & ~(unknown & ~hole)
    rows, columns = np.nonzero(rim)
    copied = filled.astype(np.float32)
    copied[rows, columns] = _copied(filled, rows, columns, offsets, 2**level)
    difference = _shift(filled, copied, hole)
    difference += copied
    difference -= filled
    difference *= _share_of_copies(filled, difference, hole, deep, unknown)[..., None]
    result[hole] = np.rint(np.clip(filled[hole] + difference[hole], 0, 255))


def _grown(hole: np.ndarray) -> np.ndarray:
    """The hole and the pixels beside it."""
    return cv2.dilate(hole.astype(np.uint8), np.ones([3, 3], np.uint8)) > 0


def _shift(filled: np.ndarray, copied: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """What is added to copied pixels: the low frequencies of the fill, joined at the edge to what is known there.

    The join is a membrane through the differences beside the hole (Pérez et al. 2003, Poisson image editing), which
    a few steps carry a few pixels inside.

    Shape:
        filled: uint8 [H, W, 3].   copied: float32 [H, W, 3], also in the pixels beside the hole.
        Returns float32 [H, W, 3].
    """
    difference = filled - copied
    shift = cv2.GaussianBlur(difference * hole[..., None], (0, 0), SHIFT_SIGMA)
    texture = _both_gradients(copied, None, FLAT_SIGMA)
    shift *= np.clip(texture / FLAT, 0, 1)[..., None]
    known = (~hole).astype(np.float32)
    shift = np.where(hole[..., None], shift, difference)
    joined = np.zeros_like(shift)
    for tile in tiles(known, JOIN_TILE):
        outer = tile.grown(JOIN_STEPS + 2, *hole.shape)
        part = relax(shift[outer.slices].copy(), known[outer.slices], order=1, steps=JOIN_STEPS)
        joined[tile.slices] = part[tile.moved(-outer.top, -outer.left).slices]
    return joined


def _share_of_copies(
    filled: np.ndarray, difference: np.ndarray, hole: np.ndarray, deep: np.ndarray, unknown: np.ndarray
) -> np.ndarray:
    """How much copies count; the rest is the network's fill. float32 [H, W], 1 in the deep parts of the hole.

    Elsewhere it is 0 where the network drew something (its fill is no smear) and copies disagree with that: they differ
    by more than one patch of grass does from another.

    Args:
        difference: copies less the network's fill, float32 [H, W, 3].
    """
    share, shallow = np.ones(hole.shape, np.float32), hole & ~deep
    if not shallow.any():
        return share
    at = box_around(shallow).grown(4 * AROUND_SIGMA, *hole.shape).slices
    part = hole[at].astype(np.float32)
    blurred = np.abs(cv2.GaussianBlur(difference[at] * part[..., None], (0, 0), DISAGREE_SIGMA)).mean(axis=2)
    total, near = (cv2.GaussianBlur(a, (0, 0), NEAR_SIGMA) for a in (blurred * part, part))
    around = _both_gradients(filled[at], ~unknown[at], AROUND_SIGMA) + LEAST_AROUND
    own = _both_gradients(filled[at], hole[at], AROUND_SIGMA)
    disagreeing = np.clip((total / np.maximum(near, 1e-3) / around - AGREE) / (DISAGREE - AGREE), 0, 1)
    drawn = np.clip((own / around - SMEAR) / (DRAWN - SMEAR), 0, 1)
    inside = cv2.GaussianBlur(deep[at].astype(np.float32), (0, 0), NEAR_SIGMA) * deep[at]
    share[at] = np.maximum(1 - disagreeing * drawn, inside)
    return share


def _copied(picture: np.ndarray, rows: np.ndarray, columns: np.ndarray, offsets: np.ndarray, scale: int) -> np.ndarray:
    """Pixels [n, 3] float32 of the picture by offsets at 1/scale of its size: of the four around each, by nearness."""
    height, width = picture.shape[:2]
    if scale == 1:
        by = offsets[rows, columns]
        return picture[rows + by[:, 0], columns + by[:, 1]].astype(np.float32)
    weights = np.full([len(rows), 1], 1e-6, np.float32)  # where there is no offset a pixel stays
    total = weights * picture[rows, columns]
    last = np.array(offsets.shape[:2]) - 1
    (top, below), (left, right) = (np.divmod((2 * at + 1) / (2 * scale) - 0.5, 1) for at in (rows, columns))
    for y, x in np.ndindex(2, 2):
        near = np.clip(top + y, 0, last[0]).astype(int), np.clip(left + x, 0, last[1]).astype(int)
        by = scale * offsets[near]
        weight = (np.abs(1 - y - below) * np.abs(1 - x - right) * by.any(axis=1)).astype(np.float32)[:, None]
        source = np.clip(rows + by[:, 0], 0, height - 1), np.clip(columns + by[:, 1], 0, width - 1)
        total += weight * picture[source]
        weights += weight
    return total / weights


class Level:
    """One level of the pyramid; see ``inpainting.patch_search`` for the arrays."""

    def __init__(self, features: np.ndarray, guide: np.ndarray, hole: np.ndarray, unknown: np.ndarray):
        self.image, self.guide, self.hole, self.unknown = features, guide, hole, unknown
        (h, w), square = hole.shape, np.ones([PATCH, PATCH], np.uint8)
        near, touched = (cv2.dilate(a.astype(np.uint8), square) > 0 for a in (hole, unknown))
        inside = np.zeros([h, w], bool)
        inside[RADIUS : h - RADIUS, RADIUS : w - RADIUS] = True
        self.usable, self.targeted = inside & ~touched, inside & near
        positions = (np.argwhere(a).astype(np.int32) for a in (self.targeted, self.usable, hole))
        self.targets, self.sources, self.pixels = positions
        self.cost = np.where(self.targeted, UNKNOWN, np.float32(-1))
        self.field = np.zeros([h, w, 2], np.int32)

    @property
    def features(self) -> np.ndarray:
        return self.image.reshape(len(self.image), -1)

    @property
    def channels(self) -> int:
        return self.image.shape[2]

    def coarser(self) -> "Level":
        return Level(*(_halved(a) for a in (self.image, self.guide, self.hole, self.unknown)))


def find_offsets(filled: np.ndarray, hole: np.ndarray, unknown: np.ndarray) -> np.ndarray | None:
    """Where each pixel of the hole is copied from: int32 [H, W, 2], rows and columns to its source; None if nowhere.

    Shape:
        filled: float32 [H, W, 3] in [0, 255].   hole, unknown: bool [H, W]; what is unknown is no source.
    """
    if min(hole.shape) <= PATCH:
        return None
    levels = _pyramid(filled, hole, unknown)
    if not len(levels[0].sources):
        return None
    for i, level in reversed(list(enumerate(levels))):
        weight = GUIDE_FINEST * (GUIDE_COARSEST / GUIDE_FINEST) ** (i / max(len(levels) - 1, 1))
        guide = level.guide * np.float32(PATCH * np.sqrt(weight))
        if i == len(levels) - 1:
            _start(level, guide)
        else:
            _carry_up(levels[i + 1], level)
        _refine(level, guide, turn=len(levels) - 1 - i)
    offsets = np.zeros([*hole.shape, 2], np.int32)
    rim = np.argwhere(_grown(hole)).astype(np.int32)
    best_offsets(rim, levels[0].field, levels[0].cost, offsets)
    return offsets


def _pyramid(filled: np.ndarray, hole: np.ndarray, unknown: np.ndarray) -> list[Level]:
    """Levels, the finest first, down to where the hole is shallow."""
    texture = texture_of(filled, unknown, TEXTURE_SIGMA) * np.float32(TEXTURE_WEIGHT)
    guide = cv2.GaussianBlur(filled, (0, 0), GUIDE_SIGMA)
    levels = [Level(np.concatenate([filled, texture], axis=2), guide, hole, unknown)]
    depth = cv2.distanceTransform(hole.astype(np.uint8), cv2.DIST_L2, 5).max()
    while depth > DEPTH:
        depth /= 2
        level = levels[-1].coarser()
        if len(level.sources) < LEAST_SOURCES or min(level.hole.shape) < 16:
            break
        levels.append(level)
    return levels


def texture_of(picture: np.ndarray, unknown: np.ndarray, sigma: float) -> np.ndarray:
    """Mean absolute gradients along both axes; where the picture is unknown a membrane through those around.

    Shape:
        picture: [H, W, 3].   unknown: bool [H, W].   Returns float32 [H, W, 2].
    """
    texture = np.stack([_mean_gradient(picture, ~unknown, axis, sigma) for axis in (0, 1)], axis=2)
    mask = 1 - unknown.astype(np.float32)
    return smooth_surface(texture * mask[..., None], mask, order=1, steps=10)


def _both_gradients(picture: np.ndarray, known: np.ndarray | None, sigma: float) -> np.ndarray:
    """The sum of both axes' ``_mean_gradient``: float32 [H, W]."""
    return sum(_mean_gradient(picture, known, axis, sigma) for axis in (0, 1))


def _mean_gradient(picture: np.ndarray, known: np.ndarray | None, axis: int, sigma: float) -> np.ndarray:
    """Mean absolute gradient of known pixels over ``sigma`` pixels: float32 [H, W]."""
    grey = picture.mean(axis=2, dtype=np.float32)
    here, there = ((slice(None),) * axis + (part,) for part in (slice(1, None), slice(None, -1)))
    step, pair = np.zeros_like(grey), np.zeros_like(grey)
    pair[here] = 1 if known is None else known[here] & known[there]
    step[here] = np.abs(grey[here] - grey[there]) * pair[here]
    total, share = (cv2.GaussianBlur(a, (0, 0), sigma) for a in (step, pair))
    return total / np.maximum(share, 1e-3)


def _start(level: Level, guide: np.ndarray) -> None:
    """A first field, by what is known of each patch and by the guide."""
    most, known = max(MOST_PAIRS // max(len(level.targets), 1), LEAST_SOURCES), ~level.hole
    search_all(
        level.features, known, 2, guide, level.channels, level.targets, level.sources, most, level.field, level.cost
    )
    _vote(level, SPREAD)


def _vote(level: Level, spread: float) -> None:
    """Paint the hole by the field; spread 0 takes the patch of least cost alone."""
    costs = level.cost[level.targeted]
    spread = max(spread * float(np.percentile(costs, 75)), 1e-6 * float(costs.max()), 1e-6)
    vote(level.features, level.channels, level.pixels, level.field, level.cost, np.float32(spread))


def _carry_up(coarser: Level, level: Level) -> None:
    """The field of a coarser level, enlarged, and the hole painted by it."""
    y, x = level.targets.T
    py, px = _nearest(coarser.targeted)[:, y // 2, x // 2]
    sources = 2 * coarser.field[py, px] + level.targets - 2 * np.stack([py, px], axis=1)
    sources = np.clip(sources, 0, np.array(level.hole.shape) - 1)
    lost = ~level.usable[sources[:, 0], sources[:, 1]]
    sources[lost] = level.sources[np.arange(lost.sum()) % len(level.sources)]
    level.field[y, x] = sources
    level.cost[y, x] = coarser.cost[py, px] + lost * coarser.cost.max()
    _vote(level, 0)


def _nearest(marked: np.ndarray) -> np.ndarray:
    """The nearest True of each pixel of [H, W]: rows and columns [2, H, W]."""
    _, labels = cv2.distanceTransformWithLabels(
        (~marked).astype(np.uint8), cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL
    )
    positions = np.zeros([labels.max() + 1, 2], np.intp)
    positions[labels[marked]] = np.argwhere(marked)
    return positions[labels].transpose(2, 0, 1)


def _refine(level: Level, guide: np.ndarray, turn: int) -> None:
    """Passes of searching and painting; ``turn`` counts levels from the coarsest."""
    for n in range(PASSES[min(turn, len(PASSES) - 1)]):
        measure(level.features, guide, level.channels, level.targets, level.field, level.cost)
        search(
            level.features, guide, level.channels, level.targets, level.sources, level.usable, level.field, level.cost,
            SWEEPS, TRIES, SEARCH_AROUND, 1 + 100 * turn + n,
        )  # fmt: skip
        _vote(level, SPREAD)


def _halved(array: np.ndarray) -> np.ndarray:
    """Means of 2×2, of bool whether any is True; a last odd row or column is repeated."""
    h, w = array.shape[:2]
    array = np.pad(array, [(0, h % 2), (0, w % 2)] + [(0, 0)] * (array.ndim - 2), mode="edge")
    parts = array[::2, ::2], array[1::2, ::2], array[::2, 1::2], array[1::2, 1::2]
    if array.dtype == bool:
        return np.logical_or.reduce(parts)
    return sum(parts[1:], parts[0]) / np.float32(4)
