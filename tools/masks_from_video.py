"""Masks from videos, as in the paper: ``python -m tools.masks_from_video walk.mp4 --output data/video_masks``.

The raw mask is what only one of two frames shows (``datasets.occlusion``). It is then dilated, rotated, shifted and
cropped at random, and sorted by hole area and distance from the border.
"""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from tqdm import tqdm

from datasets.frames import read_frames
from datasets.mask_statistics import Survey
from datasets.masks import border_margins, hole_ratio, resize_mask, write_mask
from datasets.occlusion import LEAST_SIDE, occlusion_mask
from datasets.transforms import augment_mask, center_resize
from options import Parser, count_int, positive_int
from options.shared import adder
from tools.outputs import add_mask_options, check_output
from utils.errors import InputError, naming, run_cleanly

LEAST_RAW = 0.0005  # of the picture: what is smaller may be noise


def build_parser() -> Parser:
    parser = Parser(
        prog="python -m tools.masks_from_video",
        description="Make masks of what moves in a video: occlusion and dis-occlusion between two frames, varied at "
        "random and written to OUTPUT/BUCKET/N and OUTPUT/BUCKET/B as FRAME_VARIATION.png. The same options and seed "
        "give the same masks.",
        epilog="example: python -m tools.masks_from_video walk.mp4 --output data/video_masks --every 5",
    )
    add = adder(parser)
    parser.add_argument(
        "source", metavar="VIDEO|DIR", help="a video, a folder of its frames, or a text file that lists them"
    )
    parser.add_argument("--output", required=True, metavar="DIR", help="folder to write, new or empty")
    add("--gap", positive_int, "from the first frame of a pair to the second", 1)
    add("--every", positive_int, "a pair begins with each N-th frame", 1)
    add(
        "--variations",
        count_int,
        "masks made of each pair, every second one with its margin along the border cleared; 0: the raw mask "
        "alone, as train.py varies masks itself",
        8,
    )
    add_mask_options(parser)
    return parser


def main(argv: list[str] | None = None) -> None:
    options = build_parser().parse_args(argv)
    check_output(Path(options.output))
    survey = Survey()
    with naming("VIDEO|DIR"):
        for number, raw in raw_masks(tqdm(read_frames(options.source), unit="frame"), options):
            for variation, mask in enumerate(vary(raw, number, options)):
                if row := survey.add(mask):
                    name = f"{row[0]}/{row[1]}/{number:06d}_{variation}.png"
                    write_mask(Path(options.output) / name, mask, options.hole)
    outside = len(survey.ratios.pop(None, []))
    if not survey.ratios:
        raise InputError(
            f"VIDEO|DIR: {options.source}: expected frames between which something moves, got none, or only holes of "
            "1 % or less, or above 60 %; try another --gap, or another video"
        )
    print(f"{sum(map(len, survey.ratios.values()))} masks in {options.output}, hole {options.hole}")
    print(f"{outside} more had a hole of 1 % or less, or above 60 %, and are left out\n{survey.table()}")


def raw_masks(frames: Iterator[np.ndarray], options) -> Iterator[tuple[int, np.ndarray]]:
    """Of each pair of frames between which something moves: the first one's number, and the mask [side, side]."""
    waiting: dict[int, np.ndarray] = {}
    for number, frame in enumerate(frames):
        first = waiting.pop(number - options.gap, None)
        if first is None and number % options.every:
            continue
        grey = cv2.cvtColor(_cut(frame, options.size), cv2.COLOR_RGB2GRAY)
        if first is not None and hole_ratio(raw := occlusion_mask(first, grey)) >= LEAST_RAW:
            yield number - options.gap, raw
        if number % options.every == 0:
            waiting[number] = grey


def vary(raw: np.ndarray, frame: int, options) -> Iterator[np.ndarray]:
    """The variations of a raw mask [side, side], float32 [size, size]; they do not depend on other pairs."""
    if options.variations == 0:
        yield resize_mask(raw, options.size, options.size)
    for variation in range(options.variations):
        mask = augment_mask(raw, np.random.default_rng([options.seed, frame, variation]), options.size)
        yield clear_margin(mask) if variation % 2 else mask


def clear_margin(mask: np.ndarray) -> np.ndarray:
    """The mask without hole in the margin of 50/512 along the border, as the published masks of rows N.

    Example:
        >>> clear_margin(np.zeros([512, 512], np.float32))[48:52, 256].tolist()
        [1.0, 1.0, 0.0, 0.0]
    """
    height, width = mask.shape
    rows, columns = border_margins(height, width)
    kept = np.ones_like(mask)
    inside = np.s_[rows : height - rows, columns : width - columns]
    kept[inside] = mask[inside]
    return kept


def _cut(frame: np.ndarray, size: int) -> np.ndarray:
    """The square in the middle, at most ``size`` pixels a side; it is not enlarged."""
    side = min(size, *frame.shape[:2])
    if side < LEAST_SIDE:
        raise InputError(f"expected frames, and --size, of {LEAST_SIDE} pixels or more, got {side}; give larger ones")
    return center_resize(frame, side)


if __name__ == "__main__":
    run_cleanly(main)
