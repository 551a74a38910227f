"""Where a photograph is to be filled: hole bool [H, W], True = to be filled.

It comes from a mask file, a picture's transparency, a colour painted into a picture, boxes or polygons. Coordinates are
pixels of the upright picture, x to the right and y down from the top left corner.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from datasets.images import read_picture
from datasets.masks import grow_into, hole_from_levels, outline, read_levels, resize_mask
from datasets.photographs import Photograph, read_photograph
from utils.errors import InputError, one_line

COLOUR_TOLERANCE = 32  # of 255 in each channel; JPEG changes colours inside broad strokes by less
# With a soft brush, or in a lossy file: pixels of mostly paint near the colour are painted, and all with much paint
# that are connected to them; then rings around these, with LEAST_PAINT more than the next on average.
MOSTLY_PAINT, THIN_TOLERANCE, MUCH_PAINT, LEAST_PAINT = 0.5, 112, 0.35, 0.01
WIDEST_FRINGE, SURROUNDINGS = 6, 15  # px
SOFT_OUTLINE = 0.25  # of the outline has more than SOME_PAINT where the brush was soft or the file is lossy
SOME_PAINT = 0.2
ASPECT_TOLERANCE = (1, 0.02)  # of a side of the mask: pixels and share

Box = tuple[int, int, int, int]  # x, y, width, height
Polygon = Sequence[tuple[int, int]]  # corners (x, y), three or more


@dataclass(frozen=True)
class Marks:
    """Where a user wants a picture filled; the hole is the union of all that is marked.

    Args:
        file: a mask; or, with ``alpha`` or ``colour``, a marked copy of the picture.
        white: whether white is the hole in a mask file; else black.
        alpha: fill where ``file`` (without one, the picture) is not fully opaque.
        colour: fill where ``file`` (without one, the picture) is painted in this colour, (R, G, B).
        boxes, polygons: in pixels.
        dilate: pixels by which the hole is grown at the end.
    """

    file: Path | None = None
    white: bool = True
    alpha: bool = False
    colour: tuple[int, int, int] | None = None
    boxes: Sequence[Box] = ()
    polygons: Sequence[Polygon] = ()
    dilate: int = 0

    @property
    def is_empty(self) -> bool:
        """Whether nothing is marked."""
        return not (self.file or self.alpha or self.colour or self.boxes or self.polygons)

    @property
    def is_mask_file(self) -> bool:
        """Whether there is a mask file, black and white."""
        return self.file is not None and not (self.alpha or self.colour)

    @property
    def opens_transparency(self) -> bool:
        """Whether the picture's own transparency is filled."""
        return self.alpha and self.file is None


def find_hole(photograph: Photograph, marks: Marks) -> tuple[np.ndarray, list[str]]:
    """The hole that is marked in a photograph, and notes about how it was found.

    Raises:
        InputError: not a mask, or one of another aspect ratio; no pixel of the colour, or no transparent one; a box or
            polygon outside the picture.
    """
    hole, notes = np.zeros(photograph.size, bool), []
    if marks.file or marks.alpha or marks.colour:
        marked, notes = _marked(photograph, marks)
        fitted, note = fit_hole(marked, photograph, str(marks.file))
        hole |= fitted
        notes = notes + note
    for box in marks.boxes:
        hole |= box_hole(box, *photograph.size)
    for polygon in marks.polygons:
        hole |= polygon_hole(polygon, *photograph.size)
    return grow_hole(hole, marks.dilate), notes


def _marked(photograph: Photograph, marks: Marks) -> tuple[np.ndarray, list[str]]:
    name = marks.file or "the picture"
    if marks.colour:
        pixels = read_picture(marks.file) if marks.file else photograph.pixels
        hole = colour_hole(pixels, marks.colour, name)
        added = np.count_nonzero(hole & ~_of_colour(pixels, marks.colour))
        note = f"{name}: {added} pixels of nearly that colour touch the hole and are filled with it"
        return hole, [note] if added else []
    if marks.alpha:
        return alpha_hole(read_photograph(marks.file) if marks.file else photograph, name), []
    colour = "white" if marks.white else "black"
    levels, lossy = read_levels(marks.file, colour)
    return hole_from_levels(levels, colour, marks.file, lossy)


def alpha_hole(photograph: Photograph, name: object = "the picture") -> np.ndarray:
    """Where a photograph is not fully opaque."""
    if photograph.alpha is None:
        raise InputError(
            f"--mask_alpha: expected transparent pixels in {name}, got none; erase what is to be filled and save it "
            "as PNG, WebP or TIFF"
        )
    return photograph.alpha < 255


def colour_hole(pixels: np.ndarray, colour: tuple[int, int, int], name: object = "the picture") -> np.ndarray:
    """Where a picture, uint8 [H, W, 3], is painted in a colour: bool [H, W].

    These are pixels within ``COLOUR_TOLERANCE`` of it in each channel. If the brush was soft or the file is a JPEG
    (whose colours have a coarser grid), pixels that mix the colour with the picture around them belong to it, too.
    """
    seeds = _of_colour(pixels, colour)
    if not seeds.any():
        raise InputError(
            f"--mask_colour: expected something painted in #{bytes(colour).hex()} in {name}, got none; paint with a "
            "hard brush in a colour that the picture has not, and give that one"
        )
    if (pixels[seeds] == pixels[seeds][0]).all():  # a hard brush in a lossless file
        return seeds
    share = _share_of_paint(pixels, colour, seeds)
    if np.mean(share[outline(seeds)] > SOME_PAINT) <= SOFT_OUTLINE:
        return seeds
    seeds |= _of_colour(pixels, colour, THIN_TOLERANCE) & (share > MOSTLY_PAINT)
    return _with_fringe(grow_into(seeds, share > MUCH_PAINT), share)


