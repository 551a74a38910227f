"""Masks: float32 [H, W], 1 = valid, 0 = hole; files of either polarity, hole ratio, area buckets, holes off the border.

Test sets are reported by hole ratio in six buckets, each once for masks whose holes stay off the picture's border and
once for masks that may touch it (Liu et al. 2018, arXiv:1804.07723, section 4.1).
"""

import os

import cv2
import numpy as np
from PIL import Image, ImageOps

from datasets.images import decoded, write_picture
from utils.errors import InputError

BUCKETS: tuple[tuple[float, float], ...] = ((0.01, 0.1), (0.1, 0.2), (0.2, 0.3), (0.3, 0.4), (0.4, 0.5), (0.5, 0.6))

WHITE_THRESHOLD = 0.6  # of 255; the threshold that the authors advise for their masks
GREY_FROM = 0.03  # of 255
# JPEG of quality 75 stays below 0.16 around a hard edge, of 50 below 0.4.
GREY_FROM_LOSSY = 0.25
SOFT_OUTLINE = 0.1  # of the outline; up to 0.06 is above GREY_FROM_LOSSY in hard masks of quality 30, 0.23 in soft ones
MARKED = 0.1  # of 255; fainter pixels are not judged
MAX_GREY_SHARE = 0.05
MAX_BROAD_GREY = 0.5  # of what is marked
LOSSY_FORMATS = ("JPEG", "MPO", "WEBP")
MAX_CHANNEL_SPREAD = 32  # of 255; colour noise of JPEG stays below
LEAST_MEAN_HOLE = 0.005  # of the picture; every published bucket starts above
BORDER_MARGIN = (50, 512)  # the authors' off-border holes keep 50 of 512 px


def bucket_name(bucket: tuple[float, float]) -> str:
    """The name of a bucket in reports.

    Example:
        >>> bucket_name((0.01, 0.1))
        '0.01-0.1'
    """
    return f"{bucket[0]:g}-{bucket[1]:g}"


BUCKET_NAMES: tuple[str, ...] = tuple(bucket_name(bucket) for bucket in BUCKETS)
SPARSE = bucket_name((BUCKETS[-1][1], 1.0))  # for super-resolution's masks only
ROW_NAMES = (*BUCKET_NAMES, SPARSE)  # of tables


def bucket_of(ratio: float) -> str | None:
    """The name of the bucket (lo, hi] that holds a hole ratio, or None outside all of them.

    Example:
        >>> bucket_of(0.1), bucket_of(0.01)
        ('0.01-0.1', None)
    """
    return next((bucket_name((lo, hi)) for lo, hi in BUCKETS if lo < ratio <= hi), None)


def hole_ratio(mask: np.ndarray) -> float:
    """The hole's share of the picture, 0 to 1."""
    return float(np.mean(1 - mask, dtype=np.float64))


def border_margins(height: int, width: int) -> tuple[int, int]:
    """Rows and columns at each side without hole in an off-border mask: 50/512 of the side, rounded down."""
    part, whole = BORDER_MARGIN
    return part * height // whole, part * width // whole


def border_kind(mask: np.ndarray) -> str:
    """N when every hole pixel is at least 50/512 of the side off the border, else B (the paper's row names)."""
    height, width = mask.shape
    rows, columns = border_margins(height, width)
    inside = mask[rows : height - rows, columns : width - columns]
    return "N" if np.count_nonzero(mask == 0) == np.count_nonzero(inside == 0) else "B"


def polarity_warning(ratio: float) -> str | None:
    """A warning for a hole above 60 % of the picture, most often of a mask with the wrong polarity; else None."""
    if ratio <= BUCKETS[-1][1]:
        return None
    return f"the hole covers {ratio:.0%} of the picture: if the mask was meant the other way round, change --hole"


def emptiness_warning(mean_ratio: float) -> str | None:
    """A warning for holes below 0.5 % of the picture on average, too small for training; else None."""
    if mean_ratio >= LEAST_MEAN_HOLE:
        return None
    return (
        f"the holes cover {mean_ratio:.2%} of the pictures on average, expected {LEAST_MEAN_HOLE:.1%} or more: look at "
        "the masks, whose hole must be white (60 % of 255 and above), or black with --hole black"
    )


