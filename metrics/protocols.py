"""What is measured of a filled picture, under the names that tables are published with.

Each protocol gives l1_percent, psnr in dB and ssim of two 8-bit pictures and their hole. Each defines them differently,
so figures of two protocols cannot be compared. Sources: docs/evaluation.md.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from skimage.color import rgb2gray
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from metrics.image_quality import PEAK, SSIM, SSIM_WINDOW, l1_percent, psnr, ssim
from utils.errors import InputError

EDGE_CONNECT_WINDOW = 51

Measure = Callable[[np.ndarray, np.ndarray, np.ndarray], dict[str, float]]


@dataclass(frozen=True)
class Protocol:
    """A way to measure, and what it is in words, with window, range and rounding.

    Args:
        measure: (gt uint8 [H, W, 3], result uint8 [H, W, 3], hole bool [H, W]) to l1_percent, psnr and ssim.
        window: pixels of SSIM's window; pictures need as many on each side.
        about: of each measure what it is.
    """

    measure: Measure
    window: int
    about: dict[str, str]

    def __call__(self, gt: np.ndarray, result: np.ndarray, hole: np.ndarray) -> dict[str, float]:
        if min(hole.shape) < self.window:
            height, width = hole.shape
            raise InputError(
                f"expected at least {self.window} pixels on each side for SSIM's window, got {width}x{height}: "
                "choose a larger --size or take the picture out"
            )
        return self.measure(gt, result, hole)


def whole(gt: np.ndarray, result: np.ndarray, hole: np.ndarray) -> dict[str, float]:
    """All over the whole picture."""
    return {"l1_percent": l1_percent(gt, result), "psnr": psnr(gt, result), "ssim": ssim(gt, result)}


def hole_only(gt: np.ndarray, result: np.ndarray, hole: np.ndarray) -> dict[str, float]:
    """All over the pixels of the hole; without one the two are identical."""
    if not hole.any():
        return {"l1_percent": 0.0, "psnr": math.inf, "ssim": 1.0}
    difference = gt[hole].astype(np.float64) - result[hole]
    error = float((difference**2).mean())
    quality = 10 * math.log10(PEAK**2 / error) if error else math.inf
    _, by_pixel = structural_similarity(gt, result, full=True, **SSIM)
    return {"l1_percent": _l1_in(gt, result, hole), "psnr": quality, "ssim": float(by_pixel[hole].mean())}


def mmagic(gt: np.ndarray, result: np.ndarray, hole: np.ndarray) -> dict[str, float]:
    """l1 over the hole, PSNR and SSIM over the whole picture."""
    return {**whole(gt, result, hole), "l1_percent": _l1_in(gt, result, hole)}


def edge_connect(gt: np.ndarray, result: np.ndarray, hole: np.ndarray) -> dict[str, float]:
    """Of the two in grey: 100 · Σ|a − b| / Σ(a + b), PSNR, and SSIM with a box of 51 pixels."""
    a, b = (rgb2gray(picture / PEAK) for picture in (gt, result))
    total = float((a + b).sum())
    with np.errstate(divide="ignore"):  # identical pictures: the inf is meant
        quality = float(peak_signal_noise_ratio(a, b, data_range=1))
    return {
        "l1_percent": 100 * float(np.abs(a - b).sum()) / total if total else 0.0,
        "psnr": quality,
        "ssim": float(structural_similarity(a, b, data_range=1, win_size=EDGE_CONNECT_WINDOW)),
    }


def _l1_in(gt: np.ndarray, result: np.ndarray, hole: np.ndarray) -> float:
    if not hole.any():
        return 0.0
    return float(100 * np.abs(gt[hole].astype(np.int16) - result[hole]).mean() / PEAK)


_GAUSSIAN = "Gaussian window of 11 pixels, sigma 1.5, of each channel, range 255"
_WHOLE = {
    "l1_percent": "100 · mean |a − b| / 255 over the picture",
    "psnr": "peak 255, over the picture",
    "ssim": f"{_GAUSSIAN}, over the picture",
}
_COMPOSITE = "the result in the hole, the picture elsewhere, 8 bits"

PROTOCOLS: dict[str, Protocol] = {
    "composite": Protocol(whole, SSIM_WINDOW, {"of": _COMPOSITE, **_WHOLE}),
    "raw": Protocol(whole, SSIM_WINDOW, {"of": "the network's whole output, clipped, 8 bits", **_WHOLE}),
    "hole_only": Protocol(
        hole_only,
        SSIM_WINDOW,
        {
            "of": _COMPOSITE,
            "l1_percent": "100 · mean |a − b| / 255 over the hole",
            "psnr": "peak 255, over the hole",
            "ssim": f"{_GAUSSIAN}, mirrored borders, mean of the windows around the hole's pixels",
        },
    ),
    "mmagic": Protocol(
        mmagic, SSIM_WINDOW, {"of": _COMPOSITE, **_WHOLE, "l1_percent": "100 · mean |a − b| / 255 over the hole"}
    ),
    "edge_connect": Protocol(
        edge_connect,
        EDGE_CONNECT_WINDOW,
        {
            "of": f"{_COMPOSITE}, then grey in [0, 1]: 0.2125 R + 0.7154 G + 0.0721 B",
            "l1_percent": "100 · Σ|a − b| / Σ(a + b) over the picture",
            "psnr": "peak 1, over the picture",
            "ssim": f"box of {EDGE_CONNECT_WINDOW} pixels, sample covariance, range 1, over the picture",
        },
    ),
}
