"""Occlusion between two frames of a video, from which the paper's masks are made.

With w the flow from the first frame to the second and ŵ the flow back, a pixel x that both frames show returns to its
place: w(x) + ŵ(x + w(x)) = 0, up to the flows' errors. Where

    |w + ŵ|² > 0.01 · (|w|² + |ŵ|²) + 0.5

x is occluded. With the frames exchanged, the same test finds pixels that only the second frame shows. Both together are
the hole. Source: Sundaram, Brox and Keutzer 2010, section 3, as Liu et al. 2018 (arXiv:1804.07723,
section 4.1) take it; the flow is OpenCV's.
"""

import cv2
import numpy as np

RELATIVE, ABSOLUTE = 0.01, 0.5  # of squared lengths; the second in px²
VOTE = 3  # px, the side of the window in which pixels vote
AGREED = 0.6  # of the votes; the threshold that the authors advise for their masks
SPECK = 0.0003  # of the picture; smaller regions are noise of the flow
LEAST_SIDE = 32  # px


def occlusion_mask(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The mask float32 [H, W], 1 = valid, whose hole is visible in only one of two frames uint8 [H, W].

    Raises:
        ValueError: frames of different shapes, or of a side below 32 px.
    """
    if first.shape != second.shape or min(first.shape) < LEAST_SIDE:
        raise ValueError(f"expected two frames of one shape, 32 px or more, got {first.shape} and {second.shape}")
    forward, backward = dense_flow(first, second), dense_flow(second, first)
    hole = cleaned(inconsistent(forward, backward)) | cleaned(inconsistent(backward, forward))
    return (~hole).astype(np.float32)


def dense_flow(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Optical flow between frames uint8 [H, W]: (x, y) in px, float32 [H, W, 2].

    DIS flow (Kroeger et al. 2016), finer than OpenCV's presets; Farneback's blurs outlines.
    """
    method = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    method.setFinestScale(0)  # full resolution (the preset stops at half), for exact outlines
    method.setPatchSize(6)
    method.setPatchStride(2)
    return method.calc(first, second, None)


def inconsistent(forward: np.ndarray, backward: np.ndarray) -> np.ndarray:
    """Where forward and backward flow [H, W, 2] in px do not cancel: bool [H, W].

    False where the flow leaves the picture, since nothing is known there. ŵ is interpolated linearly.
    """
    height, width = forward.shape[:2]
    x, y = (np.arange(width) + forward[..., 0], np.arange(height)[:, None] + forward[..., 1])
    back = cv2.remap(backward, x.astype(np.float32), y.astype(np.float32), cv2.INTER_LINEAR)
    error, lengths = np.sum((forward + back) ** 2, axis=2), np.sum(forward**2 + back**2, axis=2)
    inside = (x >= 0) & (x <= width - 1) & (y >= 0) & (y <= height - 1)
    return inside & (error > RELATIVE * lengths + ABSOLUTE)


def cleaned(found: np.ndarray) -> np.ndarray:
    """bool [H, W] without noise: a vote of each pixel's neighbourhood, then small regions are removed."""
    votes = cv2.blur(found.astype(np.float32), (VOTE, VOTE))
    agreed = (votes >= AGREED).astype(np.uint8)
    _, regions, facts, _ = cv2.connectedComponentsWithStats(agreed, connectivity=8)
    large = facts[:, cv2.CC_STAT_AREA] >= max(2, SPECK * found.size)
    large[0] = False  # the background
    return large[regions]
