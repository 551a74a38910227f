"""``models.smooth_prior`` compiled for training: the same pyramid and descent for one picture, in milliseconds.

The numbers are repeated here because two frameworks in one process fight over its threads; a test holds the two equal.
"""

import numpy as np
from numba import njit

STEPS = {2: 30, 1: 20}  # by order
MOMENTUM, STEP = np.float32(0.9), 1.71
BICUBIC = np.array([-0.10546875, 0.87890625, 0.26171875, -0.03515625], np.float32)  # a = -0.75, a quarter off centre

compiled = njit(fastmath=True, nogil=True, cache=True)


def surfaces(known: np.ndarray, mask: np.ndarray) -> list[np.ndarray]:
    """The smooth surfaces of order 2 and 1.

    Shape:
        known: float32 [H, W, C]; hole pixels do not matter.   mask: float32 [H, W], 1 = valid.
        Returns float32 [H, W, C] each, not clipped.
    """
    known = known * mask[..., None]
    return [surface(known, mask, order, steps) for order, steps in STEPS.items()]


@compiled
def surface(known, mask, order, steps):
    pictures, masks = [known], [mask]
    while min(masks[-1].shape) > 2:
        picture, mask = halve(pictures[-1], masks[-1])
        pictures.append(picture)
        masks.append(mask)
    u = np.zeros_like(pictures[-1])
    for c in range(u.shape[2]):
        u[:, :, c] = pictures[-1][:, :, c].sum() / max(masks[-1].sum(), 1.0)
    for level in range(len(masks) - 1, -1, -1):
        picture, mask = pictures[level], masks[level]
        h, w = mask.shape
        if level < len(masks) - 1:
            u = _turned(_enlarge_rows(_turned(_enlarge_rows(u, h)), w))
        for y in range(h):
            for x in range(w):
                if mask[y, x] > 0:
                    u[y, x] = picture[y, x]
        _relax(u, mask, order, steps)
    return u


@compiled
def halve(picture, mask):
    """The mean of the known pixels of each 2×2; a pixel is known if any of the four is."""
    h, w, channels = picture.shape
    small = np.zeros(((h + 1) // 2, (w + 1) // 2, channels), np.float32)
    known = np.zeros(small.shape[:2], np.float32)
    for y in range(h):
        for x in range(w):
            if mask[y, x] > 0:
                small[y // 2, x // 2] += picture[y, x]
                known[y // 2, x // 2] += 1
    for y in range(known.shape[0]):
        for x in range(known.shape[1]):
            if known[y, x] > 0:
                small[y, x] /= known[y, x]
                known[y, x] = 1
    return small, known


@compiled
def _turned(u):
    return np.ascontiguousarray(u.transpose(1, 0, 2))


@compiled
def _enlarge_rows(u, height):
    """Bicubic, by two along the first axis, then cropped to ``height``; the border repeats."""
    n = len(u)
    out = np.empty((height, u.shape[1], u.shape[2]), np.float32)
    for y in range(height):
        centre, towards = y // 2, 2 * (y % 2) - 1  # an odd row lies a quarter below its source's centre, an even above
        out[y] = 0
        for i in range(4):
            out[y] += BICUBIC[i] * u[min(max(centre + (i - 1) * towards, 0), n - 1)]
    return out


@compiled
def _relax(u, mask, order, steps):
    h, w, channels = u.shape
    rows = u.reshape(h, w * channels)
    hole, speed = np.empty_like(rows), np.zeros_like(rows)
    once, twice = np.empty_like(rows), np.empty_like(rows)
    for y in range(h):
        for x in range(w):
            hole[y, x * channels : (x + 1) * channels] = 1 - mask[y, x]
    for _ in range(steps):
        _laplace(rows, once, channels)
        if order == 2:
            _laplace(once, twice, channels)
            _descend(rows, speed, twice, hole, np.float32(-STEP / 64))
        else:
            _descend(rows, speed, once, hole, np.float32(STEP / 8))


@compiled
def _descend(rows, speed, slope, hole, step):
    for y in range(len(rows)):
        u, v, s, inside = rows[y], speed[y], slope[y], hole[y]
        for x in range(len(u)):  # rows of their own, indexed from 0: only so the compiler makes vectors of them
            change = (MOMENTUM * v[x] + step * s[x]) * inside[x]
            v[x] = change
            u[x] += change


@compiled
def _laplace(rows, out, channels):
    """The five-point stencil; the border repeats."""
    h, n = rows.shape
    for y in range(h):
        here, above, below, result = rows[y], rows[max(y - 1, 0)], rows[min(y + 1, h - 1)], out[y]
        left, right, centre = here[: n - 2 * channels], here[2 * channels :], here[channels : n - channels]
        up, down, inner = (
            above[channels : n - channels],
            below[channels : n - channels],
            result[channels : n - channels],
        )
        for x in range(len(inner)):
            inner[x] = up[x] + down[x] + left[x] + right[x] - np.float32(4) * centre[x]
        for c in range(channels):
            last = n - channels + c
            inward, outward = here[min(channels + c, last)], here[max(last - channels, c)]
            result[c] = above[c] + below[c] + inward - np.float32(3) * here[c]
            result[last] = above[last] + below[last] + outward - np.float32(3) * here[last]
