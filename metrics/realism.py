"""Measures of realism: how much a fill looks like a photograph, where PSNR and SSIM reward blur.

All three look at the hole alone and compare the fill with the picture that was there:

    style      mean over pool1, pool2, pool3 of |G_fill − G_truth|_F / |G_truth|_F;  G = Σ f fᵀ over hole positions
    sharpness  (E_fill + ε) / (E_truth + ε);  E = mean squared Laplacian (grey levels²) inside the hole
    Fréchet    Σ_c (μ_fill − μ_truth)² + (σ_fill − σ_truth)², over Σ_c σ_truth², of all hole positions of a set

f are features of the shipped VGG16. A position of a tap is a hole position if its cell (2, 4, 8 pixels a side) touches
the hole. The Fréchet distance takes covariances as diagonal: a few pairs are then enough, and a set needs only sums.
These are not FID or LPIPS and cannot be compared with tables of those.

Sources:
    Gatys et al. 2016, Image Style Transfer Using Convolutional Neural Networks (Gram matrices).
    Heusel et al. 2017, GANs Trained by a Two Time-Scale Update Rule (Fréchet distance of Gaussians).
"""

import base64
import functools
import operator
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

CELLS = (2, 4, 8)  # pixels a side of one position of pool1, pool2, pool3
REACH = 24  # pixels: pool3 looks 18 beyond its cell; a multiple of its cell
TILE = 512  # pixels: bounds the memory of large pictures; a multiple of pool3's cell
ROUNDING = 20 / 12  # ε: squared Laplacian of the noise that rounding to 8 bits leaves
MIN_POSITIONS = 500  # of pool3, below which a Fréchet distance is not given
LAPLACIAN = np.array([[0, 1, 0], [1, -4, 1], [0, 1, 0]], np.float32)


@dataclass(frozen=True, eq=False)
class FeatureSums:
    """Sums over hole positions, which add up over pairs: enough for the diagonal Fréchet distance.

    Shape:
        sums: float64 [4, C], of the fill, its squares, the truth, its squares.
    """

    count: int
    sums: np.ndarray

    @classmethod
    def of(cls, fill: np.ndarray, truth: np.ndarray) -> "FeatureSums":
        """Of features [C, positions]."""
        fill, truth = fill.astype(np.float64), truth.astype(np.float64)
        return cls(fill.shape[1], np.stack([fill.sum(1), (fill**2).sum(1), truth.sum(1), (truth**2).sum(1)]))

    @classmethod
    def from_text(cls, text: str) -> "FeatureSums":
        """What ``text`` gave, bit for bit."""
        numbers = np.frombuffer(base64.b64decode(text, validate=True), "<f8")
        return cls(int(numbers[0]), numbers[1:].reshape(4, -1))

    def text(self) -> str:
        """All of it as base64, for a line of a file."""
        numbers = np.concatenate([[self.count], self.sums.ravel()])
        return base64.b64encode(numbers.astype("<f8").tobytes()).decode("ascii")

    def __add__(self, other: "FeatureSums") -> "FeatureSums":
        return FeatureSums(self.count + other.count, self.sums + other.sums)

    def frechet(self, min_positions: int = MIN_POSITIONS) -> float | None:
        """Distance over the truth's variance, 0 for equal features; None below ``min_positions``."""
        if self.count < min_positions:
            return None
        fill_mean, fill_std = _mean_and_std(self.count, *self.sums[:2])
        truth_mean, truth_std = _mean_and_std(self.count, *self.sums[2:])
        distance = ((fill_mean - truth_mean) ** 2 + (fill_std - truth_std) ** 2).sum()
        return float(distance / (truth_std**2).sum())


@dataclass(frozen=True)
class PairRealism:
    """Of one pair; ``pool3`` is to be added up over the pairs of a set.

    sharpness is None where no pixel has all its four neighbours in the hole.
    """

    style: float
    sharpness: float | None
    pool3: FeatureSums


