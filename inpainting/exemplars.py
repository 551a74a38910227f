"""Holes filled with texture and structure copied from the known picture; the network's fill says what goes where.

Networks trained on L1 give smooth fills. Here each patch of the hole is matched with a known patch and copied
(Wexler et al. 2007; Barnes et al. 2009; Newson et al. 2014 and 2017), from coarse to fine:

    picture, fill ─ halve until the hole is ``DEPTH`` deep ─ match, paint, ... ─ field ×2 ─ match, paint, ... ─ blend

* Patches are compared in colour and in two channels of texture (mean absolute gradient). Texture in the hole comes from
  around it, never from the smooth fill.
* A source must have about the colours that the network has put at the target (``guide``).
* At the end the copied pixels are joined to the picture and to the low frequencies of the network's fill.
"""

import importlib.util
import sys
from dataclasses import dataclass

import cv2
import numpy as np

from inpainting.boxes import Box, box_around, hole_boxes
from inpainting.surface import smooth_surface


@dataclass(frozen=True)
class Settings:
    """What was chosen by measure on training pictures.

    Args:
        depth: pixels that a hole is deep at the coarsest level, at most.
        guide_sigma: pixels at full size.
        guide_weight: at the coarsest and at the finest level, of the guide beside one pixel of a patch.
        passes: of searching and painting, at the coarsest level and at the next ones; the last is for all finer ones.
    """

    depth: float = 8
    guide_sigma: float = 4
    guide_weight: tuple[float, float] = (10, 2)
    texture_sigma: float = 4
    texture_weight: float = 0.55
    passes: tuple[int, ...] = (10, 4, 3, 2, 2)
    sweeps: int = 2
    tries: int = 2
    spread: float = 0.05
    most_pairs: int = 2_000_000
    blend_sigma: float = 8
    blend_strength: float = 1
    pull: float = 0
    join_sweeps: int = 40


SETTINGS = Settings()


@dataclass
class Level:
    """One level of the pyramid: see ``inpainting.patch_search`` for the arrays."""

    features: np.ndarray  # [H, W, C]
    guide: np.ndarray
    hole: np.ndarray

    def __post_init__(self):
        from inpainting.patch_search import PATCH, RADIUS, UNKNOWN

        h, w = self.hole.shape
        square = np.ones([PATCH, PATCH], np.uint8)
        near = cv2.dilate(self.hole.astype(np.uint8), square) > 0
        inside = np.zeros([h, w], bool)
        inside[RADIUS : h - RADIUS, RADIUS : w - RADIUS] = True
        self.usable = inside & ~near
        target = inside & near
        self.targets, self.sources, self.pixels = (
            np.argwhere(a).astype(np.int32) for a in (target, self.usable, self.hole)
        )
        self.cost = np.where(target, UNKNOWN, np.float32(-1)).astype(np.float32)
        self.field = np.zeros([h, w, 2], np.int32)

    @property
    def flat(self):
        return self.features.reshape(len(self.features), -1)

    def halved(self) -> "Level":
        return Level(_halved(self.features), _halved(self.guide), _halved(self.hole.astype(np.float32)) > 0)


def can_add_exemplars() -> bool:
    """Whether numba is there, which compiles the search; a note is printed where it is not."""
    if importlib.util.find_spec("numba") is None:
        print(
            "note: numba is not installed, so holes keep the network's smooth fill; pip install numba", file=sys.stderr
        )
        return False
    return True


def add_exemplars(filled: np.ndarray, hole: np.ndarray, settings=SETTINGS) -> np.ndarray:
    """The filled picture with its hole painted anew from known patches; nothing else is changed.

    Shape:
        filled: uint8 [H, W, 3].   hole: bool [H, W].   Returns uint8 [H, W, 3].
    """
    result = filled.copy()
    if min(hole.shape) < 32 or not hole.any():
        return result
    _complete(result, hole, settings)
    return result


def _complete(picture: np.ndarray, hole: np.ndarray, settings: Settings) -> None:
    levels = pyramid(picture, hole, settings)
    if levels is None:
        return
    for i in reversed(range(len(levels))):
        level, coarser = levels[i], levels[i + 1] if i + 1 < len(levels) else None
        weight = _guide_weight(i, len(levels), settings)
        if coarser is None:
            start(level, weight, settings)
        else:
            carry_up(coarser, level)
        refine(level, weight, settings, len(levels) - 1 - i, last=i == 0)
    joined = blend(levels[0], picture.astype(np.float32), settings)
    picture[hole] = np.rint(np.clip(joined[hole], 0, 255))


def _guide_weight(i: int, count: int, settings: Settings) -> float:
    coarsest, finest = settings.guide_weight
    share = i / max(count - 1, 1)
    return finest * (coarsest / finest) ** share


def pyramid(picture, hole, settings) -> list[Level] | None:
    """Levels, full size first, down to where the hole is shallow."""
    depth = cv2.distanceTransform(np.pad(hole, 1, mode="edge").astype(np.uint8), cv2.DIST_L2, 5).max()
    colour = picture.astype(np.float32)
    texture = texture_around(colour, hole, settings.texture_sigma) * np.float32(settings.texture_weight)
    guide = cv2.GaussianBlur(colour, (0, 0), settings.guide_sigma)
    levels = [Level(np.concatenate([colour, texture], axis=2), guide, hole)]
    if len(levels[0].sources) == 0:
        return None
    while depth > settings.depth:
        depth /= 2
        level = levels[-1].halved()
        if len(level.sources) < 32:
            break
        levels.append(level)
    return levels


