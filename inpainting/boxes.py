"""Where holes are: boxes around those that are filled together, and what is around them."""

from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np

CONTEXT = (4, 32)  # pixels around a hole: so many times its depth, and so many more


@dataclass(frozen=True)
class Box:
    """Rows top to bottom and columns left to right of a picture, the last ones not included."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def slices(self) -> tuple[slice, slice]:
        return slice(self.top, self.bottom), slice(self.left, self.right)

    @property
    def pixels(self) -> int:
        return (self.bottom - self.top) * (self.right - self.left)

    def moved(self, down: int, right: int) -> "Box":
        return Box(self.top + down, self.left + right, self.bottom + down, self.right + right)

    def grown(self, by: int, height: int, width: int) -> "Box":
        """Larger by so many pixels on each side, within a picture of that size."""
        return Box(
            max(self.top - by, 0), max(self.left - by, 0), min(self.bottom + by, height), min(self.right + by, width)
        )


def box_around(marked: np.ndarray) -> Box:
    """The smallest box that holds all that is True of [H, W], which is something."""
    rows, columns = (np.flatnonzero(marked.any(axis=axis)) for axis in (1, 0))
    return Box(int(rows[0]), int(columns[0]), int(rows[-1]) + 1, int(columns[-1]) + 1)


def hole_boxes(hole: np.ndarray) -> list[tuple[Box, float]]:
    """Boxes around holes with their context, none overlapping another, and how deep the deepest hole in each is."""
    if not hole.any():
        return []
    around = box_around(hole).grown(1, *hole.shape)  # a known pixel on each side is all that depths go by
    cells = hole[around.slices].astype(np.uint8)
    depth = cv2.distanceTransform(cells, cv2.DIST_L2, 5)
    _, labels, stats, _ = cv2.connectedComponentsWithStats(cells, connectivity=8)
    deepest = np.zeros(len(stats), np.float32)
    np.maximum.at(deepest, labels[cells > 0], depth[cells > 0])
    x, y, w, h = stats[1:, :4].T
    x, y = x + around.left, y + around.top
    margin = (CONTEXT[0] * deepest[1:] + CONTEXT[1]).astype(int)
    boxes = np.stack([y - margin, x - margin, y + h + margin, x + w + margin], axis=1)
    boxes = boxes.clip(0, np.array([hole.shape * 2]).ravel())
    return [(Box(*map(int, box)), float(d)) for box, d in zip(*_merged(boxes, deepest[1:], hole.shape), strict=True)]


def tiles(mask: np.ndarray, side: int) -> Iterator[Box]:
    """Squares of a grid that hold a hole."""
    h, w = mask.shape
    for top, left in np.ndindex(-(-h // side), -(-w // side)):
        box = Box(top * side, left * side, min((top + 1) * side, h), min((left + 1) * side, w))
        if not mask[box.slices].all():
            yield box


def _merged(boxes: np.ndarray, depths: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Boxes [n, 4] that touch, to the nearest cell of a coarse grid, put into one, until none do."""
    cell = 16
    while True:
        grid = np.zeros([-(-size[0] // cell), -(-size[1] // cell)], np.uint8)
        for top, left, bottom, right in boxes // cell:
            grid[top : bottom + 1, left : right + 1] = 1
        count, labels = cv2.connectedComponents(grid, connectivity=8)
        of_box = labels[boxes[:, 0] // cell, boxes[:, 1] // cell] - 1
        union = np.empty([count - 1, 4], int)
        union[:, :2], union[:, 2:] = max(size), 0
        np.minimum.at(union[:, :2], of_box, boxes[:, :2])
        np.maximum.at(union[:, 2:], of_box, boxes[:, 2:])
        deepest = np.zeros(count - 1)
        np.maximum.at(deepest, of_box, depths)
        if len(union) == len(boxes):
            return boxes, depths
        boxes, depths = union, deepest
