"""What the log makes of a validation, identical pairs among them."""

import csv
import logging
import math

import pytest

from engine.logger import RunLogger
from metrics.buckets import Sample, bucket_rows


@pytest.fixture
def logger(tmp_path):
    logger = RunLogger(tmp_path, 10, ("valid", "hole"))
    yield logger
    logger.close()


def pair(bucket, psnr, l1=1.0):
    return Sample("a", "generated", bucket, "N", 0.05, l1, psnr, 0.5)


def row_of(logger):
    with open(logger.csv_path, newline="") as file:
        [row] = csv.DictReader(file)
    return row


def test_a_bucket_of_identical_pairs_alone_has_no_psnr(logger, caplog):
    with caplog.at_level(logging.INFO, "paddle_pconv"):
        logger.validation(5, bucket_rows([pair("0.01-0.1", math.inf, 0.0), pair("0.1-0.2", 20.0, 3.0)]))
    row = row_of(logger)
    assert (row["val_psnr_0.01-0.1"], row["val_psnr_0.1-0.2"], row["val_psnr"]) == ("", "20", "20")
    assert float(row["val_l1_percent"]) == 1.5
    assert "2 pairs" in caplog.text and "psnr: 20.00 dB" in caplog.text and "0.01-0.1: –" in caplog.text


def test_nothing_but_identical_pairs_has_no_psnr_at_all(logger):
    logger.validation(5, bucket_rows([pair("0.01-0.1", math.inf, 0.0)]))
    assert (row_of(logger)["val_psnr"], row_of(logger)["val_ssim"]) == ("", "0.5")


def test_identical_pairs_do_not_weigh_in_the_mean_psnr(logger):
    samples = [pair("0.01-0.1", 40.0), *[pair("0.01-0.1", math.inf, 0.0)] * 3, pair("0.1-0.2", 20.0)]
    logger.validation(5, bucket_rows(samples))
    row = row_of(logger)
    assert float(row["val_psnr"]) == 30.0  # of two pairs; the three others have none
    assert float(row["val_l1_percent"]) == pytest.approx(2 / 5)
