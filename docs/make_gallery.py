"""Make the pictures of docs/gallery.md anew: ``python -m docs.make_gallery``.

Pictures and masks are made from scikit-image's photographs and written to logs/gallery, then filled by the commands
that the page shows. Prints the figures that the page names: look at the pictures and correct figures and words by hand.
"""

import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from datasets.images import read_picture, sample_face, sample_photo, write_picture
from datasets.mask_generator import generate_mask
from datasets.masks import write_mask
from metrics.image_quality import psnr
from utils.errors import run_cleanly

DOCS, WORK = Path("docs"), Path("logs/gallery")
SIDE = 340  # px of a panel, at most
MAGENTA = (255, 0, 255)
SHEET = ("astronaut", "retina", "coffee", "hubble_deep_field", "rocket", "chelsea")


def generated(seed: int, low: float) -> Callable[[np.ndarray], None]:
    """A generated mask with holes of ``low`` to ``low`` + 0.1 of the picture."""

    def draw(canvas):
        bucket = (low, round(low + 0.1, 1))
        canvas[generate_mask(np.random.default_rng(seed), *canvas.shape, bucket) == 0] = 255

    return draw


def sheet() -> np.ndarray:
    """Six photographs side by side, each enlarged to 1333 pixels a side: uint8 [2666, 3999, 3]."""
    cells = []
    for name in SHEET:
        photo = sample_photo(name)
        side = min(photo.shape[:2])
        top, left = ((length - side) // 2 for length in photo.shape[:2])
        square = photo[top : top + side, left : left + side]
        cells.append(cv2.resize(square, (1333, 1333), interpolation=cv2.INTER_CUBIC))
    return np.concatenate([np.concatenate(cells[row : row + 3], axis=1) for row in (0, 3)])


def scratches(canvas: np.ndarray) -> None:
    """Twelve thin lines from side to side and a few specks."""
    rng, (h, w) = np.random.default_rng(1), canvas.shape
    for _ in range(12):
        points = np.stack([np.linspace(0, w, 9), rng.uniform(0, h) + rng.normal(0, h / 30, 9).cumsum()], axis=1)
        cv2.polylines(canvas, [points.round().astype(np.int32)], False, 255, int(rng.integers(2, 5)), cv2.LINE_8)
    for x, y in rng.integers(0, [w, h], [30, 2]).tolist():
        cv2.circle(canvas, (x, y), 3, 255, -1)


def caption(canvas: np.ndarray) -> None:
    for i, line in enumerate(("The quick brown fox", "jumps over the lazy dog", "0123456789 (C) 2018")):
        cv2.putText(canvas, line, (30, 110 + 105 * i), cv2.FONT_HERSHEY_DUPLEX, 1.4, 255, 4, cv2.LINE_8)


def specks(canvas: np.ndarray) -> None:
    canvas[np.random.default_rng(2).random(canvas.shape) < 0.75] = 255


def across_the_sheet(canvas: np.ndarray) -> None:
    for y in range(300, 2666, 500):
        cv2.putText(canvas, "partial convolution " * 2, (40, y), cv2.FONT_HERSHEY_DUPLEX, 5, 255, 16, cv2.LINE_8)


ENTRIES = {  # name: photograph, what draws the hole in white on black, and y, x, height, width of what is shown
    "face": ("face", generated(3, 0.1), None),
    "scratches": ("chelsea", scratches, None),
    "caption": ("coffee", caption, None),
    "specks": ("astronaut", specks, (0, 120, 340, 340)),
    "tower": ("rocket", lambda canvas: cv2.rectangle(canvas, (162, 112), (217, 357), 255, -1), (87, 60, 340, 340)),
    "strokes": ("retina", generated(5, 0.1), None),
    "sheet": ("sheet", across_the_sheet, (640, 1420, 340, 340)),
    "eyes": (
        "astronaut",
        lambda canvas: cv2.ellipse(canvas, (222, 120), (48, 62), 0, 0, 360, 255, -1),
        (20, 90, 256, 256),
    ),
    "rocket": ("rocket", lambda canvas: cv2.rectangle(canvas, (240, 180), (400, 330), 255, -1), (90, 150, 337, 340)),
    "stars": ("hubble_deep_field", generated(2, 0.4), (200, 200, 340, 340)),
    "single": ("coffee", lambda canvas: cv2.circle(canvas, (300, 200), 150, 255, -1), None),
}


def main() -> None:
    page = (DOCS / "gallery.md").read_text(encoding="utf-8")
    commands = [line for line in page.splitlines() if line.startswith("python test.py --input")]
    for command in commands:
        name = Path(shlex.split(command)[3]).stem
        photo, draw, crop = ENTRIES[name]
        picture = {"face": sample_face, "sheet": sheet}.get(photo, lambda photo=photo: sample_photo(photo))()
        canvas = np.zeros(picture.shape[:2], np.uint8)
        draw(canvas)
        marked = np.where(canvas[..., None] > 0, MAGENTA, picture) if "--mask_colour" in command else picture
        write_picture(WORK / f"{name}.png", marked.astype(np.uint8))
        write_mask(WORK / f"{name}_mask.png", canvas == 0)
        subprocess.run([sys.executable, *shlex.split(command)[1:]], check=True)
        result = read_picture(WORK / "filled" / f"{name}.png")
        row = panels(picture, canvas > 0, result, crop, truth=name != "tower")
        Image.fromarray(row).save(DOCS / f"images/gallery/{name}.jpg", quality=85, optimize=True)
        print(f"{name}: hole {np.mean(canvas > 0):.0%}, {psnr(picture, result):.1f} dB")


def panels(picture: np.ndarray, hole: np.ndarray, result: np.ndarray, crop: tuple | None, truth: bool) -> np.ndarray:
    """Input with the hole white, result and truth side by side; without a truth the picture, the first two."""
    shown = np.where(hole[..., None], 255, picture).astype(np.uint8)
    y, x, h, w = crop or (0, 0, *hole.shape)
    share = min(1, SIDE / max(h, w))
    size = round(w * share), round(h * share)
    row = []
    for panel in (shown, result, picture) if truth else (picture, shown, result):
        row += [cv2.resize(panel[y : y + h, x : x + w], size, interpolation=cv2.INTER_AREA)]
        row += [np.full([size[1], 6, 3], 255, np.uint8)]
    return np.concatenate(row[:-1], axis=1)


if __name__ == "__main__":
    run_cleanly(main)
