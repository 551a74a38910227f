"""Nearest-neighbour field between a hole's patches and known ones, compiled by numba.

A field gives each target (the centre of a patch that touches the hole) the centre of a known patch that looks like it:

    cost(p, q) = Σ_patch |f(p + i) − f(q + i)|² + λ·PATCH²·|g(p) − g(q)|²

f: features (colours and texture) as they stand now, g: blurred colours of the picture with the network's fill.
The search takes turns of propagation and random tries (Barnes et al. 2009, PatchMatch); between searches the hole is
painted anew from the field (Wexler et al. 2007). One thread and one sequence of random numbers: the same bytes each time.

Shapes, in all functions:
    features: float32 [H, W·C], channels of a pixel side by side.   guide: float32 [H, W, 3].
    targets, sources: int32 [n, 2], rows and columns of centres.   usable: bool [H, W], True at each source.
    field: int32 [H, W, 2], rows and columns.   cost: float32 [H, W].
"""

import numba
import numpy as np

RADIUS = 4  # pixels; patches are 9×9
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
def _patch_cost(features, channels, y, x, sy, sx, limit):
    """Σ over the patch of squared differences; any number above ``limit`` once it is passed."""
    total = np.float32(0)
    left, source_left = (x - RADIUS) * channels, (sx - RADIUS) * channels
    for dy in range(-RADIUS, RADIUS + 1):
        here, there = features[y + dy], features[sy + dy]
        row = np.float32(0)
        for k in range(PATCH * channels):
            difference = here[left + k] - there[source_left + k]
            row += difference * difference
        total += row
        if total > limit:
            break
    return total


@compiled
def _cost(features, guide, channels, weight, y, x, sy, sx, limit):
    total = np.float32(0)
    for c in range(guide.shape[2]):
        difference = guide[y, x, c] - guide[sy, sx, c]
        total += difference * difference
    total *= weight
    if total > limit:
        return total
    return total + _patch_cost(features, channels, y, x, sy, sx, limit - total)


@compiled
def _next_random(state):
    """Xorshift of 32 bits (Marsaglia 2003)."""
    state ^= (state << 13) & 0xFFFFFFFF
    state ^= state >> 17
    state ^= (state << 5) & 0xFFFFFFFF
    return state


@compiled
def measure(features, guide, channels, weight, targets, field, cost):
    """The cost of the field as it stands, in place."""
    for y, x in targets:
        cost[y, x] = _cost(features, guide, channels, weight, y, x, field[y, x, 0], field[y, x, 1], UNKNOWN)


@compiled
def search(features, guide, channels, weight, targets, sources, usable, field, cost, sweeps, tries, reach, seed):
    """Sweeps over the targets, there and back: each takes its neighbours' offsets, or a random source, where it is better.

    Args:
        tries: how many sources are tried near the best one, and how many anywhere, at each target.
        reach: pixels from the best source, for the first of the near ones; each further one halves it.
    """
    height, width = usable.shape
    state = np.int64(seed)
    for sweep in range(sweeps):
        step = 1 if sweep % 2 == 0 else -1
        for n in range(len(targets)):
            y, x = targets[n if step > 0 else len(targets) - 1 - n]
            best, by, bx = cost[y, x], field[y, x, 0], field[y, x, 1]
            for turn in range(2 + 2 * tries):
                if turn == 0:  # the neighbour in this row
                    if x - step < 0 or x - step >= width or cost[y, x - step] < 0:
                        continue
                    sy, sx = field[y, x - step, 0], field[y, x - step, 1] + step
                elif turn == 1:
                    if y - step < 0 or y - step >= height or cost[y - step, x] < 0:
                        continue
                    sy, sx = field[y - step, x, 0] + step, field[y - step, x, 1]
                elif turn < 2 + tries:
                    around = max(reach >> (turn - 2), 1)
                    state = _next_random(state)
                    sy = by + state % (2 * around + 1) - around
                    state = _next_random(state)
                    sx = bx + state % (2 * around + 1) - around
                else:
                    state = _next_random(state)
                    sy, sx = sources[state % len(sources)]
                if sy < 0 or sx < 0 or sy >= height or sx >= width or not usable[sy, sx] or (sy == by and sx == bx):
                    continue
                found = _cost(features, guide, channels, weight, y, x, sy, sx, best)
                if found < best:
                    best, by, bx = found, sy, sx
            cost[y, x], field[y, x, 0], field[y, x, 1] = best, by, bx


@compiled
def search_all(features, known, guide, channels, weight, fixed, targets, sources, most, field, cost, seed):
    """The best source of each target by its known pixels alone; of all sources, or of ``most`` random ones.

    Args:
        known: float32 [H, W], 1 where a pixel counts.
        fixed: how many of the last channels count in the hole too.
    """
    state = np.int64(seed)
    count = min(len(sources), most)
    for y, x in targets:
        inside = np.float32(0)
        for dy in range(-RADIUS, RADIUS + 1):
            for dx in range(-RADIUS, RADIUS + 1):
                inside += known[y + dy, x + dx]
        share = np.float32(PATCH * PATCH) / max(inside, np.float32(1))
        best = UNKNOWN
        for n in range(count):
            if count < len(sources):
                state = _next_random(state)
                sy, sx = sources[state % len(sources)]
            else:
                sy, sx = sources[n]
            total = np.float32(0)
            for c in range(guide.shape[2]):
                difference = guide[y, x, c] - guide[sy, sx, c]
                total += difference * difference
            total *= weight
            for dy in range(-RADIUS, RADIUS + 1):
                for dx in range(-RADIUS, RADIUS + 1):
                    here, there = (x + dx) * channels, (sx + dx) * channels
                    if known[y + dy, x + dx] > 0:
                        for c in range(channels - fixed):
                            difference = features[y + dy, here + c] - features[sy + dy, there + c]
                            total += share * difference * difference
                    for c in range(channels - fixed, channels):
                        difference = features[y + dy, here + c] - features[sy + dy, there + c]
                        total += difference * difference
                if total > best:
                    break
            if total < best:
                best = total
                field[y, x, 0], field[y, x, 1] = sy, sx
        cost[y, x] = best


