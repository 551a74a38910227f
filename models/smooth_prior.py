"""The smooth prior: the smoothest surface through the known pixels, from which a network starts in its holes.

Of order 2 it minimises ∫|Δu|² (a thin plate, as in biharmonic inpainting), of order 1 ∫|∇u|² (a membrane, which does
not overshoot). A pyramid of masked 2×2 means, that is, partial convolutions with a fixed filter, goes down to two
pixels; upwards each level starts from the coarser one enlarged by two (bicubic) in its holes and takes ``steps`` steps
of heavy ball::

    order 2:  v ← (0.9·v − 1.71/64·Δ²u)·hole;  u ← u + v
    order 1:  v ← (0.9·v + 1.71/8·Δu)·hole;    u ← u + v

Δ is the five-point stencil over a border that repeats the outermost pixels. 10 steps are 0.2 to 1 dB below the exact
surface, 30 steps 0.05 to 0.4 dB, 100 are equal to it.

Δ is computed in two ways, with the same result. Eagerly, on pictures laid out in one row, each line and each picture
followed by zeros: a shift is then a contiguous slice, which Paddle does not copy. In a graph being exported, inside a
loop, as a convolution over blocks of 4×4 pixels as channels: oneDNN is fast at that, and eager Paddle three times
slower than in a row. The number of levels is fixed in a graph, and levels that are too small are passed through.
"""

import numpy as np
import paddle
import paddle.nn.functional as F

from .partial_conv import _no_amp, _spatial_size

MOMENTUM, STEP = 0.9, 1.71  # of the largest step that is stable, 1/64 for Δ² and 1/8 for Δ
COARSEST = 2  # pixels of a side
EXPORTED_LEVELS = 9  # of an exported graph: all of them up to 512 pixels, beyond that its coarsest has more than two
AT_ONCE = 1 << 16  # pixels that are relaxed together on CPU: several arrays of them fit the cache
BLOCK = 4


def smooth_prior(image: paddle.Tensor, mask: paddle.Tensor, order: int = 2, steps: int = 30) -> paddle.Tensor:
    """The picture with its holes filled by a smooth surface.

    Args:
        order: 2 for the thin plate, 1 for the membrane.
        steps: of descent at each level of the pyramid.
    Shape:
        image: [N, C, H, W] float, any range, any H and W; its values in holes do not matter.
        mask: [N, 1, H, W], {0, 1}, 1 = valid.
        Returns [N, C, H, W] float32, equal to ``image`` where ``mask`` is 1; 0 where a picture has no known pixel at
        all. It has no gradient.
    Example:
        >>> mask = paddle.ones([1, 1, 8, 8])
        >>> mask[:, :, 2:5, 3:6] = 0
        >>> bool(paddle.allclose(smooth_prior(paddle.full([1, 3, 8, 8], 0.25), mask), paddle.full([1, 3, 8, 8], 0.25)))
        True
    """
    with paddle.no_grad(), _no_amp():
        mask = mask.astype("float32").tile([1, image.shape[1], 1, 1])
        known = paddle.where(mask > 0, image.astype("float32"), paddle.zeros_like(mask))
        levels = _pyramid(*(t.flatten(0, 1).unsqueeze(1) for t in (known, mask)))  # [N·C, 1, H, W]
        surface = None
        for known, mask in reversed(levels):
            hole = 1 - mask
            surface = _relax(known + _first_guess(surface, known, mask) * hole, hole, order, steps)
        return surface.reshape([-1, image.shape[1], *_spatial_size(image)])


def _pyramid(known: paddle.Tensor, mask: paddle.Tensor) -> list[tuple[paddle.Tensor, paddle.Tensor]]:
    """Means of the known pixels of 2×2, with their masks, until a side has two pixels; known is 0 in holes."""
    levels = [(known, mask)]
    while min(known.shape[2:]) > COARSEST if paddle.in_dynamic_mode() else len(levels) < EXPORTED_LEVELS:
        known, mask = _halve(known, mask)
        levels.append((known, mask))
    return levels


