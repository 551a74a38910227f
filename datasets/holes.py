"""Where a photograph is to be filled: hole bool [H, W], True = to be filled, from whatever a user has at hand.

A mask file, a picture's transparency, a colour painted into a picture, boxes, polygons. All are in pixels of the
picture upright, x to the right and y down from the top left corner. A mask of a data set is stricter: it is a
black-and-white file of the picture's size (``datasets.masks``).
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageOps

from datasets.images import decoded, read_picture
from datasets.masks import mask_from_levels, refuse_colour, resize_mask
from datasets.photographs import Photograph, read_photograph
from utils.errors import InputError, one_line

COLOUR_TOLERANCE = 32  # of 255 in each channel; JPEG leaves colours this close inside what was painted
ASPECT_TOLERANCE = (1, 0.02)  # of a side of the mask: pixels, as rounding leaves, and share

Box = tuple[int, int, int, int]  # x, y, width, height
Polygon = Sequence[tuple[int, int]]  # corners (x, y), three or more


@dataclass(frozen=True)
class Marks:
    """What a user says of where to fill; what is marked in several ways is filled in all of them.

    Args:
        file: a mask; or, with ``alpha`` or ``colour``, a copy of the picture that is marked that way.
        white: whether white is the hole in a mask file; else black.
        alpha: where ``file``, or without one the picture itself, is not fully opaque.
        colour: where ``file``, or without one the picture itself, is painted in this colour, (R, G, B).
        boxes, polygons: in pixels.
        dilate: pixels by which all of it is grown in the end.
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
        """Whether nothing is said."""
        return not (self.file or self.alpha or self.colour or self.boxes or self.polygons)

    @property
    def is_mask_file(self) -> bool:
        """Whether there is a mask file, black and white."""
        return self.file is not None and not (self.alpha or self.colour)

    @property
    def opens_transparency(self) -> bool:
        """Whether all that is transparent in the picture itself is filled."""
        return self.alpha and self.file is None


def find_hole(photograph: Photograph, marks: Marks) -> tuple[np.ndarray, list[str]]:
    """The hole that is marked in a photograph, and lines about what was done to get it.

    Raises:
        InputError: a mask that cannot be read as one or has another aspect ratio; a colour or transparency that is
            not there; a box or polygon beside the picture.
    """
    hole, notes = np.zeros(photograph.size, bool), []
    if marks.file or marks.alpha or marks.colour:
        marked = _marked(photograph, marks)
        fitted, note = fit_hole(marked, photograph, str(marks.file))
        hole |= fitted
        notes += note
    for box in marks.boxes:
        hole |= box_hole(box, *photograph.size)
    for polygon in marks.polygons:
        hole |= polygon_hole(polygon, *photograph.size)
    return grow_hole(hole, marks.dilate), notes


def _marked(photograph: Photograph, marks: Marks) -> np.ndarray:
    name = marks.file or "the picture"
    if marks.colour:
        return colour_hole(read_picture(marks.file) if marks.file else photograph.pixels, marks.colour, name)
    if marks.alpha:
        return alpha_hole(read_photograph(marks.file) if marks.file else photograph, name)
    return read_hole(marks.file, marks.white)


def read_hole(path: str | os.PathLike, white: bool = True) -> np.ndarray:
    """A mask file of any common kind: grey of 8 or 16 bits, RGB, palette, 1 bit; bool [H, W].

    Where it is transparent it counts as not painted on.

    Args:
        white: whether white is the hole, else black.
    Raises:
        InputError: as ``datasets.masks.read_mask``.
    """
    with decoded(path, deep_grey=True) as image:
        image = _unpainted_filled(ImageOps.exif_transpose(image), "black" if white else "white")
        if image.mode != "L":
            refuse_colour(np.asarray(image), path)
        levels = np.asarray(image.convert("L"))
    return mask_from_levels(levels, "white" if white else "black", path) == 0


def _unpainted_filled(image: Image.Image, colour: str) -> Image.Image:
    """Mode L or RGB, ``colour`` where the picture is transparent."""
    if image.mode.startswith("I"):
        return Image.fromarray((np.asarray(image).astype(np.int64).clip(0, 65535) // 257).astype(np.uint8))
    if not image.has_transparency_data:
        return image.convert("L" if image.mode in ("1", "L") else "RGB")
    image = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", image.size, colour), image).convert("RGB")


def alpha_hole(photograph: Photograph, name: object = "the picture") -> np.ndarray:
    """Where a photograph is not fully opaque.

    Raises:
        InputError: it is opaque everywhere.
    """
    if photograph.alpha is None:
        raise InputError(
            f"--mask_alpha: expected transparent pixels in {name}, got none; erase what is to be filled and save it "
            "as PNG, WebP or TIFF"
        )
    return photograph.alpha < 255


def colour_hole(pixels: np.ndarray, colour: tuple[int, int, int], name: object = "the picture") -> np.ndarray:
    """Where pixels, uint8 [H, W, 3], are within ``COLOUR_TOLERANCE`` of a colour in each channel.

    Raises:
        InputError: nowhere.
    """
    low, high = (
        np.clip(np.array(colour) + by, 0, 255).astype(np.float64) for by in (-COLOUR_TOLERANCE, COLOUR_TOLERANCE)
    )
    hole = cv2.inRange(pixels, low, high) > 0
    if not hole.any():
        raise InputError(
            f"--mask_colour: expected something painted in #{bytes(colour).hex()} in {name}, got none; paint with a "
            "hard brush in a colour that the picture has not, and give that one"
        )
    return hole


def box_hole(box: Box, height: int, width: int) -> np.ndarray:
    """The pixels of a box (x, y, width, height), as far as they are in the picture.

    Raises:
        InputError: none of them is.
    """
    x, y, w, h = box
    hole = np.zeros([height, width], bool)
    hole[max(y, 0) : max(y + h, 0), max(x, 0) : max(x + w, 0)] = True
    return _refuse_beside(hole, f"--box {x},{y},{w},{h}")


def polygon_hole(polygon: Polygon, height: int, width: int) -> np.ndarray:
    """The pixels inside a polygon and on its outline, as far as they are in the picture.

    Raises:
        InputError: none of them is, or fewer than three corners.
    """
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
    """All pixels within ``by`` pixels of a hole, and the hole."""
    if by == 0 or not hole.any():
        return hole
    distance = cv2.distanceTransform((~hole).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return distance <= by + 1e-3


def fit_hole(hole: np.ndarray, photograph: Photograph, name: str = "the mask") -> tuple[np.ndarray, list[str]]:
    """A hole brought to a photograph's size (nearest), and a line that says so where it had another.

    Raises:
        InputError: another aspect ratio.
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
    return resize_mask(hole, height, width), [f"{name} brought from {mask_width}x{mask_height} to {width}x{height}"]


def _is_alike(size: tuple[int, int], other: tuple[int, int]) -> bool:
    """Whether two sizes have one aspect ratio but for rounding."""
    pixels, share = ASPECT_TOLERANCE
    (h, w), (height, width) = size, other
    return abs(h * width - w * height) <= min(pixels * max(width, height), share * h * width)
