"""The smooth prior: the smoothest surface through the known pixels, from which a network starts in its holes.

Of order 2 it minimises ∫|Δu|² (a thin plate, as in biharmonic inpainting), of order 1 ∫|∇u|² (a membrane, which does
not overshoot). A pyramid of masked 2×2 means, that is, partial convolutions with a fixed filter, goes down to two
pixels; upwards each level starts from the coarser one enlarged by two (bicubic) in its holes and takes ``steps`` steps
of heavy ball::

    order 2:  v ← (0.9·v − 1.71/64·Δ²u)·hole;  u ← u + v
    order 1:  v ← (0.9·v + 1.71/8·Δu)·hole;    u ← u + v

Δ is the five-point stencil over a border that repeats the outermost pixels. 10 steps are 0.2 to 1 dB below the exact
surface, 30 steps 0.05 to 0.4 dB, 100 are equal to it.

Δ is a 3×3 convolution that sums the four neighbours, minus their count times the pixel; the border has fewer. In TF32,
which NVIDIA GPUs may convolve in, the surface differs by up to 2e-3, on average by 1e-4. In a graph being exported sizes
are free, so the number of levels is fixed, and levels that are too small are passed through.
"""

from collections.abc import Callable

import numpy as np
import paddle
import paddle.nn.functional as F

from .partial_conv import _no_amp, _spatial_size

MOMENTUM, STEP = 0.9, 1.71  # of the largest step that is stable, 1/64 for Δ² and 1/8 for Δ
COARSEST = 2  # pixels of a side
EXPORTED_LEVELS = 9  # of an exported graph: all of them up to 512 pixels, beyond that its coarsest has more than two
_NEIGHBOURS = np.array([[[[0, 1, 0], [1, 0, 1], [0, 1, 0]]]], "float32")  # a filter


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
    neighbours = paddle.to_tensor(_NEIGHBOURS)
    count = F.conv2d(_ones_like(hole), neighbours, padding=1)
    rate = hole * (STEP / 8 if order == 1 else -STEP / 64)

    def step(u, v):
        force = u
        for _ in range(order):
            force = F.conv2d(force, neighbours, padding=1) - count * force
        v = MOMENTUM * v + rate * force
        return u + v, v

    return _repeat(step, steps, surface, surface * 0)


def _repeat(step: Callable, steps: int, u: paddle.Tensor, v: paddle.Tensor) -> paddle.Tensor:
    """u after ``steps`` times ``u, v = step(u, v)``; in a graph being exported as a loop in the graph."""
    if not paddle.in_dynamic_mode():
        start = [paddle.zeros([1], "int32"), u, v]
        return paddle.static.nn.while_loop(lambda i, u, v: i < steps, lambda i, u, v: [i + 1, *step(u, v)], start)[1]
    for _ in range(steps):
        u, v = step(u, v)
    return u


def _ones_like(x: paddle.Tensor) -> paddle.Tensor:
    """By arithmetic: of such features paddle2onnx misreads the free sizes in ``ones_like`` and ``expand_as``."""
    return x * 0 + 1


def _bicubic_phases() -> np.ndarray:
    """Filters [4, 1, 5, 5] of the four pixels that one is enlarged to."""
    a = -0.75
    near, far = (lambda d: (a + 2) * d**3 - (a + 3) * d**2 + 1), (lambda d: a * (d**3 - 5 * d**2 + 8 * d - 4))
    first = np.array([far(1.75), near(0.75), near(0.25), far(1.25), 0])  # at −1/4 pixel: taps −2, −1, 0, 1
    taps = np.stack([first, first[::-1]])
    return np.einsum("py,qx->pqyx", taps, taps).reshape(4, 1, 5, 5).astype("float32")


_BICUBIC = _bicubic_phases()
