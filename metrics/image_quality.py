"""L1, PSNR and SSIM of two 8-bit pictures, as the published inpainting tables measure them.

    l1 % = 100 · mean|a − b| / 255        PSNR = 10 · log10(255² / mean (a − b)²) dB

SSIM is that of Wang et al. 2004: a Gaussian window of sigma 1.5 cut at 11 × 11 pixels, covariances over N (not N − 1),
per channel, then averaged. All three are over the whole picture, not only the hole.
"""

import numpy as np
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

PEAK = 255
SSIM_WINDOW = 11  # pixels: sigma 1.5, cut at 3.5 sigma
SSIM = {"channel_axis": 2, "data_range": PEAK, "gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False}


def l1_percent(gt: np.ndarray, comp: np.ndarray) -> float:
    """Mean absolute difference in percent of the full range.

    Shape:
        gt, comp: uint8 [H, W, 3]. Returns 0 to 100.
    """
    _check_pair(gt, comp)
    return float(100 * np.abs(gt.astype(np.int16) - comp).mean() / PEAK)


def psnr(gt: np.ndarray, comp: np.ndarray) -> float:
    """Peak signal-to-noise ratio in dB, peak 255; inf when the two are identical.

    Shape:
        gt, comp: uint8 [H, W, 3].
    """
    _check_pair(gt, comp)
    with np.errstate(divide="ignore"):  # identical pictures: the inf is meant
        return float(peak_signal_noise_ratio(gt, comp, data_range=PEAK))


def ssim(gt: np.ndarray, comp: np.ndarray) -> float:
    """Structural similarity, -1 to 1; 1 when the two are identical.

    Shape:
        gt, comp: uint8 [H, W, 3], both sides at least 11 pixels.
    Source:
        Wang et al. 2004, Image quality assessment: from error visibility to structural similarity.
    """
    _check_pair(gt, comp)
    return float(structural_similarity(gt, comp, **SSIM))


def _check_pair(gt: np.ndarray, comp: np.ndarray) -> None:
    if gt.shape != comp.shape or gt.ndim != 3 or gt.dtype != np.uint8 or comp.dtype != np.uint8:
        raise ValueError(
            "expected two uint8 pictures [H, W, 3] of one shape, "
            f"got {gt.dtype} {list(gt.shape)} and {comp.dtype} {list(comp.shape)}"
        )
