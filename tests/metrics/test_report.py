"""The files of an evaluation."""

import json
import math

import pytest

from metrics.buckets import Sample
from metrics.manifest import Pair, read_manifest
from metrics.report import ROW_COLUMNS, manifest_csv, markdown_table, report_files, rows_with_spread
from utils.errors import InputError

SAMPLES = [
    Sample("sub/a,1.png", "m.png", "0.1-0.2", "N", 0.15, 1.23456789, 30.123456, 0.9),
    Sample("b.png", "n.png", "0.2-0.3", "B", 0.25, 0.0, math.inf, 1.0),
    Sample("c.png", "o.png", None, "N", 0.0, 0.0, math.inf, 1.0),
]
PROTOCOL = {"method": "telea", "size": None, "versions": {"numpy": "2"}}


def files_of(samples):
    rows = rows_with_spread(samples)
    files = report_files(PROTOCOL, rows, samples, markdown_table(rows))
    return {name: content.decode() for name, content in files.items()}


@pytest.fixture
def files():
    return files_of(SAMPLES)


def test_the_json_report_is_strict_json_without_infinity(files):
    report = json.loads(files["report.json"], parse_constant=pytest.fail)
    assert report["protocol"] == PROTOCOL
    first, _, identical, _, whole = report["rows"]
    assert (whole["bucket"], whole["border"], whole["count"]) == ("all", "all", 3)
    assert {key: first[key] for key in ROW_COLUMNS} == {
        "bucket": "0.1-0.2",
        "border": "all",
        "count": 1,
        "l1_percent": 1.2346,
        "psnr": 30.1235,
        "ssim": 0.9,
        "identical": 0,
    }
    assert (identical["psnr"], identical["identical"]) == (None, 1)


def test_means_come_with_their_uncertainty():
    samples = [
        Sample(f"{i}.png", "m.png", "0.1-0.2", "N", 0.15, 1.0, psnr, 0.9) for i, psnr in enumerate((20, 24, math.inf))
    ]
    files = files_of(samples)
    row = json.loads(files["report.json"])["rows"][0]
    assert row["psnr_se"] == 2.0 and 20 <= row["psnr_low"] < 22 < row["psnr_high"] <= 24
    assert (row["ssim_low"], row["ssim_se"], row["ssim_high"]) == (0.9, 0.0, 0.9)
    assert "| (0.1, 0.2] | all | 1.00 to 1.00 | 20.00 to 24.00 | 0.900 to 0.900 |" in files["report.md"]


def test_a_manifest_comes_back_even_with_odd_names(tmp_path):
    odd = Sample('new\nline, "quoted".png', "\udcff.png", "0.1-0.2", "N", 0.15, 1.0, 30.0, 0.9)
    for name in (odd.image, odd.mask):
        (tmp_path / name).touch()
    (tmp_path / "m.csv").write_bytes(manifest_csv([odd]))
    assert read_manifest(tmp_path / "m.csv", tmp_path, tmp_path) == [Pair(odd.image, odd.mask)]


def test_no_pair_in_any_bucket_is_an_error():
    with pytest.raises(InputError, match=r"got 0 % to 0 % in all 1 pairs"):
        rows_with_spread(SAMPLES[2:])