def read_mask(path: str | os.PathLike, hole: str = "white", check: bool = True) -> np.ndarray:
    """A mask file as float32 [H, W] in {0, 1}, 1 = valid; see ``hole_from_levels``.

    Args:
        hole: the colour of the hole in the file, "white" or "black".
        check: refuse a file that is not black and white; False for training masks, which are thresholded at 60 % only.
    Raises:
        InputError: unreadable, of 0 and 1, in colour, too much grey, or an unknown ``hole``.
    """
    levels, lossy = read_levels(path, hole)
    found = hole_from_levels(levels, hole, path, lossy)[0] if check else _strong(levels, hole, path)
    return (~found).astype(np.float32)


def read_levels(path: str | os.PathLike, hole: str) -> tuple[np.ndarray, bool]:
    """Grey levels uint8 [H, W] of a mask file of any common kind, and whether it is a JPEG or WebP.

    Grey of 8 or 16 bits, RGB, palette, 1 bit; transparent pixels are not hole.

    Raises:
        InputError: unreadable, in colour, or an unknown ``hole``.
    """
    _check_hole_colour(hole)
    with decoded(path, deep_grey=True) as image:
        lossy = image.format in LOSSY_FORMATS
        image = _unpainted_filled(ImageOps.exif_transpose(image), "black" if hole == "white" else "white")
        if image.mode != "L":
            refuse_colour(np.asarray(image), path, hole)
        return np.asarray(image.convert("L")), lossy


