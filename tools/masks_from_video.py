"""Masks from videos, as in the paper: ``python -m tools.masks_from_video walk.mp4 --output data/video_masks``.

The raw mask is what only one of two frames shows (``datasets.occlusion``). It is then dilated, rotated, shifted and
cropped at random, and sorted by hole area and distance from the border.
"""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from tqdm import tqdm

from datasets.frames import Frames
from datasets.mask_survey import Survey
from datasets.masks import border_margins, hole_ratio, resize_mask, write_mask
from datasets.occlusion import LEAST_SIDE, occlusion_mask
from datasets.transforms import augment_mask, center_resize
from options import Parser, count_int, positive_int
from options.shared import adder
from tools.mask_options import add_mask_options, check_output
from utils.errors import InputError, naming, run_cleanly
from utils.files import atomic_path

LEAST_RAW = 0.0005  # of the picture: what is smaller may be noise
REPORT = "masks.csv"
COLUMNS = ("file", "source", "frame", "variation", "bucket", "border", "hole_ratio")


class Drawn(NamedTuple):
    """A mask float32 [size, size], the first of the two frames it is made of, and which of that pair's it is."""

    mask: np.ndarray
    frame: int
    variation: int


def build_parser() -> Parser:
    parser = Parser(
        prog="python -m tools.masks_from_video",
        description="Make masks of what moves in a video: occlusion and dis-occlusion between two frames, varied at "
        "random and sorted into OUTPUT/BUCKET/N and OUTPUT/BUCKET/B. The same options and seed give the same masks.",
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
    if options.size < LEAST_SIDE:
        raise InputError(f"--size: expected {LEAST_SIDE} pixels or more, got {options.size}")
    with naming("VIDEO|DIR"):
        frames = Frames(options.source)
        survey, rows = write_sorted(frames, options)
    if not rows:
        raise InputError(
            f"VIDEO|DIR: {frames.source}: expected frames between which something moves, got none, or only holes of "
            "1 % or less, or above 60 %; try another --gap, or another video"
        )
    print(f"{len(rows)} masks of {frames.name} in {options.output}, hole {options.hole}")
    if survey.outside:
        print(f"{survey.outside} more had a hole of 1 % or less, or above 60 %, and are left out")
    print(survey.table())


def write_sorted(frames: Frames, options) -> tuple[Survey, list[dict]]:
    """Write each mask into its folder, and the report; the survey, and the report's rows."""
    survey, rows = Survey(), []
    try:
        for drawn in draw(tqdm(frames, total=frames.count or None, unit="frame"), options):
            if row := survey.add(drawn.mask):
                name = f"{row[0]}/{row[1]}/{len(survey.ratios[row]) - 1:05d}.png"
                write_mask(Path(options.output) / name, drawn.mask, options.hole)
                facts = (name, frames.name, drawn.frame, drawn.variation, *row, f"{hole_ratio(drawn.mask):.6f}")
                rows.append(dict(zip(COLUMNS, facts, strict=True)))
    finally:  # of what a bad frame, or Ctrl-C, left whole
        if rows:
            _write_report(Path(options.output) / REPORT, rows)
    return survey, rows


def draw(frames: Iterator[np.ndarray], options) -> Iterator[Drawn]:
    """The masks of each pair of frames; they do not depend on other pairs."""
    waiting: dict[int, np.ndarray] = {}
    for number, frame in enumerate(frames):
        grey = None
        if number % options.every == 0 or number - options.gap in waiting:
            grey = cv2.cvtColor(_cut(frame, options.size), cv2.COLOR_RGB2GRAY)
        if (first := waiting.pop(number - options.gap, None)) is not None:
            raw = occlusion_mask(first, grey)
            if hole_ratio(raw) >= LEAST_RAW:
                yield from vary(raw, number - options.gap, options)
        if number % options.every == 0:
            waiting[number] = grey


def vary(raw: np.ndarray, frame: int, options) -> Iterator[Drawn]:
    """The variations of a raw mask [side, side]."""
    if options.variations == 0:
        yield Drawn(resize_mask(raw, options.size, options.size), frame, 0)
    for variation in range(options.variations):
        rng = np.random.default_rng([options.seed, frame, variation])
        mask = augment_mask(raw, rng, options.size)
        yield Drawn(clear_margin(mask) if variation % 2 else mask, frame, variation)


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
        raise InputError(f"expected frames of {LEAST_SIDE} pixels or more on each side, got {side}; give larger ones")
    return center_resize(frame, side)


def _write_report(path: Path, rows: list[dict]) -> None:
    with (
        atomic_path(path) as temporary,
        open(temporary, "w", newline="", encoding="utf-8", errors="surrogateescape") as file,
    ):
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    run_cleanly(main)
