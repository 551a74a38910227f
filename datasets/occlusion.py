"""Where two frames of a video do not see the same: the holes that the paper's masks are made of.

With w the flow from the first frame to the second and ŵ the flow back, a pixel x of the first frame that the second
still shows comes back to where it was: w(x) + ŵ(x + w(x)) = 0, within what flows are exact to. Where it does not,

    |w + ŵ|² > 0.01 · (|w|² + |ŵ|²) + 0.5

x is occluded; with the frames exchanged, what fails is a pixel of the second that the first does not show yet. Both
together are a mask's hole. Source: Sundaram, Brox and Keutzer 2010, section 3, as Liu et al. 2018 (arXiv:1804.07723,
section 4.1) take it; the flow is OpenCV's.
"""

import cv2
import numpy as np

RELATIVE, ABSOLUTE = 0.01, 0.5  # of squared lengths; the second in px²
VOTE = 3  # px, the side of the window in which pixels vote
AGREED = 0.6  # of the votes; the threshold that the authors advise for their masks
SPECK = 0.0003  # of the picture; smaller regions are noise of the flow
LEAST_SIDE = 32  # px, below which there is no flow to speak of


def occlusion_mask(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The mask float32 [H, W], 1 = valid, whose hole is what only one of two frames uint8 [H, W] shows.

    Raises:
        ValueError: frames of different shapes, or of a side below 32 px.
    Example:
        >>> frame = np.random.default_rng(0).integers(0, 256, [64, 64], dtype=np.uint8)
        >>> bool((occlusion_mask(frame, frame) == 1).all())
        True
    """
    if first.shape != second.shape or min(first.shape) < LEAST_SIDE:
        raise ValueError(f"expected two frames of one shape, 32 px or more, got {first.shape} and {second.shape}")
    forward, backward = dense_flow(first, second), dense_flow(second, first)
    hole = cleaned(inconsistent(forward, backward)) | cleaned(inconsistent(backward, forward))
    return (~hole).astype(np.float32)


def dense_flow(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Where each pixel of the first frame uint8 [H, W] goes to: (x, y) in px, float32 [H, W, 2].

    Kroeger et al. 2016, finer than OpenCV's presets. Farneback's flow of 2003 blurs outlines: a third of the overlap.
    """
    method = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    method.setFinestScale(0)  # at full resolution, where the preset stops at half of it: outlines are all we want
    method.setPatchSize(6)
    method.setPatchStride(2)
    return method.calc(first, second, None)


def inconsistent(forward: np.ndarray, backward: np.ndarray) -> np.ndarray:
    """Of two flows [H, W, 2] in px, where the way there and back does not end where it began: bool [H, W].

    A pixel that leaves the picture is not: nothing tells whether it is still to be seen. ŵ is read between pixels,
    linearly.
    """
    height, width = forward.shape[:2]
    x, y = (np.arange(width) + forward[..., 0], np.arange(height)[:, None] + forward[..., 1])
    back = cv2.remap(backward, x.astype(np.float32), y.astype(np.float32), cv2.INTER_LINEAR)
    error, lengths = np.sum((forward + back) ** 2, axis=2), np.sum(forward**2 + back**2, axis=2)
    inside = (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
    return inside & (error > RELATIVE * lengths + ABSOLUTE)


def cleaned(found: np.ndarray) -> np.ndarray:
    """bool [H, W] without its noise: a pixel is what 60 % of those around it are, and specks go."""
    votes = cv2.blur(found.astype(np.float32), (VOTE, VOTE))
    agreed = (votes >= AGREED).astype(np.uint8)
    _, regions, facts, _ = cv2.connectedComponentsWithStats(agreed, connectivity=8)
    large = facts[:, cv2.CC_STAT_AREA] >= max(2, SPECK * found.size)
    large[0] = False  # what is not found
    return large[regions]
