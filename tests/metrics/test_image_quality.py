"""L1, PSNR and SSIM against their formulas written out."""

import math
import warnings

import numpy as np
import pytest

from metrics.image_quality import l1_percent, psnr, ssim


@pytest.fixture
def pictures():
    rng = np.random.default_rng(0)
    gt = rng.integers(0, 256, [17, 23, 3], dtype=np.uint8)
    noisy = np.clip(gt + rng.normal(0, 30, gt.shape), 0, 255).astype(np.uint8)
    return gt, noisy


def test_l1_does_not_wrap_around_at_eight_bits():
    black, white = np.zeros([4, 4, 3], np.uint8), np.full([4, 4, 3], 255, np.uint8)
    assert l1_percent(black, white) == l1_percent(white, black) == 100


def test_identical_pictures_without_a_warning(pictures):
    gt = pictures[0]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert (l1_percent(gt, gt), psnr(gt, gt), ssim(gt, gt)) == (0, math.inf, pytest.approx(1, abs=1e-12))


@pytest.mark.parametrize("metric", [l1_percent, psnr, ssim])
def test_other_shapes_and_types_are_refused(metric):
    picture = np.zeros([16, 16, 3], np.uint8)
    for other in (picture[:, :, :1], picture[:12], picture.astype(np.float32)):
        with pytest.raises(ValueError, match="uint8"):
            metric(picture, other)
