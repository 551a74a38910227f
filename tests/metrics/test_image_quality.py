"""L1, PSNR and SSIM against their formulas written out."""

import math
import warnings

import numpy as np
import pytest

from metrics.image_quality import l1_percent, psnr, ssim
from utils.errors import InputError


@pytest.fixture
def pictures():
    rng = np.random.default_rng(0)
    gt = rng.integers(0, 256, [17, 23, 3], dtype=np.uint8)
    noisy = np.clip(gt + rng.normal(0, 30, gt.shape), 0, 255).astype(np.uint8)
    return gt, noisy


def ssim_by_loops(a, b):
    """Wang et al. 2004, window by window: 11 x 11 Gaussian, sigma 1.5, weights that sum to one."""
    offsets = np.arange(-5, 6)
    window = np.exp(-(offsets[:, None] ** 2 + offsets[None] ** 2) / (2 * 1.5**2))
    window /= window.sum()
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    values = []
    for channel in range(3):
        for i in range(a.shape[0] - 10):
            for j in range(a.shape[1] - 10):
                x, y = (p[i : i + 11, j : j + 11, channel].astype(float) for p in (a, b))
                mean_x, mean_y = (window * x).sum(), (window * y).sum()
                var_x, var_y = (window * (x - mean_x) ** 2).sum(), (window * (y - mean_y) ** 2).sum()
                cov = (window * (x - mean_x) * (y - mean_y)).sum()
                luminance = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
                values.append(luminance * (2 * cov + c2) / (var_x + var_y + c2))
    return np.mean(values)


def test_l1_is_the_mean_difference_over_the_whole_picture(pictures):
    gt, noisy = (p.astype(float) for p in pictures)
    assert l1_percent(*pictures) == pytest.approx(100 * np.abs(gt / 255 - noisy / 255).mean(), rel=1e-12)


def test_l1_does_not_wrap_around_at_eight_bits():
    black, white = np.zeros([4, 4, 3], np.uint8), np.full([4, 4, 3], 255, np.uint8)
    assert l1_percent(black, white) == l1_percent(white, black) == 100


def test_psnr_is_its_formula(pictures):
    gt, noisy = (p.astype(float) for p in pictures)
    assert psnr(*pictures) == pytest.approx(10 * math.log10(255**2 / ((gt - noisy) ** 2).mean()), rel=1e-12)


def test_ssim_agrees_with_a_loop_over_windows(pictures):
    assert ssim(*pictures) == pytest.approx(ssim_by_loops(*pictures), abs=1e-9)


def test_identical_pictures_without_a_warning(pictures):
    gt = pictures[0]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert (l1_percent(gt, gt), psnr(gt, gt), ssim(gt, gt)) == (0, math.inf, pytest.approx(1, abs=1e-12))


@pytest.mark.parametrize("metric", [l1_percent, psnr, ssim])
def test_all_are_symmetric(metric, pictures):
    gt, noisy = pictures
    assert metric(gt, noisy) == pytest.approx(metric(noisy, gt), rel=1e-12)


def test_ssim_refuses_what_its_window_does_not_fit():
    fits, narrow = np.zeros([11, 11, 3], np.uint8), np.zeros([30, 10, 3], np.uint8)
    assert ssim(fits, fits) == 1
    with pytest.raises(InputError, match=r"11x11.*10x30.*--size"):
        ssim(narrow, narrow)


@pytest.mark.parametrize("metric", [l1_percent, psnr, ssim])
def test_other_shapes_and_types_are_refused(metric):
    picture = np.zeros([16, 16, 3], np.uint8)
    for other in (picture[:, :, :1], picture[:12], picture.astype(np.float32)):
        with pytest.raises(ValueError, match="uint8"):
            metric(picture, other)
