"""Holes drawn at random when there are no masks at hand: irregular ones into a wanted area bucket, boxes, silhouettes
of people and animals, and wide holes.

Irregular ones follow how Liu et al. (2018, arXiv:1804.07723) made theirs: where something moves between two frames of a
video, its outline is seen in one frame only. So outlines, many of them with an echo beside, are drawn thin and in
dashes and widened by one brush for the whole mask. Own drawing; the constants were fitted to depth, islands and
perimeter (datasets/mask_statistics.py) of the published test masks.
"""

import math
from typing import NamedTuple

import cv2
import numpy as np

from datasets.masks import BUCKETS, border_margins
from utils.errors import InputError

MIN_SIDE = 16  # px
STEPS = 16  # dashes of an outline
FIRST_OUTLINES = 8  # as many again while the hole is too small
SILHOUETTE = (0.03, 0.15)  # share of the picture
WIDE = (0.25, 0.6)
UNREACHED = 65535  # greatest uint16


def generate_mask(
    rng: np.random.Generator,
    height: int,
    width: int,
    bucket: tuple[float, float] | None = None,
    border: bool = True,
) -> np.ndarray:
    """A random mask float32 [height, width], 1 = valid, whose hole ratio lies inside ``bucket``.

    Args:
        height, width: pixels, at least 16.
        bucket: (lo, hi] within 0 to 0.6; None draws one of ``BUCKETS``.
        border: True puts at least one hole into the margin of 50/512 of the side along the border (row B of the paper's
            tables), False keeps all of them out of it (row N).
    Raises:
        InputError: a side below 16 px.
        ValueError: a bucket outside 0 to 0.6 or too narrow to hold one count of pixels.
    """
    _check_sides(height, width)
    bucket = bucket or BUCKETS[rng.integers(len(BUCKETS))]
    least, most = _pixel_bounds(bucket, height * width)
    goal = int(rng.integers(least, most, endpoint=True))
    rows, columns = border_margins(height, width)
    hole = np.zeros([height, width], bool)
    canvas = hole if border else hole[rows : height - rows, columns : width - columns]
    start = _border_pixel(rng, height, width) if border else _free_pixel(rng, canvas)
    style = _draw_style(rng, min(height, width), goal / hole.size, goal / canvas.size)
    canvas[:] = _draw_hole(rng, canvas.shape, goal, start, style)
    return (~hole).astype(np.float32)