def texture_around(picture: np.ndarray, hole: np.ndarray, sigma: float) -> np.ndarray:
    """Mean absolute gradients along both axes; in the hole a membrane through those around: [H, W, 2]."""
    grey, known = picture.mean(axis=2), ~hole
    texture = np.zeros([*hole.shape, 2], np.float32)
    for axis in (0, 1):
        pair = known & np.roll(known, -1, axis)
        pair[(-1, slice(None))[:: 1 if axis == 0 else -1]] = False
        step = np.abs(np.roll(grey, -1, axis) - grey) * pair
        mean, share = (cv2.GaussianBlur(a.astype(np.float32), (0, 0), sigma) for a in (step, pair))
        texture[..., axis] = mean / np.maximum(share, 1e-3)
    mask = known.astype(np.float32)
    return smooth_surface(texture * mask[..., None], mask, order=1, steps=10)


def start(level: Level, weight: float, settings: Settings) -> None:
    from inpainting.patch_search import PATCH, search_all

    most = max(settings.most_pairs // max(len(level.targets), 1), 64)
    channels = level.features.shape[2]
    known = (~level.hole).astype(np.float32)
    search_all(
        level.flat, known, level.guide, channels, np.float32(weight * PATCH**2), 2,
        level.targets, level.sources, most, level.field, level.cost, 1 + most,
    )  # fmt: skip
    paint(level, settings.spread)


def paint(level: Level, spread: float) -> None:
    from inpainting.patch_search import vote

    channels = level.features.shape[2]
    if spread > 0:
        costs = level.cost[level.cost >= 0]
        spread = max(spread * float(np.percentile(costs, 75)), 1e-3)
    result = np.empty([len(level.pixels), channels], np.float32)
    vote(level.flat, channels, level.pixels, level.field, level.cost, np.float32(spread), result)


def carry_up(coarser: Level, level: Level) -> None:
    """The field of a coarser level, enlarged."""
    y, x = level.targets.T
    near_y, near_x = y // 2, x // 2
    # a parent beside the targets: the border's, or of a hole that is narrower here
    last = np.array(coarser.hole.shape) - 1
    marked = (coarser.cost < 0).astype(np.uint8)
    _, labels = cv2.distanceTransformWithLabels(marked, cv2.DIST_L2, 5, labelType=cv2.DIST_LABEL_PIXEL)
    where = np.zeros([labels.max() + 1, 2], np.int32)
    where[labels[coarser.cost >= 0]] = np.argwhere(coarser.cost >= 0)
    py, px = where[labels[np.minimum(near_y, last[0]), np.minimum(near_x, last[1])]].T
    source = 2 * coarser.field[py, px] + np.stack([y - 2 * py, x - 2 * px], axis=1)
    source = np.clip(source, 0, np.array(level.hole.shape) - 1)
    bad = ~level.usable[source[:, 0], source[:, 1]]
    source[bad] = level.sources[np.arange(bad.sum()) * 7919 % len(level.sources)]
    level.field[y, x] = source
    level.cost[y, x] = coarser.cost[py, px]
    level.cost[y[bad], x[bad]] = 1e29
    paint(level, 0)


def refine(level: Level, weight: float, settings: Settings, turn: int, last: bool) -> None:
    from inpainting.patch_search import PATCH, measure, search

    channels = level.features.shape[2]
    weight = np.float32(weight * PATCH**2)
    passes = settings.passes[min(turn, len(settings.passes) - 1)]
    for p in range(passes):
        measure(level.flat, level.guide, channels, weight, level.targets, level.field, level.cost)
        search(
            level.flat, level.guide, channels, weight, level.targets, level.sources, level.usable, level.field,
            level.cost, settings.sweeps, settings.tries, 8, 1 + turn * 100 + p,
        )  # fmt: skip
        paint(level, 0 if last and p == passes - 1 else settings.spread)


def blend(level: Level, filled: np.ndarray, settings: Settings) -> np.ndarray:
    """Copied pixels with the low frequencies of the fill, joined to the picture: float32 [H, W, 3]."""
    from inpainting.patch_search import best_offsets, join

    copied, hole = level.features[..., :3], level.hole
    low = cv2.GaussianBlur((filled - copied) * hole[..., None], (0, 0), settings.blend_sigma)
    goal = copied + np.float32(settings.blend_strength) * low
    if not settings.pull:
        return goal
    offsets = np.zeros([len(level.pixels), 2], np.int32)
    best_offsets(level.pixels, level.field, level.cost, offsets)
    result = goal.copy()
    join(filled, hole, level.pixels, offsets, goal[hole], np.float32(settings.pull), settings.join_sweeps, result)
    return result


def _halved(array: np.ndarray) -> np.ndarray:
    h, w = array.shape[:2]
    array = cv2.copyMakeBorder(array, 0, h % 2, 0, w % 2, cv2.BORDER_REPLICATE)
    # five channels are more than cv2.resize takes by area
    return (array[::2, ::2] + array[1::2, ::2] + array[::2, 1::2] + array[1::2, 1::2]) / 4
