"""Masks: float32 [H, W], 1 = valid, 0 = hole; files of either polarity, hole ratio, area buckets, holes off the border.

Test sets are reported by hole ratio in six buckets, each once for masks whose holes stay off the picture's border and
once for masks that may touch it (Liu et al. 2018, arXiv:1804.07723, section 4.1).
"""

import io
import os

import numpy as np
from PIL import Image

from datasets.images import open_picture, write_picture
from utils.errors import InputError

BUCKETS: tuple[tuple[float, float], ...] = ((0.01, 0.1), (0.1, 0.2), (0.2, 0.3), (0.3, 0.4), (0.4, 0.5), (0.5, 0.6))

WHITE_THRESHOLD = 0.6  # of 255; the threshold that the authors advise for their masks
MAX_GREY_SHARE = 0.05
MAX_CHANNEL_SPREAD = 32  # of 255; colour noise of JPEG stays below
LEAST_MEAN_HOLE = 0.005  # of the picture; every published bucket starts above
BORDER_MARGIN = (50, 512)  # the authors' off-border holes keep 50 of 512 px


class ZeroOneMaskError(InputError):
    """A mask file that holds 0 and 1 in place of 0 and 255, and would be all black."""


def bucket_name(bucket: tuple[float, float]) -> str:
    """The name of a bucket in reports.

    Example:
        >>> bucket_name((0.01, 0.1))
        '0.01-0.1'
    """
    return f"{bucket[0]:g}-{bucket[1]:g}"


BUCKET_NAMES: tuple[str, ...] = tuple(bucket_name(bucket) for bucket in BUCKETS)
SPARSE = bucket_name((BUCKETS[-1][1], 1.0))  # where super-resolution's masks are counted, and no others
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
    """Rows and columns at each side that an off-border mask leaves free, 50/512 of the side rounded down."""
    part, whole = BORDER_MARGIN
    return part * height // whole, part * width // whole


def border_kind(mask: np.ndarray) -> str:
    """N when every hole pixel is at least 50/512 of the side off the border, else B (the paper's row names)."""
    height, width = mask.shape
    rows, columns = border_margins(height, width)
    inside = mask[rows : height - rows, columns : width - columns]
    return "N" if np.count_nonzero(mask == 0) == np.count_nonzero(inside == 0) else "B"


def polarity_warning(ratio: float) -> str | None:
    """One line for a hole above 60 % of the picture, most often a mask read the wrong way round; else None."""
    if ratio <= BUCKETS[-1][1]:
        return None
    return f"the hole covers {ratio:.0%} of the picture: if the mask was meant the other way round, change --hole"


def emptiness_warning(mean_ratio: float) -> str | None:
    """One line for holes below 0.5 % of the picture on average, of which nothing can be learnt; else None."""
    if mean_ratio >= LEAST_MEAN_HOLE:
        return None
    return (
        f"the holes cover {mean_ratio:.2%} of the pictures on average, expected {LEAST_MEAN_HOLE:.1%} or more: look at "
        "the masks, whose hole must be white (60 % of 255 and above), or black with --hole black"
    )


def read_mask(path: str | os.PathLike, hole: str = "white", check: bool = True) -> np.ndarray:
    """A mask file as float32 [H, W] in {0, 1}, 1 = valid; white is 60 % of 255 and above.

    Args:
        hole: the colour of the hole in the file, "white" or "black".
        check: refuse a file that is not black and white; False for training masks still to be thresholded.
    Raises:
        ZeroOneMaskError: its largest value is 1.
        InputError: unreadable, in colour, more than 5 % grey pixels (10 % to 90 % of 255), or an unknown ``hole``.
    """
    _check_hole_colour(hole)
    image = open_picture(path)
    if image.mode != "L":
        refuse_colour(np.asarray(image), path)
    return mask_from_levels(np.asarray(image.convert("L")), hole, path, check)


def mask_from_levels(levels: np.ndarray, hole: str, path: str | os.PathLike, check: bool = True) -> np.ndarray:
    """What ``read_mask`` makes of grey levels, uint8 [H, W]; ``path`` is for messages."""
    if levels.max() == 1:
        raise ZeroOneMaskError(f"expected a mask of 0 and 255, got 0 and 1 in {path}: multiply it by 255")
    if check:
        _refuse_grey(levels, path)
    white = levels >= WHITE_THRESHOLD * 255
    return (white if hole == "black" else ~white).astype(np.float32)


def write_mask(path: str | os.PathLike, mask: np.ndarray, hole: str = "white") -> None:
    """Write a mask [H, W] as an 8-bit black-and-white picture with the hole in the given colour.

    Raises:
        InputError: an unknown ``hole`` or suffix.
    """
    write_picture(path, _levels(mask, hole))


def mask_png(mask: np.ndarray, hole: str = "white") -> bytes:
    """The bytes that ``write_mask`` gives a PNG file, for another process to write.

    Raises:
        InputError: an unknown ``hole``.
    """
    file = io.BytesIO()
    Image.fromarray(_levels(mask, hole)).save(file, "PNG")
    return file.getvalue()


def _levels(mask: np.ndarray, hole: str) -> np.ndarray:
    _check_hole_colour(hole)
    white = mask == 0 if hole == "white" else mask != 0
    return white.astype(np.uint8) * np.uint8(255)


def resize_mask(mask: np.ndarray, height: int, width: int) -> np.ndarray:
    """The nearest pixel by pixel centres, so that {0, 1} stays {0, 1}; [H, W] to [height, width]."""
    rows = (2 * np.arange(height) + 1) * mask.shape[0] // (2 * height)
    columns = (2 * np.arange(width) + 1) * mask.shape[1] // (2 * width)
    return mask[rows[:, None], columns]


def _check_hole_colour(hole: str) -> None:
    if hole not in ("white", "black"):
        raise InputError(f"expected hole to be white or black, got {hole!r}")


def refuse_colour(rgb: np.ndarray, path: str | os.PathLike) -> None:
    """Refuse uint8 [H, W, 3] with colours in more than 5 % of it; black and white with a JPEG's noise is none."""
    red, green, blue = np.moveaxis(rgb, 2, 0)  # one after another: ptp over the last axis takes twenty times as long
    spread = np.maximum(np.maximum(red, green), blue) - np.minimum(np.minimum(red, green), blue)
    share = np.mean(spread > MAX_CHANNEL_SPREAD)
    if share > MAX_GREY_SHARE:
        raise InputError(
            f"expected a black-and-white mask, got colour in {share:.0%} of the pixels of {path}: "
            "paint the hole white and all else black"
        )


def _refuse_grey(levels: np.ndarray, path: str | os.PathLike) -> None:
    share = np.mean((levels > 0.1 * 255) & (levels < 0.9 * 255))
    if share > MAX_GREY_SHARE:
        raise InputError(
            f"expected a black-and-white mask, got {share:.0%} grey pixels in {path}: "
            "threshold it and save it as PNG (is it a photograph?)"
        )
