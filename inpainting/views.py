"""Pictures for viewing: input, mask, output and result side by side."""

import cv2
import numpy as np

LONGEST = 1024  # pixels of a side; limits the memory of a single pass of the network


def for_viewing(
    pixels: np.ndarray, hole: np.ndarray, result: np.ndarray, longest: int = LONGEST
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Picture, hole and result, shrunk to at most ``longest`` pixels a side; a pixel with any hole in it is hole.

    Shape:
        pixels, result: uint8 [H, W, 3].   hole: bool [H, W].
    """
    height, width = hole.shape
    share = longest / max(height, width)
    if share >= 1:
        return pixels, hole, result
    size = max(round(width * share), 1), max(round(height * share), 1)
    pixels, result = (cv2.resize(picture, size, interpolation=cv2.INTER_AREA) for picture in (pixels, result))
    return pixels, cv2.resize(hole.astype(np.float32), size, interpolation=cv2.INTER_AREA) > 0, result


def sample_row(
    gt: np.ndarray, mask: np.ndarray, views: dict[str, np.ndarray], result: np.ndarray | None = None
) -> np.ndarray:
    """Input (hole white), mask (hole white), the views, result and truth side by side: uint8 [H, k·W, 3].

    Args:
        views: what ``Inpainter.views`` gives.
        result: the filled picture; the composite of the view ``output`` when not given.
    """
    hole = (mask == 0)[..., None]
    shown_mask = np.repeat(np.where(hole, 255, 0).astype(np.uint8), 3, axis=2)
    masked = np.where(hole, 255, gt).astype(np.uint8)
    result = np.where(hole, views["output"], gt) if result is None else result
    return np.concatenate([masked, shown_mask, *views.values(), result, gt], axis=1)
