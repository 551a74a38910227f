"""Every protocol against its formula in plain NumPy."""

import math

import numpy as np
import pytest
from numpy.lib.stride_tricks import sliding_window_view

from metrics.protocols import PROTOCOLS

MEASURES = ("l1_percent", "psnr", "ssim")


@pytest.fixture
def triple():
    rng = np.random.default_rng(0)
    gt = rng.integers(0, 256, [57, 60, 3], dtype=np.uint8)
    hole = np.zeros([57, 60], bool)
    hole[0:20, 30:60] = hole[40:50, 3:9] = True
    noisy = np.clip(gt + rng.normal(0, 30, gt.shape), 0, 255).astype(np.uint8)
    return gt, np.where(hole[..., None], noisy, gt), hole


def ssim_map(a, b, window, data_range, sample=False):
    """Of [H, W] each, over the windows that fit; window: weights [k, k] that sum to one."""
    k = len(window)
    c1, c2 = (0.01 * data_range) ** 2, (0.03 * data_range) ** 2
    x, y = (sliding_window_view(p.astype(float), [k, k]) for p in (a, b))
    n = k * k / (k * k - 1) if sample else 1.0

    def mean(v):
        return (v * window).sum(axis=(-2, -1))

    mx, my = mean(x), mean(y)
    vx, vy, cov = (n * (mean(p) - q) for p, q in ((x * x, mx * mx), (y * y, my * my), (x * y, mx * my)))
    return (2 * mx * my + c1) * (2 * cov + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2))


def gaussian():
    line = np.exp(-(np.arange(-5, 6) ** 2) / (2 * 1.5**2))
    window = np.outer(line, line)
    return window / window.sum()


def by_channel(a, b):
    return np.stack([ssim_map(a[..., c], b[..., c], gaussian(), 255) for c in range(3)], axis=-1)


def psnr(a, b, peak):
    return 10 * math.log10(peak**2 / np.mean((a.astype(float) - b) ** 2))


def whole(gt, result, hole):
    return 100 * np.abs(gt / 255 - result / 255).mean(), psnr(gt, result, 255), by_channel(gt, result).mean()


def in_the_hole(gt, result, hole):
    mirrored = [np.pad(p, [(5, 5), (5, 5), (0, 0)], mode="symmetric") for p in (gt, result)]
    l1 = 100 * np.abs(gt / 255 - result / 255)[hole].mean()
    return l1, psnr(gt[hole], result[hole], 255), by_channel(*mirrored)[hole].mean()


def of_mmagic(gt, result, hole):
    share = np.broadcast_to(hole[..., None], gt.shape)
    l1 = 100 * (np.abs(gt / 255 - result / 255) * share).sum() / (hole.sum() * 3)
    return l1, psnr(gt, result, 255), by_channel(gt, result).mean()


def of_edge_connect(gt, result, hole):
    a, b = (p / 255 @ np.array([0.2125, 0.7154, 0.0721]) for p in (gt, result))
    ssim = ssim_map(a, b, np.full([51, 51], 1 / 51**2), 1, sample=True).mean()
    return 100 * np.abs(a - b).sum() / (a.sum() + b.sum()), psnr(a, b, 1), ssim


PLAIN = {
    "composite": whole,
    "raw": whole,
    "hole_only": in_the_hole,
    "mmagic": of_mmagic,
    "edge_connect": of_edge_connect,
}


@pytest.mark.parametrize("name", PROTOCOLS)
def test_each_is_its_formula(name, triple):
    found = PROTOCOLS[name](*triple)
    assert [found[measure] for measure in MEASURES] == pytest.approx(PLAIN[name](*triple), abs=1e-9, rel=1e-9)


@pytest.mark.parametrize("name", PROTOCOLS)
def test_identical_pictures_and_no_hole(name, triple):
    gt, _, hole = triple
    for shown in (hole, ~(hole | True)):
        found = PROTOCOLS[name](gt, gt, shown)
        assert (found["l1_percent"], found["psnr"]) == (0, math.inf) and found["ssim"] == pytest.approx(1, abs=1e-12)
    black = np.zeros_like(gt)
    assert PROTOCOLS[name](black, black, hole)["l1_percent"] == 0
