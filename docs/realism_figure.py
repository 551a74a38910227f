"""Draws docs/images/realism.jpg and prints the tables of docs/evaluation.md: python docs/realism_figure.py

Photographs and textures are scikit-image's own.
"""

import sys
from pathlib import Path

import cv2
import numpy as np
import skimage.data

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from datasets.images import write_picture
from inpainting import Inpainter
from inpainting.classical import CLASSICAL
from metrics.protocols import hole_only
from metrics.realism import Realism

PICTURES = {"chelsea": (slice(0, 288), slice(60, 444)), "coffee": (slice(100, 388), slice(150, 534))}
PANEL = (288, 384)  # height, width in pixels
CAPTION = 22  # pixels


def person(height: int, width: int, x: float, y: float, size: float) -> np.ndarray:
    """A standing figure: bool [height, width]; x, y: its middle, size: its height, as shares of the picture's sides."""
    hole, unit = np.zeros([height, width], np.uint8), size * height / 8
    cx, cy = x * width, y * height

    def ellipse(dx, dy, rx, ry):
        center = (round(cx + dx * unit), round(cy + dy * unit))
        cv2.ellipse(hole, center, (round(rx * unit), round(ry * unit)), 0, 0, 360, 1, -1)

    ellipse(0, -3.2, 0.6, 0.8)
    ellipse(0, -1, 1, 1.7)
    for side in (-1, 1):
        ellipse(side * 1.1, -0.8, 0.35, 1.6)
        ellipse(side * 0.5, 2, 0.45, 2)
    return hole > 0


def known_cases(picture: np.ndarray, hole: np.ndarray) -> dict[str, np.ndarray]:
    """Fills of which it is known what they should be told to be."""
    gravel = cv2.resize(skimage.data.gravel(), picture.shape[1::-1]).astype(float)[..., None].repeat(3, axis=2)
    gravel += picture[hole].mean(axis=0) - gravel[hole].mean(axis=0)
    noise = np.random.default_rng(0).normal(0, 20, picture.shape) + cv2.GaussianBlur(picture, None, 6)
    return {
        "the truth": picture,
        "the truth, blurred (sigma 2)": cv2.GaussianBlur(picture, None, 2),
        "the truth, blurred (sigma 6)": cv2.GaussianBlur(picture, None, 6),
        "the same with noise of 20 levels": noise,
        "the picture 70 pixels further left": np.roll(picture, 70, axis=1),
        "gravel of the same mean colour": gravel,
    }


def main() -> None:
    measure, network = Realism(), Inpainter.from_checkpoint("weights/general_l1", detail=False)
    methods = {"telea": CLASSICAL["telea"], "weights/general_l1": network, "patchmatch": CLASSICAL["patchmatch"]}
    rows = []
    for i, (name, part) in enumerate(PICTURES.items()):
        picture = np.ascontiguousarray(getattr(skimage.data, name)()[part])
        hole = person(*PANEL, x=(0.3, 0.28)[i], y=(0.62, 0.45)[i], size=0.62)
        if i == 0:
            print("| chelsea, hole filled with | PSNR in the hole | style | sharpness | Fréchet of this pair |")
            print("| --- | --- | --- | --- | --- |")
            for case, fill in known_cases(picture, hole).items():
                print(f"| {case} | {' | '.join(figures(measure, picture, hole, fill))} |")
            print()
        panels = [panel(np.where(hole[..., None], np.uint8(255), picture), f"{name}, hole")]
        for method, inpaint in methods.items():
            psnr, style, sharp, _ = figures(measure, picture, hole, result := inpaint(picture, hole))
            print(f"{name}, {method}: PSNR {psnr}, style {style}, sharpness {sharp}")
            panels.append(panel(result, f"{method}: {psnr} dB, style {style}, sharp {sharp}"))
        rows.append(np.concatenate([*panels, panel(picture, "truth")], axis=1))
    grid = cv2.resize(np.concatenate(rows), None, fx=0.75, fy=0.75, interpolation=cv2.INTER_AREA)
    write_picture(Path(__file__).parent / "images/realism.jpg", grid)


def figures(measure: Realism, picture: np.ndarray, hole: np.ndarray, fill: np.ndarray) -> list[str]:
    """PSNR in the hole, style, sharpness and the Fréchet distance as text."""
    filled = np.where(hole[..., None], np.rint(fill).clip(0, 255), picture).astype(np.uint8)
    found = measure(picture, filled, hole)
    psnr = hole_only(picture, filled, hole)["psnr"]
    return [f"{psnr:.1f}", f"{found.style:.3f}", f"{found.sharpness:.2f}", f"{found.pool3.frechet(0):.3f}"]


def panel(picture: np.ndarray, caption: str) -> np.ndarray:
    area = np.full([PANEL[0] + CAPTION, PANEL[1] + 6, 3], 255, np.uint8)
    area[: PANEL[0], : PANEL[1]] = picture
    cv2.putText(area, caption, (2, PANEL[0] + 16), cv2.FONT_HERSHEY_SIMPLEX, 0.48, (0, 0, 0), 1, cv2.LINE_AA)
    return area


if __name__ == "__main__":
    main()
