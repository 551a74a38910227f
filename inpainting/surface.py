"""The smooth prior (``models.smooth_prior``) in OpenCV's operations, for pictures of any size at little cost.

The same pyramid, first guesses and steps, so the same surface to about 1e-5; several times faster than Paddle's
operations on a processor, and in place. Here it joins fills to pictures; in networks it is made of tensors.
"""

import cv2
import numpy as np

from inpainting.boxes import box_around

STEPS = 30
COARSEST, MOMENTUM, STEP = 2, 0.9, 1.71  # as in models.smooth_prior, which cannot be imported without Paddle


def smooth_surface(image: np.ndarray, mask: np.ndarray, order: int = 2, steps: int = STEPS) -> np.ndarray:
    """The picture with its holes filled by a thin plate (order 2) or a membrane (order 1).

    Shape:
        image: float32 [H, W, C], any range, 0 in holes.   mask: float32 [H, W], {0, 1}, 1 = valid.
        Returns float32 [H, W, C], equal to ``image`` where ``mask`` is 1; 0 where there is no known pixel at all.
    """
    levels = [(image, mask)]
    while min(levels[-1][1].shape) > COARSEST:
        levels.append(halve(*levels[-1]))
    surface = None
    for known, mask in reversed(levels):
        if surface is None:
            guess = np.broadcast_to(known.sum(axis=(0, 1)) / max(mask.sum(), 1), known.shape)
        else:
            guess = enlarge(surface, *mask.shape)
        surface = relax(np.where(mask[..., None] > 0, known, guess), mask, order, steps)
    return surface


def surfaces_over(image: np.ndarray, mask: np.ndarray, guide: np.ndarray | None) -> np.ndarray:
    """What ``models.unet.smooth_surfaces`` makes, for one picture: [H, W, 3] twice and [H, W] to [H, W, 6]."""
    from models.unet import PRIOR_STEPS  # needs Paddle, which classical methods do without

    guide = np.zeros_like(image) if guide is None else guide
    error = (image - guide) * mask[..., None]
    surfaces = [guide + smooth_surface(error, mask, order, steps) for order, steps in PRIOR_STEPS.items()]
    return np.concatenate(surfaces, axis=2).clip(0, 1)


def halve(known: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Means of the known pixels of 2×2 and their mask: [H, W, C] and [H, W] to [⌈H/2⌉, ⌈W/2⌉, C] and [⌈H/2⌉, ⌈W/2⌉].

    The partner of a last odd row or column is hole. ``known`` is 0 in holes, and so is the result.
    """
    mean, share = halve_sums(known, mask)
    return mean / np.maximum(share, 0.25)[..., None], np.sign(share)


def halve_sums(known: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Means of 2×2 with 0 for holes, of both arrays; sizes as in ``halve``."""
    h, w = mask.shape
    pad = (0, h % 2, 0, w % 2, cv2.BORDER_CONSTANT)
    size = (-(-w // 2), -(-h // 2))
    known, mask = (
        cv2.resize(cv2.copyMakeBorder(a, *pad, value=0) if h % 2 or w % 2 else a, size, interpolation=cv2.INTER_AREA)
        for a in (known, mask)
    )
    return known.reshape(*mask.shape, -1), mask


def enlarge(surface: np.ndarray, height: int, width: int) -> np.ndarray:
    """Bicubic ×2, a = −0.75, between pixel centres, the border repeated; cut to height and width."""
    h, w, c = surface.shape
    larger = cv2.resize(surface, (2 * w, 2 * h), interpolation=cv2.INTER_CUBIC).reshape(2 * h, 2 * w, c)
    return larger[:height, :width]


def relax(u: np.ndarray, mask: np.ndarray, order: int, steps: int) -> np.ndarray:
    """Steps of heavy ball in the holes, in place: u [H, W, C], mask [H, W]."""
    hole = 1 - mask
    if not hole.any():
        return u
    at = box_around(hole).grown(order, *mask.shape).slices  # a force comes from no further
    part, hole = u[at], hole[at]
    rate = np.float32(STEP / 8 if order == 1 else -STEP / 64)
    by_rate = np.repeat(hole[..., None] * rate, u.shape[2], axis=2)
    v = np.zeros_like(part)
    for _ in range(steps):
        force = _laplacian(part) if order == 1 else _laplacian(_laplacian(part))
        force *= by_rate
        v *= np.float32(MOMENTUM)
        v += force
        part += v
    return u


def _laplacian(u: np.ndarray) -> np.ndarray:
    return cv2.Laplacian(u, cv2.CV_32F, ksize=1, borderType=cv2.BORDER_REPLICATE).reshape(u.shape)
