"""Super-resolution by inpainting: a small picture's pixels on the grid of a large one, the hole between them filled.

The grid is that of ``datasets.super_resolution``. Interpolation, the baseline without training, uses the same grid, so
every method gets the same input and keeps the known pixels: Pillow resizes a box shifted by half a pixel for even
factors, which it would put elsewhere.
"""

from dataclasses import replace

import numpy as np
from PIL import Image

from datasets.photographs import Photograph
from datasets.super_resolution import lattice, shrink, spread
from inpainting.photographs import refuse_too_large

# Keys 1981, a = -1/2; three pixels.
KERNELS = {"bicubic": Image.Resampling.BICUBIC, "lanczos": Image.Resampling.LANCZOS}
INTERPOLATIONS = ("nearest", *KERNELS)
BORDER = 3  # pixels that a kernel reaches


def interpolate(small: np.ndarray, factor: int, name: str) -> np.ndarray:
    """The small picture enlarged by one of ``INTERPOLATIONS``; its border pixels are repeated outwards.

    Shape:
        small: uint8 [h, w] or [h, w, C]. Returns uint8 of K·h and K·w; at ``lattice`` the small picture's own pixels.
    """
    if name == "nearest":
        return small.repeat(factor, axis=0).repeat(factor, axis=1)
    height, width = small.shape[:2]
    start = BORDER + 0.5 - (factor // 2 + 0.5) / factor  # so that known pixels lie on the lattice
    box, size = (start, start, start + width, start + height), (factor * width, factor * height)
    planes = np.pad(np.atleast_3d(small).astype(np.float32), [(BORDER, BORDER)] * 2 + [(0, 0)], mode="edge")
    large = [np.asarray(Image.fromarray(plane).resize(size, KERNELS[name], box)) for plane in np.moveaxis(planes, 2, 0)]
    return np.rint(np.stack(large, axis=2).clip(0, 255)).astype(np.uint8).reshape(*size[::-1], *small.shape[2:])


def fill_between(picture: np.ndarray, hole: np.ndarray, name: str, factor: int) -> np.ndarray:
    """An interpolation as a method that fills holes; only those of ``lattice``."""
    return np.where(hole[..., None], interpolate(shrink(picture, factor), factor, name), picture)


def spread_photograph(photograph: Photograph, factor: int) -> tuple[Photograph, np.ndarray]:
    """A small photograph on the grid of a large one, its transparency enlarged, and the hole between.

    Shape:
        Returns the photograph, pixels [K·h, K·w, 3] with 0 in the hole, and the hole, bool [K·h, K·w].
    """
    height, width = (factor * side for side in photograph.size)
    refuse_too_large(height, width)
    alpha = None if photograph.alpha is None else interpolate(photograph.alpha, factor, "bicubic")
    large = replace(photograph, pixels=spread(photograph.pixels, factor), alpha=alpha)
    return large, lattice(height, width, factor) == 0