def generate_box(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """A mask float32 [height, width], 1 = valid, with one rectangular hole anywhere, 14 to 25 % of a square picture.

    Each side is half of the picture's shorter one, less up to an eighth of that at random: at 256×256, 96 to 128.
    Source: Yu et al. 2018, arXiv:1801.07892, and the author's code.
    """
    _check_sides(height, width)
    side = min(height, width) // 2
    box_height, box_width = (side - int(n) for n in rng.integers(0, side // 4, size=2, endpoint=True))
    top, left = int(rng.integers(height - box_height + 1)), int(rng.integers(width - box_width + 1))
    mask = np.ones([height, width], np.float32)
    mask[top : top + box_height, left : left + box_width] = 0
    return mask


def generate_silhouette(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """A mask float32 [height, width], 1 = valid, with the outline of a person or an animal: body, head and four limbs.

    Its hole is ``SILHOUETTE`` of the picture, 3 to 15 %, as of something that is taken out of a photograph.
    """
    _check_sides(height, width)
    goal = rng.uniform(*SILHOUETTE)
    while True:
        parts = _person(rng) if rng.random() < 0.5 else _animal(rng)
        centre = rng.uniform(0.2, 0.8, 2) * (width, height)
        scale = math.sqrt(goal * height * width)
        for _ in range(4):  # a shape's area goes with the square of its scale, unless the border cuts it
            mask = _draw_limbs(parts, scale, centre, height, width)
            scale *= math.sqrt(goal / max(1 - mask.mean(), goal / 4))
        if SILHOUETTE[0] <= 1 - mask.mean() <= SILHOUETTE[1]:
            return mask


def generate_wide(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """A mask float32 [height, width], 1 = valid, with boxes and broad strokes over ``WIDE`` of the picture, 25 to 60 %.

    Source: the wide masks of Suvorov et al. 2022 (arXiv:2109.07161); own drawing.
    """
    _check_sides(height, width)
    goal, mask = rng.uniform(WIDE[0], WIDE[1] - 0.05), np.ones([height, width], np.float32)
    while 1 - mask.mean() < goal:
        more = _with_wide_part(rng, mask)
        if 1 - more.mean() <= WIDE[1]:
            mask = more
    return mask


def _with_wide_part(rng: np.random.Generator, mask: np.ndarray) -> np.ndarray:
    """The mask with one more box or broad stroke."""
    height, width = mask.shape
    mask, side = mask.copy(), min(height, width)
    if rng.random() < 0.4:
        half = rng.uniform(0.08, 0.25, 2) * (width, height)
        centre = rng.uniform(0, 1, 2) * (width, height)
        first, last = (np.rint(centre + sign * half).astype(int).tolist() for sign in (-1, 1))
        cv2.rectangle(mask, first, last, 0, -1)
        return mask
    turns = rng.uniform(0, 2 * math.pi) + np.cumsum(rng.normal(0, 0.8, 4))
    steps = np.stack([np.cos(turns), np.sin(turns)], axis=1) * rng.uniform(0.1, 0.35, [4, 1]) * side
    points = rng.uniform(0, 1, 2) * (width, height) + np.cumsum(steps, axis=0)
    brush = max(1, round(rng.uniform(0.08, 0.2) * side))
    cv2.polylines(mask, [np.rint(points).astype(np.int32)], False, 0, brush)
    return mask


def _person(rng: np.random.Generator) -> list[tuple[np.ndarray, float]]:
    """Limbs as lines (x, y) with a width; 1 is about the side of a square of the shape's area."""
    hip, neck = np.array([0, 0.25]), np.array([rng.normal(0, 0.1), -0.6])
    head = neck + _xy(rng.normal(0, 0.08), -0.25)
    limbs = [(np.stack([hip, neck]), rng.uniform(0.4, 0.6)), (np.stack([head, head + _xy(0.01, 0.08)]), 0.36)]
    limbs += [(_limb(rng, hip + _xy(side * 0.12, 0), math.pi / 2 - side * 0.2, 0.65), 0.24) for side in (-1, 1)]
    limbs += [(_limb(rng, neck + _xy(side * 0.2, 0.12), math.pi / 2 - side * 0.6, 0.4), 0.17) for side in (-1, 1)]
    return limbs


def _animal(rng: np.random.Generator) -> list[tuple[np.ndarray, float]]:
    """As ``_person``: a body lying down, a neck with a head, four legs and a tail."""
    facing = rng.choice([-1, 1])
    rump, chest = np.array([-0.45 * facing, 0]), np.array([0.45 * facing, rng.normal(0, 0.08)])
    head = chest + _xy(0.35 * facing, rng.uniform(-0.5, 0.1))
    limbs = [(np.stack([rump, chest]), rng.uniform(0.45, 0.65)), (np.stack([chest, head]), 0.25)]
    limbs.append((np.stack([head, head + _xy(0.16 * facing, 0.06)]), 0.26))
    for root, shift in ((rump, -0.1), (rump, 0.12), (chest, -0.1), (chest, 0.12)):
        limbs.append((_limb(rng, root + _xy(shift, 0.15), math.pi / 2, 0.35), 0.14))
    limbs.append((_limb(rng, rump - _xy(0.15 * facing, 0.1), math.pi / 2 + facing * 0.9, 0.25), 0.08))
    return limbs


def _xy(x: float, y: float) -> np.ndarray:
    return np.array([x, y])


def _limb(rng: np.random.Generator, start: np.ndarray, angle: float, length: float) -> np.ndarray:
    """A line of two parts of ``length``, bent at random: (x, y) [3, 2]."""
    angles = angle + np.cumsum(rng.normal(0, 0.35, 2))
    return start + np.cumsum([[0, 0], *(length * np.stack([np.cos(angles), np.sin(angles)], axis=1))], axis=0)


def _draw_limbs(parts, scale: float, centre: np.ndarray, height: int, width: int) -> np.ndarray:
    mask = np.ones([height, width], np.float32)
    for line, across in parts:
        points = np.rint(centre + scale * line).astype(np.int32)
        cv2.polylines(mask, [points], False, 0, max(1, round(scale * across)))
    return mask


def _check_sides(height: int, width: int) -> None:
    if min(height, width) < MIN_SIDE:
        raise InputError(
            f"expected sides of at least {MIN_SIDE} px to draw a mask in, got {height}x{width}: "
            "give a mask, or a larger size"
        )


def _pixel_bounds(bucket: tuple[float, float], area: int) -> tuple[int, int]:
    """The fewest and the most hole pixels of (lo, hi]."""
    low, high = bucket
    # 0.29 * 100 is 28.999999999999996
    least, most = math.floor(round(low * area, 6)) + 1, math.floor(round(high * area, 6))
    if not 0 <= low < high <= BUCKETS[-1][1] or least > most:
        raise ValueError(f"expected a bucket (lo, hi] within 0 to {BUCKETS[-1][1]} of {area} px, got {bucket}")
    return least, most


class _Style(NamedTuple):
    """What the outlines of one mask have in common; lengths in px, angles in radians."""

    brush: tuple[int, int]  # width, height
    size: float  # of an outline across, about, in the median
    spread: float  # of the outlines of one group
    gaps: float  # share of the dashes left out
    direction: float
    turn: float  # from dash to dash
    echoes: float  # share of the outlines that have one
    motion: np.ndarray  # (x, y) from an outline to its echo


def _draw_style(rng: np.random.Generator, side: int, ratio: float, filled: float) -> _Style:
    """A style for a hole of ``ratio`` of the picture that covers ``filled`` of the part it may lie in.

    Every length goes with ``side``, so masks of all sizes are of one kind.
    """
    brush = side * (0.026 + 0.0483 * ratio + 22.5 * ratio**12) * (1 + filled / 2)  # the last bucket is far coarser
    brush *= math.exp(rng.normal(0, 0.56 * (1 - filled)))
    stretch = math.exp(rng.normal(0.12, 0.12))  # mostly upright, as in the published masks
    return _Style(
        brush=(max(1, round(brush / stretch)), max(1, round(brush * stretch))),
        size=0.3 * side * math.exp(rng.normal(0, 0.45)),
        spread=0.1 * side,
        gaps=rng.uniform(0, 0.35),
        direction=rng.uniform(0, math.pi),
        turn=rng.uniform(0.1, 0.6),
        echoes=(1 - filled) / 2,
        motion=rng.normal(0, 1.35 * brush, 2),
    )


def _draw_hole(
    rng: np.random.Generator, shape: tuple[int, ...], goal: int, start: tuple[int, int], style: _Style
) -> np.ndarray:
    """The ``goal`` pixels, bool [height, width], that the outlines reach first when they are drawn one after another.

    Ends always: each batch of outlines begins on a pixel not reached before.
    """
    lines = np.full(shape, UNREACHED, np.uint16)  # number of the outline through a pixel
    starts = np.array([start])  # by number; 0 is this pixel alone
    while True:
        centres = _gather(rng, shape, start, max(FIRST_OUTLINES, len(starts)), style.spread)
        _draw_outlines(rng, lines, centres, len(starts), style)
        starts = np.concatenate([starts, centres])
        reached = _widen(lines, style.brush)
        reached[starts[0, 1], starts[0, 0]] = 0  # or a cut of the first outline could leave the border's margin
        drawn = reached < UNREACHED
        if np.count_nonzero(drawn) >= goal:
            return _first_pixels(reached, goal, starts)
        start = _free_pixel(rng, drawn)


def _first_pixels(reached: np.ndarray, goal: int, starts: np.ndarray) -> np.ndarray:
    """The ``goal`` pixels with the lowest numbers; of the last outline those nearest to its start."""
    last = int(np.searchsorted(np.bincount(reached.ravel()).cumsum(), goal))
    hole = reached < last
    pixels = np.flatnonzero(reached == last)
    y, x = np.divmod(pixels, reached.shape[1])
    nearest = np.argsort(np.hypot(x - starts[last, 0], y - starts[last, 1]), kind="stable")
    hole.reshape(-1)[pixels[nearest[: goal - np.count_nonzero(hole)]]] = True
    return hole


def _widen(lines: np.ndarray, brush: tuple[int, int]) -> np.ndarray:
    """The lowest number under a rectangle with round corners: by a rectangle, which is fast, then by a small disc."""
    radius = min(brush) // 4
    rectangle = np.ones([brush[1] - 2 * radius, brush[0] - 2 * radius], np.uint8)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * radius + 1, 2 * radius + 1))
    return cv2.erode(cv2.erode(lines, rectangle), disc)


def _gather(
    rng: np.random.Generator, shape: tuple[int, ...], start: tuple[int, int], count: int, spread: float
) -> np.ndarray:
    """Where outlines begin, (x, y) int [count, 2]: first at ``start``, then in small groups anywhere."""
    last = np.array(shape[::-1]) - 1
    alone = rng.random(count) < 0.4
    alone[0] = True
    centres = rng.integers(last, size=[count, 2], endpoint=True)
    centres[0] = start
    groups = np.maximum.accumulate(np.where(alone, np.arange(count), 0))
    offsets = np.where(alone[:, None], 0, rng.normal(0, spread, [count, 2]))
    return np.clip(np.rint(centres[groups] + offsets).astype(int), 0, last)


def _draw_outlines(rng: np.random.Generator, lines: np.ndarray, starts: np.ndarray, number: int, style: _Style) -> None:
    """Dashed outlines and their echoes, numbered from ``number`` on, a pixel wide into ``lines``."""
    count = len(starts)
    points = _walk(rng, starts, style)
    dashes = np.stack([points[:, :-1], points[:, 1:]], axis=2)  # [count, STEPS, 2, 2]
    kept = rng.random([count, STEPS]) >= style.gaps
    shift = style.motion * np.exp(rng.normal(0, 0.3, [count, 1, 1, 1]))
    echoes = dashes + shift + rng.normal(0, 0.1 * max(style.brush), [count, STEPS, 1, 2])
    echoed = kept & (rng.random([count, 1]) < style.echoes)
    dashes = np.rint(np.concatenate([dashes, echoes], axis=1)).astype(np.int32)
    kept = np.concatenate([kept, echoed], axis=1)
    for i in range(count):
        stamp = min(number + i, UNREACHED - 1)
        lines[starts[i, 1], starts[i, 0]] = stamp
        cv2.polylines(lines, dashes[i][kept[i]], False, stamp)


def _walk(rng: np.random.Generator, starts: np.ndarray, style: _Style) -> np.ndarray:
    """Paths [count, STEPS + 1, 2] of (x, y): some run round in a loop, the others along the style's direction."""
    count = len(starts)
    curl = 2 * math.pi / STEPS * rng.choice([-1, 1], [count, 1]) * (rng.random([count, 1]) < 0.3)
    heading = style.direction + rng.normal(0, 0.32, [count, 1]) + math.pi * rng.integers(2, size=[count, 1])
    scale = np.exp(rng.normal(0, 0.9, [count, 1]))
    turns = rng.normal(curl, style.turn / scale, [count, STEPS])  # long outlines run straighter
    angles = heading + np.cumsum(turns, axis=1)
    lengths = 3 * style.size * scale / STEPS * rng.uniform(0.3, 1.7, [count, STEPS])
    offsets = np.cumsum(np.stack([np.cos(angles), np.sin(angles)], axis=2) * lengths[:, :, None], axis=1)
    return starts[:, None] + np.concatenate([np.zeros([count, 1, 2]), offsets], axis=1)


def _free_pixel(rng: np.random.Generator, canvas: np.ndarray) -> tuple[int, int]:
    """(x, y) of a pixel that is not hole yet. Holes cover 93 % of a canvas at most, so a few draws are enough."""
    while True:
        y, x = rng.integers(canvas.shape)
        if not canvas[y, x]:
            return int(x), int(y)


def _border_pixel(rng: np.random.Generator, height: int, width: int) -> tuple[int, int]:
    """(x, y) of a pixel in the margin along the border."""
    rows, columns = border_margins(height, width)
    x, y = int(rng.integers(width)), int(rng.integers(height))
    side = rng.integers(4)
    if side < 2:
        y = int(rng.integers(rows)) + (height - rows) * int(side)
    else:
        x = int(rng.integers(columns)) + (width - columns) * int(side - 2)
    return x, y