@compiled
def vote(features, channels, pixels, field, cost, spread, result):
    """Paint the hole: each pixel is the mean of what its patches have there, by exp(−(cost − least) / spread), in place.

    Args:
        pixels: int32 [n, 2], of the hole.
        spread: 0 takes the patch of least cost alone.
        result: float32 [n, C].
    """
    height, width = cost.shape
    for n in range(len(pixels)):
        y, x = pixels[n]
        best, by, bx = UNKNOWN, 0, 0
        for cy in range(max(y - RADIUS, 0), min(y + RADIUS + 1, height)):
            for cx in range(max(x - RADIUS, 0), min(x + RADIUS + 1, width)):
                if 0 <= cost[cy, cx] < best:
                    best, by, bx = cost[cy, cx], cy, cx
        total = np.float32(0)
        result[n] = 0
        for cy in range(max(y - RADIUS, 0), min(y + RADIUS + 1, height)):
            for cx in range(max(x - RADIUS, 0), min(x + RADIUS + 1, width)):
                if cost[cy, cx] < 0 or (spread <= 0 and (cy != by or cx != bx)):
                    continue
                weight = np.float32(1)
                if spread > 0:
                    weight = np.exp((best - cost[cy, cx]) / spread)
                    if weight < np.float32(1e-3):
                        continue
                sy, sx = field[cy, cx, 0] + y - cy, (field[cy, cx, 1] + x - cx) * channels
                for c in range(channels):
                    result[n, c] += weight * features[sy, sx + c]
                total += weight
        for c in range(channels):
            result[n, c] /= total
    for n in range(len(pixels)):
        y, x = pixels[n]
        for c in range(channels):
            features[y, x * channels + c] = result[n, c]


@compiled
def best_offsets(pixels, field, cost, offsets):
    """Of each hole pixel the offset to its source by the patch of least cost, int32 [n, 2], in place."""
    height, width = cost.shape
    for n in range(len(pixels)):
        y, x = pixels[n]
        best = UNKNOWN
        for cy in range(max(y - RADIUS, 0), min(y + RADIUS + 1, height)):
            for cx in range(max(x - RADIUS, 0), min(x + RADIUS + 1, width)):
                if 0 <= cost[cy, cx] < best:
                    best = cost[cy, cx]
                    offsets[n, 0], offsets[n, 1] = field[cy, cx, 0] - cy, field[cy, cx, 1] - cx


@compiled
def join(picture, hole, pixels, offsets, goal, pull, sweeps, result):
    """Gradients of the sources, joined to the picture and pulled to ``goal``: screened Poisson equation, in place.

    min Σ (u_q − u_p − v)² + pull·Σ (u_p − goal_p)²,  v: the step from p to its neighbour q at the source of p, or the
    mean of that at the sources of both where q is hole too. Successive over-relaxation.

    Args:
        picture: float32 [H, W, 3].   hole: bool [H, W].   pixels, offsets: int32 [n, 2].   goal: float32 [n, 3].
        result: float32 [H, W, 3], the picture with a first guess in its hole.
    """
    height, width = hole.shape
    wanted = np.zeros((len(pixels), 3), np.float32)  # the divergence of v
    count = np.zeros(len(pixels), np.float32)
    number = np.full((height, width), -1, np.int32)
    for n in range(len(pixels)):
        number[pixels[n, 0], pixels[n, 1]] = n
    for n in range(len(pixels)):
        y, x = pixels[n]
        for turn in range(4):
            dy, dx = (turn - 1) * (turn % 2 == 0), (turn - 2) * (turn % 2 == 1)
            if not (0 <= y + dy < height and 0 <= x + dx < width):
                continue
            count[n] += 1
            sy, sx = y + offsets[n, 0], x + offsets[n, 1]
            other = number[y + dy, x + dx]
            mine = 0 <= sy + dy < height and 0 <= sx + dx < width and not hole[sy + dy, sx + dx]
            theirs, ty, tx = False, 0, 0
            if other >= 0:
                ty, tx = y + dy + offsets[other, 0], x + dx + offsets[other, 1]
                theirs = 0 <= ty - dy < height and 0 <= tx - dx < width and not hole[ty - dy, tx - dx]
            for c in range(3):
                step = np.float32(0)
                if mine:
                    step += picture[sy + dy, sx + dx, c] - picture[sy, sx, c]
                if theirs:
                    step += picture[ty, tx, c] - picture[ty - dy, tx - dx, c]
                if mine and theirs:
                    step *= np.float32(0.5)
                wanted[n, c] -= step
    for sweep in range(sweeps):
        for m in range(len(pixels)):
            n = m if sweep % 2 == 0 else len(pixels) - 1 - m
            y, x = pixels[n]
            for c in range(3):
                total = wanted[n, c] + pull * goal[n, c]
                if y > 0:
                    total += result[y - 1, x, c]
                if y < height - 1:
                    total += result[y + 1, x, c]
                if x > 0:
                    total += result[y, x - 1, c]
                if x < width - 1:
                    total += result[y, x + 1, c]
                found = total / (count[n] + pull)
                result[y, x, c] += np.float32(1.6) * (found - result[y, x, c])
