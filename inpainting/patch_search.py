"""Nearest-neighbour field between a hole's patches and known ones, compiled by numba.

A field gives each target (the centre of a patch that touches the hole) the centre of a known patch that looks like it:

    cost(p, q) = Σ_patch |f(p + i) − f(q + i)|² + |g(p) − g(q)|²

f: features (colour and texture) as they stand; g: the guide, blurred colours of the picture with the network's fill.
Each search takes turns of propagation and random tries (Barnes et al. 2009, PatchMatch); after it the hole is painted
anew from the field (Wexler et al. 2007). One thread, one sequence of random numbers: the same bytes at every run.

Shapes, in all functions:
    features: float32 [H, W·C], channels of a pixel side by side; ``channels`` is C.   guide: float32 [H, W, 3].
    targets, sources: int32 [n, 2], rows and columns of centres.   usable: bool [H, W], True at each source.
    pixels: int32 [n, 2], of the hole.
    field: int32 [H, W, 2], rows and columns of sources.   cost: float32 [H, W], below 0 beside the targets.
"""

import numba
import numpy as np

RADIUS = 3  # pixels; patches are 7×7
PATCH = 2 * RADIUS + 1
UNKNOWN = np.float32(1e30)  # cost of a target that has no source yet


def compiled(function):
    """Compiled by numba; kept on disk for the next start where there is a folder for it."""
    options = {"nogil": True, "fastmath": True, "error_model": "numpy"}
    try:
        return numba.njit(cache=True, **options)(function)
    except RuntimeError:  # neither the package's folder nor the user's can be written
        return numba.njit(**options)(function)


@compiled
def _next_random(state):
    """Xorshift of 32 bits (Marsaglia 2003)."""
    state ^= (state << 13) & 0xFFFFFFFF
    state ^= state >> 17
    state ^= (state << 5) & 0xFFFFFFFF
    return state


@compiled
def _guide_cost(guide, y, x, sy, sx):
    total = np.float32(0)
    for c in range(guide.shape[2]):
        difference = guide[y, x, c] - guide[sy, sx, c]
        total += difference * difference
    return total


@compiled
def _cost(features, guide, channels, y, x, sy, sx, limit):
    """The cost of a source; any number of at least ``limit`` once it is passed."""
    total = _guide_cost(guide, y, x, sy, sx)
    left, source_left = (x - RADIUS) * channels, (sx - RADIUS) * channels
    for dy in range(-RADIUS, RADIUS + 1):
        if total >= limit:
            break
        here, there = features[y + dy], features[sy + dy]
        row = np.float32(0)
        for k in range(PATCH * channels):
            difference = here[left + k] - there[source_left + k]
            row += difference * difference
        total += row
    return total


@compiled
def _known_cost(features, known, fixed, guide, channels, y, x, sy, sx, share, limit):
    """``_cost`` by the patch's known pixels, times ``share``; the last ``fixed`` channels count in the hole too."""
    total = _guide_cost(guide, y, x, sy, sx)
    for dy in range(-RADIUS, RADIUS + 1):
        if total >= limit:
            break
        for dx in range(-RADIUS, RADIUS + 1):
            here, there = (x + dx) * channels, (sx + dx) * channels
            for c in range(channels):
                difference = features[y + dy, here + c] - features[sy + dy, there + c]
                if c >= channels - fixed:
                    total += difference * difference
                elif known[y + dy, x + dx]:
                    total += share * difference * difference
    return total


@compiled
def search_all(features, known, fixed, guide, channels, targets, sources, most, field, cost):
    """The best source of each target by its known pixels: of all, or of ``most`` random ones; in place.

    Args:
        known: bool [H, W].
        fixed: how many of the last channels are known in the hole too.
    """
    state = 1
    for y, x in targets:
        inside = np.float32(0)
        for dy in range(-RADIUS, RADIUS + 1):
            for dx in range(-RADIUS, RADIUS + 1):
                inside += known[y + dy, x + dx]
        share = np.float32(PATCH * PATCH) / max(inside, np.float32(1))
        best = UNKNOWN
        for n in range(min(len(sources), most)):
            if most < len(sources):
                state = _next_random(state)
                n = state % len(sources)
            sy, sx = sources[n]
            found = _known_cost(features, known, fixed, guide, channels, y, x, sy, sx, share, best)
            if found < best:
                best, field[y, x, 0], field[y, x, 1] = found, sy, sx
        cost[y, x] = best


