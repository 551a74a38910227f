"""Super-resolution by inpainting: a small picture's pixels on the grid of a large one, the hole between them filled.

The grid is that of ``datasets.super_resolution``. Interpolation, the baseline without training, uses the same grid, so
every method gets the same input and keeps the known pixels. Resizing by a library does not: for an even factor it
shifts the small picture by half a pixel.
"""

import functools
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from datasets.images import MAX_PIXELS
from datasets.photographs import Photograph
from datasets.super_resolution import lattice, shrink, spread
from inpainting.classical import Fill
from inpainting.views import LONGEST
from utils.errors import InputError

BYTES_A_PIXEL = 40  # of the large picture: itself, mask, hole, and two pictures in float32


def cubic(t: np.ndarray) -> np.ndarray:
    """The kernel of bicubic interpolation at distances ``t`` of pixels; Keys 1981 with a = -1/2."""
    t = np.abs(t)
    near, far = (1.5 * t - 2.5) * t * t + 1, ((2.5 - 0.5 * t) * t - 4) * t + 2
    return np.where(t < 1, near, np.where(t < 2, far, 0))


def lanczos(t: np.ndarray) -> np.ndarray:
    """The kernel of Lanczos interpolation over three pixels on each side."""
    return np.where(np.abs(t) < 3, np.sinc(t) * np.sinc(t / 3), 0)


KERNELS: dict[str, tuple[Callable[[np.ndarray], np.ndarray], int]] = {"bicubic": (cubic, 2), "lanczos": (lanczos, 3)}
INTERPOLATIONS = ("nearest", *KERNELS)


def interpolate(small: np.ndarray, factor: int, name: str) -> np.ndarray:
    """The small picture enlarged by one of ``INTERPOLATIONS``; its border pixels are repeated outwards.

    Shape:
        small: uint8 [h, w] or [h, w, C]. Returns uint8 of K·h and K·w; at ``lattice`` the small picture's own pixels.
    """
    if name == "nearest":
        return small.repeat(factor, axis=0).repeat(factor, axis=1)
    rows = _along_rows(small.astype(np.float32), factor, *KERNELS[name])
    both = _along_rows(rows.swapaxes(0, 1), factor, *KERNELS[name]).swapaxes(0, 1)
    return np.rint(both.clip(0, 255)).astype(np.uint8)


def _along_rows(small: np.ndarray, factor: int, kernel: Callable, reach: int) -> np.ndarray:
    """float32 [h, w, ...] to [K·h, w, ...]: each row a sum of the ``reach`` nearest ones on both sides."""
    at = (np.arange(factor * len(small)) - factor // 2) / factor  # rows of the small picture
    taps = np.floor(at).astype(int)[:, None] + np.arange(1 - reach, 1 + reach)
    weights = kernel(at[:, None] - taps)
    weights = (weights / weights.sum(axis=1, keepdims=True)).astype(np.float32)
    taps = taps.clip(0, len(small) - 1)
    shape = (-1,) + (1,) * (small.ndim - 1)
    return sum(weights[:, i].reshape(shape) * small[taps[:, i]] for i in range(2 * reach))


def _interpolated(picture: np.ndarray, hole: np.ndarray, name: str, factor: int) -> np.ndarray:
    return np.where(hole[..., None], interpolate(shrink(picture, factor), factor, name), picture)


def filling(name: str, factor: int) -> Fill:
    """An interpolation as a method that fills holes; only those of ``lattice``."""
    return functools.partial(_interpolated, name=name, factor=factor)


def spread_photograph(photograph: Photograph, factor: int) -> tuple[Photograph, np.ndarray]:
    """A small photograph on the grid of a large one, its transparency enlarged, and the hole between.

    Shape:
        Returns the photograph, pixels [K·h, K·w, 3] with 0 in the hole, and the hole, bool [K·h, K·w].
    """
    height, width = (factor * side for side in photograph.size)
    if height * width > MAX_PIXELS:
        raise InputError(
            f"expected a result of {MAX_PIXELS // 10**6} million pixels at most, got {width}x{height} by "
            f"--super_resolution {factor}: take a smaller factor"
        )
    alpha = None if photograph.alpha is None else interpolate(photograph.alpha, factor, "bicubic")
    return replace(photograph.with_pixels(spread(photograph.pixels, factor)), alpha=alpha), lattice(
        height, width, factor
    ) == 0


def compared(small: np.ndarray, factor: int, result: np.ndarray) -> np.ndarray:
    """Nearest, bicubic and the result side by side, for viewing.

    Of large pictures only the middle, ``LONGEST`` pixels a side: shrunk they would look alike.

    Shape:
        small: uint8 [h, w, 3].   result: uint8 [K·h, K·w, 3]. Returns uint8 [H, 3·W, 3].
    """
    rows, columns = (slice(max(side - LONGEST, 0) // 2, (side + LONGEST) // 2) for side in result.shape[:2])
    shown = (*(interpolate(small, factor, name) for name in ("nearest", "bicubic")), result)
    return np.concatenate([picture[rows, columns] for picture in shown], axis=1)
