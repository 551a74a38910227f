"""Classical inpainting methods, the baselines that need no training.

Each takes a picture (uint8 [H, W, 3], RGB) and its hole (bool [H, W], True = to be filled) and returns a new uint8
[H, W, 3]; known pixels come back untouched. All raise ``InputError`` when the hole leaves no valid pixel.
"""

from collections.abc import Callable
from types import ModuleType

import cv2
import numpy as np
from skimage.restoration import inpaint_biharmonic

from inpainting.boxes import hole_boxes
from inpainting.surface import smooth_surface
from utils.errors import InputError

RADIUS = 3  # pixels, OpenCV's usual neighbourhood
PATCH_RADIUS = 3  # pixels: patches of 7x7

Fill = Callable[[np.ndarray, np.ndarray], np.ndarray]


def telea(picture: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """Fast marching (Telea 2004), OpenCV's, radius 3."""
    return _filled(picture, hole, lambda known: _opencv(known, hole, cv2.INPAINT_TELEA))


def navier_stokes(picture: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """Fluid dynamics (Bertalmio et al. 2001), OpenCV's, radius 3."""
    return _filled(picture, hole, lambda known: _opencv(known, hole, cv2.INPAINT_NS))


def biharmonic(picture: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """The smoothest surface through the valid pixels (Damelin and Hoang 2018), scikit-image's.

    One sparse system over all hole pixels: about a second for a 512 × 512 picture with 40 % of hole on one core,
    ten times what the two OpenCV methods take.
    """
    return _filled(picture, hole, lambda known: np.rint(255 * inpaint_biharmonic(known, hole, channel_axis=2)))


def smooth(picture: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """The smooth prior, a thin plate by 30 steps (``inpainting.surface``).

    Nearly the surface of ``biharmonic``, in less than a tenth of the time.
    """

    def fill(known: np.ndarray) -> np.ndarray:
        surface = smooth_surface(known.astype(np.float32) / 255, (~hole).astype(np.float32))
        return np.rint(255 * surface.clip(0, 1))

    return _filled(picture, hole, fill)


def mean(picture: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """Each channel's mean over the valid pixels: any method should do better."""
    return _filled(picture, hole, lambda known: np.rint(known[~hole].mean(axis=0)))


def patchmatch(picture: np.ndarray, hole: np.ndarray) -> np.ndarray:
    """PatchMatch (Barnes et al. 2009), PyPatchMatch's: patches of 7x7 copied from the picture, the same each run."""
    library = patchmatch_library()
    library.set_random_seed(0)
    return _filled(picture, hole, lambda known: library.inpaint(known, hole, patch_size=PATCH_RADIUS))


def patchmatch_library() -> ModuleType:
    """PyPatchMatch, which is optional."""
    try:
        from patchmatch import patch_match
    except ImportError:
        patch_match = None
    if patch_match is None or not patch_match.patchmatch_available:
        raise InputError("patchmatch needs the package pypatchmatch (2.2 or newer): pip install pypatchmatch")
    return patch_match


CLASSICAL: dict[str, Fill] = {
    "telea": telea,
    "navier_stokes": navier_stokes,
    "biharmonic": biharmonic,
    "smooth": smooth,
    "patchmatch": patchmatch,
    "mean": mean,
}


def _opencv(known: np.ndarray, hole: np.ndarray, method: int) -> np.ndarray:
    """OpenCV's inpainting in a box around each hole: the same bytes, without its memory for a whole large picture."""
    filled = known.copy()
    for box, _ in hole_boxes(hole):
        inside = np.ascontiguousarray(known[box.slices])
        filled[box.slices] = cv2.inpaint(inside, hole[box.slices].astype(np.uint8), RADIUS, method)
    return filled


def _filled(picture: np.ndarray, hole: np.ndarray, fill: Callable[[np.ndarray], np.ndarray]) -> np.ndarray:
    if hole.all():
        raise InputError("the hole covers the whole picture, so nothing is left to fill it from: choose a smaller hole")
    if not hole.any():
        return picture.copy()
    known = np.where(
        hole[..., None], np.uint8(0), picture
    )  # OpenCV's methods let a hole's content shine through faintly
    return np.where(hole[..., None], fill(known), picture).astype(np.uint8)