def _unpainted_filled(image: Image.Image, colour: str) -> Image.Image:
    """Mode L or RGB, with transparent pixels in ``colour``."""
    if image.mode.startswith("I"):
        return Image.fromarray((np.asarray(image).astype(np.int64).clip(0, 65535) // 257).astype(np.uint8))
    if not image.has_transparency_data:
        return image.convert("L" if image.mode in ("1", "L") else "RGB")
    image = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", image.size, colour), image).convert("RGB")


def hole_from_levels(levels: np.ndarray, hole: str, path: object, lossy: bool = False) -> tuple[np.ndarray, list[str]]:
    """The hole bool [H, W] in grey levels uint8 [H, W], and notes on grey pixels.

    With ``hole`` white the hole starts at 60 % of white, with ``hole`` black below that. All grey that is connected to
    it is hole too (hysteresis, as in Canny 1986), so that the soft edge of a brush does not stay in the picture. Grey
    starts at 3 % of the hole's colour. In a JPEG or WebP file, where a hard edge has some grey around it, it starts at
    25 %, and counts only where it is found along more than a tenth of the hole's outline.

    Args:
        path: for messages.
        lossy: the levels are from a JPEG or WebP file.
    Raises:
        InputError: the largest level is 1; broad grey areas over 5 % of the picture or half of what is marked; or more
            than 5 % of what is marked connected to no hole.
    """
    strong = _strong(levels, hole, path)
    strength = levels if hole == "white" else 255 - levels
    faint = (strength > 255 * GREY_FROM) & ~strong
    grey = (strength > 255 * GREY_FROM_LOSSY) & ~strong if lossy else faint
    _refuse_broad_grey(strength, strong, path)
    found = grow_into(strong, grey)
    apart = np.count_nonzero((strength > 255 * (GREY_FROM_LOSSY if lossy else MARKED)) & ~found)
    if apart > MAX_GREY_SHARE * np.count_nonzero(grey | strong):
        raise InputError(
            f"expected a black-and-white mask, got {apart} grey pixels that touch no {hole} ones in {path}: paint what "
            f"is to be filled {hole}, or threshold the mask"
        )
    if lossy and np.mean(grey[outline(strong)]) <= SOFT_OUTLINE:
        return strong, []
    if lossy:
        found |= outline(found) & faint
    notes = [(np.count_nonzero(found & ~strong), "touch the hole and are filled with it")]
    notes.append((apart, "touch no hole and are not filled"))
    return found, [f"{path}: {count} grey pixels {what}" for count, what in notes if count]


def _strong(levels: np.ndarray, hole: str, path: object) -> np.ndarray:
    if levels.max() == 1:
        raise InputError(f"expected a mask of 0 and 255, got 0 and 1 in {path}: multiply it by 255")
    white = levels >= WHITE_THRESHOLD * 255
    return white if hole == "white" else ~white


def grow_into(seeds: np.ndarray, allowed: np.ndarray) -> np.ndarray:
    """The seeds and all regions of ``allowed`` that touch them, also by a corner; all bool [H, W]."""
    if not allowed.any():
        return seeds
    _, regions = cv2.connectedComponents((seeds | allowed).astype(np.uint8), connectivity=8)
    touched = np.zeros(regions.max() + 1, bool)
    touched[regions[seeds]] = True
    touched[0] = False
    return touched[regions]


def outline(hole: np.ndarray) -> np.ndarray:
    """The pixels just outside a hole, bool [H, W]."""
    return (cv2.dilate(hole.astype(np.uint8), np.ones([3, 3], np.uint8)) > 0) & ~hole


def write_mask(path: str | os.PathLike, mask: np.ndarray, hole: str = "white") -> None:
    """Write a mask [H, W] as an 8-bit black-and-white picture with the hole in the given colour."""
    _check_hole_colour(hole)
    white = mask == 0 if hole == "white" else mask != 0
    write_picture(path, white.astype(np.uint8) * np.uint8(255))


def resize_mask(mask: np.ndarray, height: int, width: int) -> np.ndarray:
    """Nearest neighbour by pixel centres, so that {0, 1} stays {0, 1}; [H, W] to [height, width]."""
    rows = (2 * np.arange(height) + 1) * mask.shape[0] // (2 * height)
    columns = (2 * np.arange(width) + 1) * mask.shape[1] // (2 * width)
    return mask[rows[:, None], columns]


def _check_hole_colour(hole: str) -> None:
    if hole not in ("white", "black"):
        raise InputError(f"expected hole to be white or black, got {hole!r}")


def refuse_colour(rgb: np.ndarray, path: object, hole: str = "white") -> None:
    """Refuse uint8 [H, W, 3] with colour in more than 5 % of the marked pixels; JPEG noise does not count."""
    red, green, blue = np.moveaxis(rgb, 2, 0)  # np.ptp over the last axis takes twenty times as long
    most, least = np.maximum(np.maximum(red, green), blue), np.minimum(np.minimum(red, green), blue)
    marked = most > 255 * MARKED if hole == "white" else least < 255 * (1 - MARKED)
    share = np.count_nonzero((most - least > MAX_CHANNEL_SPREAD) & marked) / max(1, np.count_nonzero(marked))
    if share > MAX_GREY_SHARE:
        other = "black" if hole == "white" else "white"
        raise InputError(
            f"expected a black-and-white mask, got colour in {share:.0%} of what is marked in {path}: "
            f"paint the hole {hole} and all else {other}; for a hole painted in a colour, --mask_colour"
        )


def _refuse_broad_grey(strength: np.ndarray, strong: np.ndarray, path: object) -> None:
    """Refuse photographs and objects painted in grey; a brush's soft edge is only a few pixels wide."""
    grey = (strength > 255 * MARKED) & (strength < 255 * (1 - MARKED))
    marked = np.count_nonzero(strength > 255 * MARKED)
    if _broad(grey) > MAX_GREY_SHARE * grey.size or _broad(grey & ~strong) > MAX_BROAD_GREY * marked:
        raise InputError(
            f"expected a black-and-white mask, got {np.mean(grey):.1%} grey pixels in {path}: "
            "threshold it and save it as PNG (is it a photograph?)"
        )


def _broad(grey: np.ndarray) -> int:
    """Pixels with only grey around them."""
    return np.count_nonzero(cv2.erode(grey.astype(np.uint8), np.ones([3, 3], np.uint8))) if grey.any() else 0
