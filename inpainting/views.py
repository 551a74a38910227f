"""A filled picture beside what it was made of, for viewing."""

import numpy as np


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
