"""Make docs/gallery.md and its pictures anew: ``python -m docs.make_gallery``.

Each entry's picture and mask are made from scikit-image's photographs and written to ``--work``, then filled by the
command that the page shows; so the page shows what its commands give, with the weights as they are. What the words say
was seen with the weights of that time: look at the pictures again when those change.
"""

import importlib.util
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image

from datasets.images import read_picture, sample_face, sample_photo, write_picture
from datasets.mask_generator import generate_mask
from datasets.masks import write_mask
from metrics.image_quality import psnr
from options import Parser, check_folder, setup_device
from utils.errors import run_cleanly
from utils.files import atomic_path

ROOT = Path(__file__).resolve().parent.parent
SIDE = 340  # px of a panel, at most
MAGENTA = (255, 0, 255)
SHEET = ("astronaut", "retina", "coffee", "hubble_deep_field", "rocket", "chelsea")


class Entry(NamedTuple):
    """One picture of the page.

    Args:
        make: gives the picture, uint8 [H, W, 3], and the hole, bool [H, W].
        marks: options of test.py that say where the hole is; {mask} is a file of it, and with ``painted`` the picture
            itself is painted magenta there.
        crop: y, x, height and width of what is shown; all of it when not given.
        truth: whether what was in the hole is what should come back, so that it is shown and measured.
    """

    name: str
    title: str
    words: str
    make: Callable[[], tuple[np.ndarray, np.ndarray]]
    marks: str = "--mask {mask}"
    options: str = ""
    crop: tuple[int, int, int, int] | None = None
    truth: bool = True
    painted: bool = False


def generated(photo: str, seed: int, low: float) -> Callable[[], tuple[np.ndarray, np.ndarray]]:
    """A photograph under a generated mask with holes of ``low`` to ``low`` + 0.1 of it."""

    def make():
        picture = sample_face() if photo == "face" else sample_photo(photo)
        bucket = (low, round(low + 0.1, 1))
        return picture, generate_mask(np.random.default_rng(seed), *picture.shape[:2], bucket) == 0

    return make


def drawn(photo: str, draw: Callable[[np.ndarray], object]) -> Callable[[], tuple[np.ndarray, np.ndarray]]:
    """A photograph with a hole that is drawn in white on black."""

    def make():
        picture = sample_photo(photo) if photo != "sheet" else sheet()
        canvas = np.zeros(picture.shape[:2], np.uint8)
        draw(canvas)
        return picture, canvas > 0

    return make


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


def row_of(entry: Entry, picture: np.ndarray, hole: np.ndarray, result: np.ndarray) -> np.ndarray:
    """Input with the hole white, result and truth side by side; without a truth the picture, the first two."""
    shown = np.where(hole[..., None], 255, picture).astype(np.uint8)
    panels = [shown, result, picture] if entry.truth else [picture, shown, result]
    y, x, h, w = entry.crop or (0, 0, *hole.shape)
    share = min(1, SIDE / max(h, w))
    size = round(w * share), round(h * share)
    shrunk = [cv2.resize(p[y : y + h, x : x + w], size, interpolation=cv2.INTER_AREA) for p in panels]
    gap = np.full([size[1], 6, 3], 255, np.uint8)
    return np.concatenate([shrunk[0], gap, shrunk[1], gap, shrunk[2]], axis=1)


def make(entry: Entry, fill: Callable[[Sequence[str]], None], work: Path, pictures: Path) -> str:
    """Run an entry's command, write its picture, and give its part of the page."""
    picture, hole = entry.make()
    source, mask = work / f"{entry.name}.png", work / f"{entry.name}_mask.png"
    write_picture(source, np.where(hole[..., None], MAGENTA, picture).astype(np.uint8) if entry.painted else picture)
    write_mask(mask, 1 - hole.astype(np.float32))
    words = f"--input {source} {entry.marks.format(mask=mask)} {entry.options} --output {work / 'filled'}"
    arguments = shlex.split(words)
    fill(arguments)
    result = read_picture(work / "filled" / source.name)
    image = pictures / f"{entry.name}.jpg"
    write_jpeg(image, row_of(entry, picture, hole, result))
    share = f"hole {hole.mean():.0%}"
    measured = f"{share}, {psnr(picture, result):.1f} dB" if entry.truth else share
    height, width = hole.shape
    return (
        f"## {entry.title}\n\n![{entry.title}](images/gallery/{image.name})\n\n{width}×{height}, {measured}. "
        f"{entry.words}\n\n```bash\npython test.py {' '.join(arguments)}\n```\n"
    )


def write_jpeg(path: Path, picture: np.ndarray) -> None:
    """Smaller than ``write_picture`` makes it: the page is looked at, not measured."""
    with atomic_path(path) as temporary:
        Image.fromarray(picture).save(temporary, quality=85, optimize=True)


