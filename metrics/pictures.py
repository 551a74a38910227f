"""pictures.png: of each bucket the best, the median and the worst pair by PSNR, filled again at the end.

    input (hole white) | output | truth | error

One pair is one row. The file's PNG text names the pairs, so that a comparison of reports can show the panels without
the pictures, the masks or the method.
"""

import io
import json
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from PIL import Image, PngImagePlugin

from datasets.images import decoded
from datasets.masks import ROW_NAMES
from datasets.super_resolution import MASK, factor_of, shrink
from inpainting.enlarging import interpolate
from inpainting.views import for_viewing
from metrics.buckets import Sample, area
from metrics.evaluator import Evaluation
from metrics.manifest import Pair
from utils.errors import InputError
from utils.files import is_file

NAME = "pictures.png"
LONGEST = 256  # pixels of a panel's side
BRIGHTEST_ERROR = 64  # levels of 255, mean over the channels
PANELS = ("input", "output", "truth", "error")
GAP, CAPTION = 4, 20  # pixels between panels, and above a row
_TEXT = "pconv_strips"  # the key in the PNG file


@dataclass(frozen=True)
class Strip:
    """A pair as it is shown: rank in its bucket (best, median, worst, or only), and uint8 [h, w, 3] by name."""

    image: str
    mask: str
    bucket: str
    rank: str
    psnr: float
    panels: dict[str, np.ndarray]

    @property
    def title(self) -> str:
        return f"{area(self.bucket)} {self.rank}, {decibels(self.psnr)}"


def decibels(psnr: float) -> str:
    return f"{psnr:.2f} dB" if math.isfinite(psnr) else "identical"


def choose(samples: Sequence[Sample]) -> list[tuple[str, Sample]]:
    """Rank and sample: of each bucket the best, the (lower) median and the worst by PSNR; fewer where there are fewer.

    Among equals the names decide, so that the choice does not depend on the order.
    """
    chosen = []
    for bucket in ROW_NAMES:
        ordered = sorted((s for s in samples if s.bucket == bucket), key=lambda s: (-s.psnr, s.image, s.mask))
        if len(ordered) > 2:
            chosen += [("best", ordered[0]), ("median", ordered[len(ordered) // 2]), ("worst", ordered[-1])]
        else:
            chosen += zip(("best", "worst") if len(ordered) == 2 else ("only",), ordered, strict=False)
    return chosen


def strips_of(chosen: Sequence[tuple[str, Sample]], evaluation: Evaluation) -> list[Strip]:
    """The chosen pairs read and filled again; one whose files are gone by now is left out."""
    evaluation, strips = replace(evaluation, realism=None), []
    for rank, sample in chosen:
        try:
            picture, mask, result, _ = evaluation.fill(pair := Pair(sample.image, sample.mask), *evaluation.read(pair))
        except InputError:
            continue
        panels = panels_of(picture, mask == 0, result)
        if sample.mask.startswith(MASK):  # of whose holes nothing could be seen but white
            squares = interpolate(shrink(picture, factor_of(sample.mask)), factor_of(sample.mask), "nearest")
            panels["input"] = for_viewing(squares, mask == 0, result, LONGEST)[0]
        strips.append(Strip(sample.image, sample.mask, sample.bucket, rank, sample.psnr, panels))
    return strips


def panels_of(picture: np.ndarray, hole: np.ndarray, result: np.ndarray) -> dict[str, np.ndarray]:
    """Input with its hole white, output, truth and error by name, ``LONGEST`` pixels at most.

    The error is the mean over the channels, from black over red to white at ``BRIGHTEST_ERROR`` levels and above.

    Shape:
        picture, result: uint8 [H, W, 3].   hole: bool [H, W].
    """
    picture, hole, result = for_viewing(picture, hole, result, LONGEST)
    difference = np.abs(picture.astype(np.int16) - result).mean(axis=2)
    levels = np.minimum(difference * 255 / BRIGHTEST_ERROR, 255).astype(np.uint8)
    error = cv2.applyColorMap(levels, cv2.COLORMAP_HOT)[..., ::-1]
    return dict(zip(PANELS, (np.where(hole[..., None], np.uint8(255), picture), result, picture, error), strict=True))


def strips_png(strips: Sequence[Strip]) -> bytes:
    """pictures.png: a row for each pair on white, with the list of the pairs in the file's text."""
    height, width = (max(strip.panels["truth"].shape[i] for strip in strips) + GAP for i in (0, 1))
    grid, entries = np.full([(CAPTION + height) * len(strips), width * len(PANELS), 3], 255, np.uint8), []
    for i, strip in enumerate(strips):
        top, (h, w) = (CAPTION + height) * i + CAPTION, strip.panels["truth"].shape[:2]
        cv2.putText(grid, strip.title, (0, top - 6), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (0, 0, 0), 1, cv2.LINE_AA)
        for j, name in enumerate(PANELS):
            grid[top : top + h, width * j : width * j + w] = strip.panels[name]
        names = {key: value for key, value in vars(strip).items() if key != "panels"}
        boxes = {name: [width * j, top, w, h] for j, name in enumerate(PANELS)}
        entries.append({**names, "psnr": strip.psnr if math.isfinite(strip.psnr) else None, "boxes": boxes})
    text, file = PngImagePlugin.PngInfo(), io.BytesIO()
    text.add_text(_TEXT, json.dumps(entries))
    Image.fromarray(grid).save(file, "png", pnginfo=text)
    return file.getvalue()


def read_strips(path: str | os.PathLike) -> list[Strip]:
    """What ``strips_png`` gave; none where there is no such file."""
    if not is_file(path):
        return []
    try:
        with decoded(path) as image:
            grid, entries = np.array(image.convert("RGB")), json.loads(image.text[_TEXT])
        return [_strip(grid, **entry) for entry in entries]
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError):
        raise InputError(
            f"{path}: expected {NAME} as eval.py writes it, with its list of pairs, got another picture; "
            "write it anew, or remove it"
        ) from None


def _strip(grid: np.ndarray, boxes: dict, psnr: float | None, **names: str) -> Strip:
    panels = {name: grid[y : y + height, x : x + width] for name, (x, y, width, height) in boxes.items()}
    return Strip(psnr=math.inf if psnr is None else psnr, panels=panels, **names)
