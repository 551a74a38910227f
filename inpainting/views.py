"""A filled picture beside what it was made of, for viewing."""

import numpy as np


def sample_row(gt: np.ndarray, mask: np.ndarray, views: dict[str, np.ndarray]) -> np.ndarray:
    """Input (hole white), mask (hole white), the views, composite and truth side by side: uint8 [H, k·W, 3].

    Args:
        views: what ``Inpainter.views`` gives.
    """
    hole = (mask == 0)[..., None]
    shown_mask = np.repeat(np.where(hole, 255, 0).astype(np.uint8), 3, axis=2)
    masked, composite = np.where(hole, 255, gt).astype(np.uint8), np.where(hole, views["output"], gt)
    return np.concatenate([masked, shown_mask, *views.values(), composite, gt], axis=1)
