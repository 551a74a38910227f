"""Holes drawn at random when there are no masks at hand: irregular ones into a wanted area bucket, and boxes.

Irregular ones are lumpy strokes, crumbs along a line and smooth blobs, as in the masks that Liu et al. (2018,
arXiv:1804.07723) took from occlusions in video. Own drawing: sizes were chosen by eye beside the published test masks.
"""

import math

import cv2
import numpy as np

from datasets.masks import BUCKETS, border_margins
from errors import InputError

MIN_SIDE = 16  # px


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
    Example:
        >>> mask = generate_mask(np.random.default_rng(0), 64, 48, (0.2, 0.3), border=False)
        >>> mask.shape, bool(0.2 < 1 - mask.mean() <= 0.3)
        ((64, 48), True)
    """
    _check_sides(height, width)
    bucket = bucket or BUCKETS[rng.integers(len(BUCKETS))]
    least, most = _pixel_bounds(bucket, height * width)
    goal = int(rng.integers(least, most, endpoint=True))
    most = min(most, goal + (most - least) // 8)  # close to the goal, or ratios would crowd at the bucket's upper end
    rows, columns = border_margins(height, width)
    hole = np.zeros([height, width], np.uint8)
    canvas = hole if border else hole[rows : height - rows, columns : width - columns]
    start = _border_pixel(rng, height, width) if border else _free_pixel(rng, canvas)
    canvas[:] = _draw_holes(rng, canvas, goal, most, start)
    return (1 - hole).astype(np.float32)


def generate_box(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """A mask float32 [height, width], 1 = valid, with one rectangular hole anywhere, 14 to 25 % of a square picture.

    Each side is half of the picture's shorter one, less up to an eighth of that at random: at 256×256, 96 to 128.
    Source: Yu et al. 2018, arXiv:1801.07892, and the author's code.

    Raises:
        InputError: a side below 16 px.
    Example:
        >>> mask = generate_box(np.random.default_rng(0), 64, 64)
        >>> bool(24 * 24 <= (1 - mask).sum() <= 32 * 32)
        True
    """
    _check_sides(height, width)
    side = min(height, width) // 2
    box_height, box_width = (side - int(n) for n in rng.integers(0, side // 4, size=2, endpoint=True))
    top, left = int(rng.integers(height - box_height + 1)), int(rng.integers(width - box_width + 1))
    mask = np.ones([height, width], np.float32)
    mask[top : top + box_height, left : left + box_width] = 0
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


def _draw_holes(
    rng: np.random.Generator, canvas: np.ndarray, goal: int, most: int, start: tuple[int, int]
) -> np.ndarray:
    """The canvas with shapes added from ``start`` on until ``goal`` pixels are hole.

    A shape that would pass ``most`` is drawn again with a finer brush.
    Ends always: each kept shape begins on a free pixel, so it adds one at least, and a brush finer than a pixel adds no
    more than that.
    """
    brush = _brush_width(rng, canvas.shape, goal)
    shapes = [_draw_stroke, _draw_crumbs, _draw_blob]
    odds = rng.dirichlet([4, 1, 1.5])  # most masks lean on one kind
    while True:
        trial = canvas.copy()
        draw = _draw_dot if brush < 1 else shapes[rng.choice(len(shapes), p=odds)]
        draw(rng, trial, start, brush * rng.uniform(0.5, 1.5))
        count = cv2.countNonZero(trial)
        if count > most:
            brush *= 0.6
            continue
        canvas = trial
        if count >= goal:
            return canvas
        start = _free_pixel(rng, canvas)


def _brush_width(rng: np.random.Generator, shape: tuple[int, ...], goal: int) -> float:
    """Pixels; bigger holes are painted with broader brushes, as in the published masks."""
    return math.sqrt(goal) * rng.uniform(0.08, 0.3) + 0.01 * min(shape)


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


def _draw_dot(rng: np.random.Generator, canvas: np.ndarray, start: tuple[int, int], brush: float) -> None:
    canvas[start[1], start[0]] = 1


def _walk(rng: np.random.Generator, start: tuple[int, int], steps: int, stride: float, turn: float) -> np.ndarray:
    """A path int32 [steps + 1, 2] of (x, y) from ``start`` whose direction drifts by about ``turn`` radians a step."""
    angles = rng.uniform(0, 2 * math.pi) + np.cumsum(rng.normal(0, turn, steps))
    lengths = stride * rng.uniform(0.5, 1.5, steps)
    offsets = np.cumsum(np.stack([np.cos(angles), np.sin(angles)], axis=1) * lengths[:, None], axis=0)
    return np.rint(np.concatenate([[[0, 0]], offsets]) + start).astype(np.int32)


def _draw_stroke(rng: np.random.Generator, canvas: np.ndarray, start: tuple[int, int], brush: float) -> None:
    """A thick line that turns now and then; its width changes from joint to joint, which makes the edge lumpy."""
    points = _walk(rng, start, int(rng.integers(4, 24)), 0.8 * brush, rng.uniform(0.05, 0.8))
    widths = np.maximum(1, np.rint(brush * rng.uniform(0.5, 1.3, len(points)))).astype(int).tolist()
    for first, second, thickness in zip(points[:-1].tolist(), points[1:].tolist(), widths, strict=False):
        cv2.line(canvas, first, second, 1, thickness)


def _draw_crumbs(rng: np.random.Generator, canvas: np.ndarray, start: tuple[int, int], brush: float) -> None:
    """Small round and rectangular specks along a line, as a flickering edge leaves them."""
    for x, y in _walk(rng, start, int(rng.integers(2, 12)), 1.5 * brush, 0.6).tolist():
        half_width, half_height = np.rint(brush * rng.uniform(0.1, 0.5, 2)).astype(int).tolist()
        if rng.random() < 0.5:
            cv2.ellipse(canvas, (x, y), (half_width, half_height), 0, 0, 360, 1, cv2.FILLED)
        else:
            cv2.rectangle(canvas, (x - half_width, y - half_height), (x + half_width, y + half_height), 1, cv2.FILLED)


def _draw_blob(rng: np.random.Generator, canvas: np.ndarray, start: tuple[int, int], brush: float) -> None:
    """A smooth closed curve, filled or as a ring: a circle whose radius waves with a few harmonics."""
    angles = np.linspace(0, 2 * math.pi, 48, endpoint=False)
    harmonics = np.arange(1, 6)
    waves = np.sin(harmonics * angles[:, None] + rng.uniform(0, 2 * math.pi, 5)) * rng.normal(0, 0.25 / harmonics)
    radii = brush * rng.uniform(0.7, 1.8) * np.maximum(0.2, 1 + waves.sum(axis=1))
    outline = np.stack([np.cos(angles), np.sin(angles)], axis=1) * radii[:, None] * [1, rng.uniform(0.5, 1)]
    points = np.rint(outline - outline[0] + start).astype(np.int32)
    if rng.random() < 0.5:
        cv2.fillPoly(canvas, [points], 1)
    else:
        cv2.polylines(canvas, [points], True, 1, max(1, round(brush / 2)))