@compiled
def measure(features, guide, channels, targets, field, cost):
    """The cost of the field as it stands, in place."""
    for y, x in targets:
        cost[y, x] = _cost(features, guide, channels, y, x, field[y, x, 0], field[y, x, 1], UNKNOWN)


@compiled
def _candidate(turn, tries, reach, step, y, x, best, field, cost, sources, state):
    """The source that a target tries next: its neighbours', ``tries`` near the best one, then any.

    Returns row, column, state; row −1 for none.
    """
    height, width = cost.shape
    if turn < 2:
        ny, nx = (y, x - step) if turn == 0 else (y - step, x)
        if 0 <= ny < height and 0 <= nx < width and cost[ny, nx] >= 0:
            return field[ny, nx, 0] + y - ny, field[ny, nx, 1] + x - nx, state
        return -1, -1, state
    state = _next_random(state)
    if turn >= 2 + tries:
        n = state % len(sources)
        return sources[n, 0], sources[n, 1], state
    around = max(reach >> (turn - 2), 1)
    sy = best[0] + state % (2 * around + 1) - around
    state = _next_random(state)
    return sy, best[1] + state % (2 * around + 1) - around, state


@compiled
def search(features, guide, channels, targets, sources, usable, field, cost, sweeps, tries, reach, seed):
    """Sweeps over the targets, there and back, in place: each takes a neighbour's offset or a random source if better.

    Args:
        tries: how many sources are tried near the best one, and how many anywhere, at each target.
        reach: pixels from the best source, for the first of the near ones; each further one halves it.
    """
    height, width = cost.shape
    state = seed
    for sweep in range(sweeps):
        step = 1 if sweep % 2 == 0 else -1
        for n in range(len(targets)):
            y, x = targets[n if step > 0 else len(targets) - 1 - n]
            least, best = cost[y, x], (field[y, x, 0], field[y, x, 1])
            for turn in range(2 + 2 * tries):
                sy, sx, state = _candidate(turn, tries, reach, step, y, x, best, field, cost, sources, state)
                if sy < 0 or sx < 0 or sy >= height or sx >= width or not usable[sy, sx]:
                    continue
                found = _cost(features, guide, channels, y, x, sy, sx, least)
                if found < least:
                    least, best = found, (sy, sx)
            cost[y, x], field[y, x, 0], field[y, x, 1] = least, best[0], best[1]


@compiled
def _best_patch(y, x, cost):
    """The target of least cost whose patch covers a pixel: row, column, cost."""
    height, width = cost.shape
    best, by, bx = UNKNOWN, -1, -1
    for cy in range(max(y - RADIUS, 0), min(y + RADIUS + 1, height)):
        for cx in range(max(x - RADIUS, 0), min(x + RADIUS + 1, width)):
            if 0 <= cost[cy, cx] < best:
                best, by, bx = cost[cy, cx], cy, cx
    return by, bx, best


@compiled
def vote(features, channels, pixels, field, cost, spread):
    """Paint the hole in place: a pixel is the mean over its patches' sources, by exp(−(cost − least) / spread)."""
    height, width = cost.shape
    for y, x in pixels:
        _, _, least = _best_patch(y, x, cost)
        here, total = features[y, x * channels : (x + 1) * channels], np.float32(0)
        here[:] = 0
        for cy in range(max(y - RADIUS, 0), min(y + RADIUS + 1, height)):
            for cx in range(max(x - RADIUS, 0), min(x + RADIUS + 1, width)):
                weight = np.exp((least - cost[cy, cx]) / spread) if cost[cy, cx] >= 0 else np.float32(0)
                if weight > np.float32(1e-3):
                    sy, sx = field[cy, cx, 0] + y - cy, (field[cy, cx, 1] + x - cx) * channels
                    total += weight
                    for c in range(channels):
                        here[c] += weight * features[sy, sx + c]
        for c in range(channels):
            here[c] /= total


@compiled
def best_offsets(pixels, field, cost, offsets):
    """Of each pixel, in or beside the hole, the offset by the patch of least cost: int32 [H, W, 2], in place."""
    for y, x in pixels:
        cy, cx, _ = _best_patch(y, x, cost)
        if cy >= 0:
            offsets[y, x, 0], offsets[y, x, 1] = field[cy, cx, 0] - cy, field[cy, cx, 1] - cx
