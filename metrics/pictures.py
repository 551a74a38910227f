"""The pairs that a report shows: of each bucket the best, the median and the worst by PSNR, filled again at the end.

    input (hole white) | output | truth | error

They are in one file, pictures.png. Its PNG text lists where each panel is, so that a comparison of reports can read the
panels without the pictures, the masks or the method.
"""

import io
import json
import math
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace

import cv2
import numpy as np
from PIL import Image, PngImagePlugin

from datasets.images import decoded
from datasets.masks import ROW_NAMES
from datasets.super_resolution import MASK, factor_of, shrink
from inpainting.enlarging import interpolate
from inpainting.views import for_viewing
from metrics.buckets import Sample
from metrics.evaluator import Evaluation
from metrics.manifest import Pair
from utils.errors import InputError
from utils.files import is_file

NAME = "pictures.png"
LONGEST = 256  # pixels of a panel's side
BRIGHTEST_ERROR = 64  # levels of 255, mean over the channels
GAP, CAPTION, COLUMNS = 4, 20, 3  # pixels between panels and above a strip; strips side by side
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
        return "({}, {}] {}".format(*self.bucket.split("-"), self.rank)


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


def choose_as(strips: Sequence["Strip"], samples: Sequence[Sample]) -> list[tuple[str, Sample]]:
    """The pairs that another evaluation shows, with its ranks, as far as they are among the samples."""
    by_pair = {(sample.image, sample.mask): sample for sample in samples}
    shown = [(strip.rank, by_pair.get((strip.image, strip.mask))) for strip in strips]
    return [(rank, sample) for rank, sample in shown if sample is not None]


def strips_of(chosen: Sequence[tuple[str, Sample]], evaluation: Evaluation) -> list[Strip]:
    """The chosen pairs read and filled again; one whose files are gone by now is left out."""
    evaluation, strips = replace(evaluation, realism=None), []
    for rank, sample in chosen:
        pair = Pair(sample.image, sample.mask)
        try:
            picture, mask = evaluation.read(pair)
            result, _ = evaluation.fill(pair, picture, mask)
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
    return {
        "input": np.where(hole[..., None], np.uint8(255), picture),
        "output": result,
        "truth": picture,
        "error": cv2.applyColorMap(levels, cv2.COLORMAP_HOT)[..., ::-1],
    }


def strips_png(strips: Sequence[Strip]) -> bytes:
    """pictures.png: a row for each bucket, with the list of what is where in the file's text."""
    grid, boxes = _grid(strips)
    entries = [{**_plain(strip), "boxes": found} for strip, found in zip(strips, boxes, strict=True)]
    text = PngImagePlugin.PngInfo()
    text.add_text(_TEXT, json.dumps(entries))
    file = io.BytesIO()
    Image.fromarray(grid).save(file, "png", pnginfo=text)
    return file.getvalue()


def read_strips(path: str | os.PathLike) -> list[Strip]:
    """What ``strips_png`` gave; none where there is no such file."""
    if not is_file(path):
        return []
    try:
        with decoded(path) as image:
            grid, entries = np.array(image.convert("RGB")), json.loads(image.text[_TEXT])
        return [_strip(grid, entry) for entry in entries]
    except (AttributeError, KeyError, TypeError, ValueError, RecursionError):
        raise InputError(
            f"{path}: expected {NAME} as eval.py writes it, with its list of panels, got another picture; "
            "write it anew, or remove it"
        ) from None


def _plain(strip: Strip) -> dict:
    entry = {key: value for key, value in asdict(strip).items() if key != "panels"}
    return {**entry, "psnr": strip.psnr if math.isfinite(strip.psnr) else None}


def _strip(grid: np.ndarray, entry: dict) -> Strip:
    panels = {name: grid[y : y + height, x : x + width] for name, (x, y, width, height) in entry["boxes"].items()}
    texts = {key: entry[key] for key in ("image", "mask", "bucket", "rank")}
    return Strip(**texts, psnr=math.inf if entry["psnr"] is None else float(entry["psnr"]), panels=panels)


def _grid(strips: Sequence[Strip]) -> tuple[np.ndarray, list[dict]]:
    """The strips on white, uint8 [H, W, 3], and of each where its panels are: x, y, width, height by name."""
    height = CAPTION + GAP + max(panel.shape[0] for strip in strips for panel in strip.panels.values())
    width = max(sum(panel.shape[1] + GAP for panel in strip.panels.values()) for strip in strips) + 2 * GAP
    rows = [[strip for strip in strips if strip.bucket == bucket] for bucket in ROW_NAMES]
    rows = [row[i : i + COLUMNS] for row in rows for i in range(0, len(row), COLUMNS)]
    grid = np.full([height * len(rows), width * max(map(len, rows)), 3], 255, np.uint8)
    boxes = {}
    for i, row in enumerate(rows):
        for j, strip in enumerate(row):
            boxes[id(strip)] = _draw(grid, strip, GAP + j * width, i * height, width - 2 * GAP)
    return grid, [boxes[id(strip)] for strip in strips]


def _draw(grid: np.ndarray, strip: Strip, x: int, y: int, width: int) -> dict[str, list[int]]:
    caption = f"{strip.title} {strip.psnr:.2f} dB" if math.isfinite(strip.psnr) else f"{strip.title} identical"
    area = np.full([CAPTION, width, 3], 255, np.uint8)
    cv2.putText(area, caption, (0, CAPTION - 6), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (0, 0, 0), 1, cv2.LINE_AA)
    grid[y : y + CAPTION, x : x + width] = area
    boxes, y = {}, y + CAPTION
    for name, panel in strip.panels.items():
        h, w = panel.shape[:2]
        grid[y : y + h, x : x + w] = panel
        boxes[name] = [x, y, w, h]
        x += w + GAP
    return boxes