def _halve(known: paddle.Tensor, mask: paddle.Tensor) -> tuple[paddle.Tensor, paddle.Tensor]:
    """[M, 1, H, W] twice to [M, 1, ⌈H/2⌉, ⌈W/2⌉] twice; the partner of a last odd row or column is hole."""
    box = paddle.ones([1, 1, 2, 2], "float32")
    total, count = (F.conv2d(t, box, stride=2, padding=[0, 1, 0, 1]) for t in (known, mask))
    return total / count.clip(min=1.0), (count > 0.5).astype("float32")


def _mean(known: paddle.Tensor, mask: paddle.Tensor) -> paddle.Tensor:
    """Each picture's mean over its known pixels, at its size."""
    mean = known.sum(axis=[2, 3], keepdim=True) / mask.sum(axis=[2, 3], keepdim=True).clip(min=1.0)
    return mean * _ones_like(mask)


def _first_guess(coarser: paddle.Tensor | None, known: paddle.Tensor, mask: paddle.Tensor) -> paddle.Tensor:
    """The coarser level's surface enlarged; at the coarsest level the mean."""
    if coarser is None:
        return _mean(known, mask)
    height, width = _spatial_size(known)
    guess = _enlarge(coarser, height, width)
    if paddle.in_dynamic_mode():
        return guess
    is_coarsest = (paddle.minimum(height, width) <= COARSEST).astype("float32") * _ones_like(mask)
    return guess + is_coarsest * (_mean(known, mask) - guess)


def _enlarge(surface: paddle.Tensor, height: int, width: int) -> paddle.Tensor:
    """Bicubic ×2, a = −0.75, between pixel centres, the border repeated; [M, 1, h, w] cut to height and width."""
    phases = F.conv2d(F.pad(surface, [2, 2, 2, 2], mode="replicate"), paddle.to_tensor(_BICUBIC))
    return F.pixel_shuffle(phases, 2)[:, :, :height, :width]