ENTRIES: tuple[Entry, ...] = (
    Entry(
        "face",
        "128 px: a face under strokes",
        "The mouth, the chin and the hair continue across strokes of a few pixels; pictures under 256 px get no copied "
        "texture.",
        generated("face", 3, 0.1),
    ),
    Entry(
        "scratches",
        "451 px: scratches and specks",
        "Stripes of the fur, whiskers and the rims of the eyes continue across thin lines.",
        drawn("chelsea", scratches),
    ),
    Entry(
        "caption",
        "600 px: a caption painted over a photograph",
        "The hole is found by its colour. Edges continue under the letters; some of the spoon's reflections are lost.",
        drawn("coffee", caption),
        marks="--mask_colour magenta",
        painted=True,
    ),
    Entry(
        "specks",
        "512 px: three of four pixels gone",
        "Many holes of one or two pixels are easy to fill. `test.py` warns that 75 % is a large hole; here it is "
        "intended.",
        drawn("astronaut", specks),
        crop=(0, 120, 340, 340),
    ),
    Entry(
        "tower",
        "640 px: an object removed",
        "The sky is filled where the tower was, without a trace. Its foot is outside the box and stays.",
        drawn("rocket", lambda canvas: cv2.rectangle(canvas, (162, 112), (217, 357), 255, -1)),
        marks="--box 162,112,56,246",
        crop=(87, 60, 340, 340),
        truth=False,
    ),
    Entry(
        "strokes",
        "1411 px: broad strokes over a retina",
        "Colours and shading are right. Vessels continue through the strokes, some of them at a wrong place.",
        generated("retina", 5, 0.1),
    ),
    Entry(
        "sheet",
        "4000 px: writing across six photographs",
        "A part at full size: across letters of 100 pixels colours continue and the larger vessels are joined. Each "
        "hole is filled "
        "at its own scale, so the time depends on the holes and not on the picture's size.",
        drawn("sheet", across_the_sheet),
        crop=(640, 1420, 340, 340),
    ),
    Entry(
        "eyes",
        "Failure: a face without its features",
        "A hole over a whole face is filled with pieces of hair, skin and suit. Nothing in the picture fits, and the "
        "network does not know that a face belongs there.",
        drawn("astronaut", lambda canvas: cv2.ellipse(canvas, (222, 120), (48, 62), 0, 0, 360, 255, -1)),
        crop=(20, 90, 256, 256),
    ),
    Entry(
        "rocket",
        "Failure: straight edges across a wide hole",
        "Both ends of the rocket are known, but it is not drawn between them: parts of the tower and of the sky are "
        "copied instead, and their joints show.",
        drawn("rocket", lambda canvas: cv2.rectangle(canvas, (240, 180), (400, 330), 255, -1)),
        crop=(90, 150, 337, 340),
    ),
    Entry(
        "stars",
        "Failure: small objects are not drawn",
        "The galaxies in the hole are replaced by glow, and some texture is repeated.",
        generated("hubble_deep_field", 2, 0.4),
        crop=(200, 200, 340, 340),
    ),
    Entry(
        "single",
        "Failure: the paper's single pass over a hole deeper than it was trained for",
        "`weights/demo` was trained on faces of 128 pixels and fills this picture in one pass at its full size. "
        "Without `--scales 1` the hole would first be shrunk to a size that the network knows.",
        drawn("coffee", lambda canvas: cv2.circle(canvas, (300, 200), 150, 255, -1)),
        options="--weights weights/demo --scales 1",
    ),
)

HEAD = """# Gallery: good and bad results

`python -m docs.make_gallery` writes this page: it makes the pictures and masks in `logs/gallery`, runs the commands
below and measures the results. All photographs come with scikit-image, in the public domain or under CC0:
astronaut and hubble_deep_field (NASA), chelsea (Stefan van der Walt), coffee (Rachel Michetti), retina (Mikael
Häggström), rocket (SpaceX).

From left to right: the picture with a white hole, the result, the truth. Where an object is removed there is no truth;
the picture comes first. The share is that of the hole, dB are PSNR over the whole picture.
"""


def build_parser() -> Parser:
    parser = Parser(prog="python -m docs.make_gallery", description="Make docs/gallery.md and its pictures anew.")
    parser.add_argument("--work", metavar="DIR", default="logs/gallery", help="folder for pictures, masks and results")
    parser.add_argument("--output", metavar="DIR", default="docs", help="folder of gallery.md and of images/gallery")
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    options = build_parser().parse_args(argv)
    work, output = Path(options.work), Path(options.output)
    for option, folder in (("--work", work), ("--output", output)):
        check_folder(option, folder)
    setup_device("cpu")
    fill = _script_main()
    parts = [make(entry, fill, work, output / "images/gallery") for entry in ENTRIES]
    with atomic_path(output / "gallery.md") as temporary:
        temporary.write_text("\n".join([HEAD, *parts]), encoding="utf-8")
    print(f"written: {output / 'gallery.md'}, {len(parts)} pictures")


def _script_main() -> Callable[[Sequence[str]], None]:
    """That of test.py, by its path: Python has a module of that name, too."""
    spec = importlib.util.spec_from_file_location("script_test", ROOT / "test.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.main


if __name__ == "__main__":
    run_cleanly(main)
