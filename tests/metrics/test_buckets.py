"""Means by bucket and border."""

import math

from datasets.masks import bucket_of
from metrics.buckets import Sample, bucket_rows


def sample(ratio, border="N", l1=1.0, psnr=20.0, ssim=0.5):
    return Sample("p.png", "m.png", bucket_of(ratio), border, ratio, l1, psnr, ssim)


def test_identical_pairs_stay_out_of_the_mean_psnr():
    row = bucket_rows([sample(0.15, psnr=math.inf, l1=0.0), sample(0.15, psnr=30.0, l1=2.0)])[0]
    assert (row["psnr"], row["identical"], row["count"], row["l1_percent"]) == (30, 1, 2, 1)
    only = bucket_rows([sample(0.15, psnr=math.inf)])[0]
    assert (only["psnr"], only["identical"]) == (None, 1)