def _relax(surface: paddle.Tensor, hole: paddle.Tensor, order: int, steps: int) -> paddle.Tensor:
    """Steps of heavy ball in the holes; [M, 1, H, W] twice to [M, 1, H, W]."""
    if not paddle.in_dynamic_mode():
        return _relax_in_blocks(surface, hole, order, steps)
    on_cpu = surface.place.is_cpu_place()
    many = max(1, AT_ONCE // (surface.shape[2] * surface.shape[3])) if on_cpu else surface.shape[0]
    parts = [
        _relax_in_a_row(surface[i : i + many, 0], hole[i : i + many, 0], order, steps)
        for i in range(0, surface.shape[0], many)
    ]
    return paddle.concat(parts, axis=0).unsqueeze(1)


def _relax_in_a_row(surface: paddle.Tensor, hole: paddle.Tensor, order: int, steps: int) -> paddle.Tensor:
    """``_relax`` of [M, H, W]. u, v, Δu are all [M·(H+1)·(W+1)], a zero behind each line and a line of them behind
    each picture; Δu = Σ neighbours − count·u there, since neighbours beyond the border are 0."""
    m, h, w = surface.shape
    line = w + 1
    inside = _in_a_row(paddle.ones([1, h, w], "float32"))
    count = (_neighbours(inside, line) * inside).tile([m])
    inside = inside.tile([m])
    u, hole = _in_a_row(surface), _in_a_row(hole)
    by_neighbours = hole * (STEP / 8 if order == 1 else -STEP / 64)
    by_itself = by_neighbours * count
    v = paddle.zeros_like(u)
    for _ in range(steps):
        t = u if order == 1 else _neighbours(u, line) * inside - count * u
        v = MOMENTUM * v + by_neighbours * _neighbours(t, line) - by_itself * t
        u = u + v
    return u.reshape([m, h + 1, line])[:, :h, :w]


def _in_a_row(x: paddle.Tensor) -> paddle.Tensor:
    """[M, H, W] to [M·(H+1)·(W+1)]."""
    return F.pad(x.unsqueeze(1), [0, 1, 0, 1]).flatten()


def _neighbours(x: paddle.Tensor, line: int) -> paddle.Tensor:
    """Sum of the four neighbours of each element of a row of lines; x: [P] to [P]."""
    p, zeros = x.shape[0], paddle.zeros([line], x.dtype)
    x = paddle.concat([zeros, x, zeros])
    return x[:p] + x[2 * line :] + (x[line - 1 : line - 1 + p] + x[line + 1 : line + 1 + p])


def _relax_in_blocks(surface: paddle.Tensor, hole: paddle.Tensor, order: int, steps: int) -> paddle.Tensor:
    """``_relax`` in a graph being exported: all is [M, 16, ⌈H/4⌉, ⌈W/4⌉], zeros beyond the picture."""
    u, inside, hole = (_in_blocks(t) for t in (surface, _ones_like(hole), hole))
    stencil = paddle.to_tensor(_BLOCK_STENCIL)
    count = F.conv2d(inside, stencil, padding=1) * inside
    by_neighbours = hole * (STEP / 8 if order == 1 else -STEP / 64)
    by_itself = by_neighbours * count

    def step(i, u, v):
        t = u if order == 1 else F.conv2d(u, stencil, padding=1) * inside - count * u
        v = v * MOMENTUM + by_neighbours * F.conv2d(t, stencil, padding=1) - by_itself * t
        return [i + 1, u + v, v]

    start = [paddle.zeros([1], "int32"), u, u * 0]
    _, u, _ = paddle.static.nn.while_loop(lambda i, u, v: i < steps, step, start)
    height, width = _spatial_size(surface)
    return F.pixel_shuffle(u, BLOCK)[:, :, :height, :width]


def _ones_like(x: paddle.Tensor) -> paddle.Tensor:
    """By arithmetic: of such features paddle2onnx misreads the free sizes in ``ones_like`` and ``expand_as``."""
    return x * 0 + 1


def _in_blocks(x: paddle.Tensor) -> paddle.Tensor:
    """[M, 1, H, W] to [M, 16, ⌈H/4⌉, ⌈W/4⌉]."""
    each = np.eye(BLOCK**2, dtype="float32").reshape(BLOCK**2, 1, BLOCK, BLOCK)
    return F.conv2d(x, paddle.to_tensor(each), stride=BLOCK, padding=[0, BLOCK - 1, 0, BLOCK - 1])


def _block_stencil() -> np.ndarray:
    """Filter [16, 16, 3, 3] that sums the four neighbours of each pixel of blocks of 4×4."""
    filters = np.zeros([BLOCK, BLOCK, BLOCK, BLOCK, 3, 3], "float32")  # pixel of the sum, pixel summed, blocks off
    for y, x in np.ndindex(BLOCK, BLOCK):
        for at_y, at_x in ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)):
            filters[y, x, at_y % BLOCK, at_x % BLOCK, at_y // BLOCK + 1, at_x // BLOCK + 1] = 1
    return filters.reshape(BLOCK**2, BLOCK**2, 3, 3)


_BLOCK_STENCIL = _block_stencil()


def _bicubic_phases() -> np.ndarray:
    """Filters [4, 1, 5, 5] of the four pixels that one is enlarged to."""
    a = -0.75
    near, far = (lambda d: (a + 2) * d**3 - (a + 3) * d**2 + 1), (lambda d: a * (d**3 - 5 * d**2 + 8 * d - 4))
    first = np.array([far(1.75), near(0.75), near(0.25), far(1.25), 0])  # at −1/4 pixel: taps −2, −1, 0, 1
    taps = np.stack([first, first[::-1]])
    return np.einsum("py,qx->pqyx", taps, taps).reshape(4, 1, 5, 5).astype("float32")


_BICUBIC = _bicubic_phases()
