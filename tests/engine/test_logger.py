"""What the log makes of a validation, identical pairs among them."""

import csv
import logging
import math
from pathlib import Path

import pytest

from engine.logger import RunLogger, log_to_terminal
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


def test_lines_are_shown_once_and_in_the_runs_log(tmp_path, capsys):
    log = logging.getLogger("paddle_pconv")
    with log_to_terminal():
        logger = RunLogger(tmp_path, 10, ("valid",))
        log.warning("skipped")
        logger.close()
    assert capsys.readouterr().out == "skipped\n" and "WARNING skipped" in (tmp_path / "train.log").read_text()
    assert not log.handlers


def test_a_full_disk_is_not_passed_over(logger, monkeypatch):
    monkeypatch.setattr(logger, "csv_path", Path("/dev/full"))
    with pytest.raises(OSError, match="No space left"):
        logger.validation(5, bucket_rows([pair("0.01-0.1", 20.0)]))