class Realism:
    """Measures pairs with the shipped VGG16."""

    def __init__(self):
        from losses.vgg import VGG16Features

        self.network = VGG16Features()

    def __call__(self, picture: np.ndarray, filled: np.ndarray, hole: np.ndarray) -> PairRealism | None:
        """Compare a fill with the picture that was there; None without a hole.

        Shape:
            picture, filled: uint8 [H, W, 3].   hole: bool [H, W], True = filled.
        """
        if not hole.any():
            return None
        both = np.stack([filled, picture])
        grams, pool3 = [0.0] * len(CELLS), []
        for tile, window in _tiles(hole):
            taps = self.features(_padded(both[(slice(None), *window)]))
            for i, (tap, cell) in enumerate(zip(taps, CELLS, strict=True)):
                touched = touched_cells(hole[tile], cell)
                fill, truth = _inner(tap, tile, window, cell)[:, :, touched]
                grams[i] = grams[i] + np.stack([fill @ fill.T, truth @ truth.T]).astype(np.float64)
            pool3.append(FeatureSums.of(fill, truth))  # of the last tap
        style = float(np.mean([np.linalg.norm(fill - truth) / np.linalg.norm(truth) for fill, truth in grams]))
        return PairRealism(style, sharpness(picture, filled, hole), functools.reduce(operator.add, pool3))

    def features(self, pictures: np.ndarray) -> list[np.ndarray]:
        """pool1, pool2, pool3 [2, C, h, w] of uint8 [2, H, W, 3], whose sides are multiples of 8."""
        import paddle

        x = paddle.to_tensor(np.ascontiguousarray(pictures.transpose(0, 3, 1, 2)), dtype="float32") / 255
        with paddle.no_grad():
            return [tap.numpy() for tap in self.network(x)]


def sharpness(picture: np.ndarray, filled: np.ndarray, hole: np.ndarray) -> float | None:
    """Laplacian energy of the fill over the picture's, inside the hole; 1 for equal, near 0 for blur.

    Only pixels whose four neighbours are hole too are counted, since the others see known pixels.

    Shape:
        picture, filled: uint8 [H, W, 3].   hole: bool [H, W].
    Example:
        >>> noise = np.random.default_rng(0).integers(0, 256, [32, 32, 3], dtype=np.uint8)
        >>> sharpness(noise, cv2.blur(noise, (5, 5)), np.ones([32, 32], bool)) < 0.2
        True
    """
    cross = np.abs(LAPLACIAN).astype(bool).astype(np.uint8)
    inside = cv2.erode(hole.astype(np.uint8), cross, borderType=cv2.BORDER_CONSTANT, borderValue=1) > 0
    if not inside.any():
        return None
    fill, truth = (_laplacian_energy(p, inside) for p in (filled, picture))
    return (fill + ROUNDING) / (truth + ROUNDING)


def touched_cells(hole: np.ndarray, cell: int) -> np.ndarray:
    """Which cells touch the hole; bool [H, W] to bool [⌈H/cell⌉, ⌈W/cell⌉].

    Example:
        >>> touched_cells(np.array([[0, 0, 1]], bool), 2).tolist()
        [[False, True]]
    """
    height, width = (-(-side // cell) for side in hole.shape)
    padded = np.zeros([height * cell, width * cell], bool)
    padded[: hole.shape[0], : hole.shape[1]] = hole
    return padded.reshape(height, cell, width, cell).any(axis=(1, 3))


def _tiles(hole: np.ndarray) -> Iterator[tuple[tuple[slice, slice], tuple[slice, slice]]]:
    """Boxes that cover the hole, each with the window that its features depend on; both start at pool3's cells."""
    for top in range(0, hole.shape[0], TILE):
        for left in range(0, hole.shape[1], TILE):
            rows, columns = np.nonzero(hole[top : top + TILE, left : left + TILE])
            if len(rows):
                ends = ((top + rows.min(), top + rows.max()), (left + columns.min(), left + columns.max()))
                tile = tuple(
                    slice(low // 8 * 8, min(high // 8 * 8 + 8, side))
                    for (low, high), side in zip(ends, hole.shape, strict=True)
                )
                window = tuple(
                    slice(max(s.start - REACH, 0), min(s.stop + REACH, side))
                    for s, side in zip(tile, hole.shape, strict=True)
                )
                yield tile, window


def _inner(tap: np.ndarray, tile: Sequence[slice], window: Sequence[slice], cell: int) -> np.ndarray:
    """The part of a window's features that belongs to the tile."""
    rows, columns = (
        slice((t.start - w.start) // cell, -(-(t.stop - w.start) // cell)) for t, w in zip(tile, window, strict=True)
    )
    return tap[:, :, rows, columns]


def _padded(pictures: np.ndarray) -> np.ndarray:
    """[2, H, W, 3] to sides that are multiples of 8, by repeating the last row and column."""
    height, width = pictures.shape[1:3]
    return np.pad(pictures, [(0, 0), (0, -height % 8), (0, -width % 8), (0, 0)], mode="edge")


def _laplacian_energy(picture: np.ndarray, inside: np.ndarray) -> float:
    grey = picture.astype(np.float32).mean(axis=2)
    laplacian = cv2.filter2D(grey, cv2.CV_32F, LAPLACIAN, borderType=cv2.BORDER_REPLICATE)
    return float((laplacian[inside].astype(np.float64) ** 2).mean())


def _mean_and_std(count: int, total: np.ndarray, squares: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    mean = total / count
    return mean, np.sqrt(np.maximum(squares / count - mean**2, 0))