def _with_fringe(hole: np.ndarray, share: np.ndarray) -> np.ndarray:
    """Adds rings of pixels around the hole as long as a ring has more paint in it than the next one."""
    ring = outline(hole)
    for _ in range(WIDEST_FRINGE):
        wider = hole | ring
        beyond = outline(wider)
        if not beyond.any() or share[ring].mean() - share[beyond].mean() < LEAST_PAINT:
            break
        hole, ring = wider, beyond
    return hole


def _of_colour(pixels: np.ndarray, colour: tuple[int, int, int], tolerance: int = COLOUR_TOLERANCE) -> np.ndarray:
    low, high = (np.clip(np.array(colour) + by, 0, 255).astype(np.float64) for by in (-tolerance, tolerance))
    return cv2.inRange(pixels, low, high) > 0


def _share_of_paint(pixels: np.ndarray, colour: tuple[int, int, int], seeds: np.ndarray) -> np.ndarray:
    """The share of paint in each pixel, about 0 to 1, if the rest is the local mean of the picture."""
    paint = np.array(colour, np.float32)
    known = cv2.dilate(seeds.astype(np.uint8), np.ones([2 * WIDEST_FRINGE + 1] * 2, np.uint8)) == 0
    weight = known.astype(np.float32)[..., None]
    window = (2 * SURROUNDINGS + 1,) * 2
    count = cv2.boxFilter(weight, -1, window, normalize=False)[..., None]
    total = cv2.boxFilter(pixels * weight, -1, window, normalize=False)
    everywhere = pixels[known].mean(axis=0) if known.any() else 255 - paint
    around = np.where(count > 0, total / np.maximum(count, 1), everywhere)
    way = paint - around
    return ((pixels - around) * way).sum(axis=2) / np.maximum((way**2).sum(axis=2), 1)


def box_hole(box: Box, height: int, width: int) -> np.ndarray:
    """The pixels of a box (x, y, width, height) that are in the picture."""
    x, y, w, h = box
    hole = np.zeros([height, width], bool)
    hole[max(y, 0) : max(y + h, 0), max(x, 0) : max(x + w, 0)] = True
    return _refuse_beside(hole, f"--box {x},{y},{w},{h}")


def polygon_hole(polygon: Polygon, height: int, width: int) -> np.ndarray:
    """The pixels inside a polygon and on its outline that are in the picture."""
    if len(polygon) < 3:
        raise InputError(f"--polygon: expected three corners or more, got {len(polygon)}; add some")
    hole = np.zeros([height, width], np.uint8)
    cv2.fillPoly(hole, [np.array(polygon, np.int32)], 1)
    return _refuse_beside(hole > 0, "--polygon " + " ".join(f"{x},{y}" for x, y in polygon))


def _refuse_beside(hole: np.ndarray, option: str) -> np.ndarray:
    if not hole.any():
        height, width = hole.shape
        raise InputError(
            f"{one_line(option, 80)}: expected pixels of the picture, which is {width}x{height}, got none; x goes "
            "right and y down from the top left corner"
        )
    return hole


def grow_hole(hole: np.ndarray, by: int) -> np.ndarray:
    """The hole and all pixels within ``by`` pixels of it."""
    if by == 0 or not hole.any():
        return hole
    distance = cv2.distanceTransform((~hole).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return distance <= by + 1e-3


def fit_hole(hole: np.ndarray, photograph: Photograph, name: str = "the mask") -> tuple[np.ndarray, list[str]]:
    """A hole resized to a photograph's size, and a note if it had another.

    Enlarged by nearest neighbour; shrunk so that a pixel is hole if any part of it was, which keeps thin lines whole.
    """
    (height, width), (mask_height, mask_width) = photograph.size, hole.shape
    if hole.shape == photograph.size:
        return hole, []
    sizes = (
        f"expected a mask of the picture's size {width}x{height} or its aspect ratio, got {mask_width}x{mask_height}"
    )
    if not _is_alike(hole.shape, photograph.size):
        turned = _is_alike(hole.shape[::-1], photograph.size)
        why = "it lies on its side: turn it as the picture is shown" if turned else "crop or paint it to match"
        raise InputError(f"{name}: {sizes}; {why}")
    if hole.size > height * width:
        fitted = cv2.resize(hole.astype(np.float32), (width, height), interpolation=cv2.INTER_AREA) > 1e-6
    else:
        fitted = resize_mask(hole, height, width)
    return fitted, [f"{name} brought from {mask_width}x{mask_height} to {width}x{height}"]


def _is_alike(size: tuple[int, int], other: tuple[int, int]) -> bool:
    """Whether two sizes have the same aspect ratio, up to rounding."""
    pixels, share = ASPECT_TOLERANCE
    (h, w), (height, width) = size, other
    return abs(h * width - w * height) <= min(pixels * max(width, height), share * h * width)
