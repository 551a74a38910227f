"""The files of an evaluation."""

import csv
import json
import math

import pytest

from metrics.buckets import Sample, bucket_rows
from metrics.manifest import Pair, read_manifest
from metrics.report import (
    ROW_COLUMNS,
    SAMPLE_COLUMNS,
    markdown_table,
    paper_rows,
    rows_with_spread,
    write_manifest,
    write_report,
)

SAMPLES = [
    Sample("sub/a,1.png", "m.png", "0.1-0.2", "N", 0.15, 1.23456789, 30.123456, 0.9),
    Sample("b.png", "n.png", "0.2-0.3", "B", 0.25, 0.0, math.inf, 1.0),
    Sample("c.png", "o.png", None, "N", 0.0, 0.0, math.inf, 1.0),
]
PROTOCOL = {"method": "telea", "size": None, "versions": {"numpy": "2"}}


@pytest.fixture
def folder(tmp_path):
    rows = rows_with_spread(SAMPLES)
    write_report(tmp_path / "out", PROTOCOL, rows, SAMPLES, markdown_table(rows))
    return tmp_path / "out"


def read_csv(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_the_five_files_and_nothing_else(folder):
    names = {path.name for path in folder.iterdir()}
    assert names == {"report.json", "report.csv", "report.md", "samples.csv", "manifest.csv"}


def test_the_json_report_is_strict_json_without_infinity(folder):
    report = json.loads((folder / "report.json").read_text(encoding="utf-8"), parse_constant=pytest.fail)
    assert report["protocol"] == PROTOCOL
    first, _, identical, _ = report["rows"]
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


def test_numbers_have_a_fixed_number_of_digits(folder):
    assert (folder / "report.csv").read_text().splitlines()[1] == "0.1-0.2,all,1,1.2346,30.1235,0.90000,0" + 9 * ","
    assert read_csv(folder / "report.csv")[2]["psnr"] == ""


def test_means_come_with_their_uncertainty(tmp_path):
    samples = [
        Sample(f"{i}.png", "m.png", "0.1-0.2", "N", 0.15, 1.0, psnr, 0.9) for i, psnr in enumerate((20, 24, math.inf))
    ]
    rows = rows_with_spread(samples)
    write_report(tmp_path / "out", PROTOCOL, rows, samples, markdown_table(rows))
    row = json.loads((tmp_path / "out/report.json").read_text(encoding="utf-8"))["rows"][0]
    assert row["psnr_se"] == 2.0 and 20 <= row["psnr_low"] < 22 < row["psnr_high"] <= 24
    assert (row["ssim_low"], row["ssim_se"], row["ssim_high"]) == (0.9, 0.0, 0.9)
    assert (
        "| (0.1, 0.2] | all | 1.00 to 1.00 | 20.00 to 24.00 | 0.900 to 0.900 |"
        in (tmp_path / "out/report.md").read_text()
    )


def test_one_line_for_each_pair_those_outside_the_buckets_too(folder):
    rows = read_csv(folder / "samples.csv")
    assert tuple(rows[0]) == SAMPLE_COLUMNS
    assert [row["image"] for row in rows] == ["sub/a,1.png", "b.png", "c.png"]
    assert (rows[2]["bucket"], rows[2]["psnr"], rows[2]["hole_ratio"]) == ("", "", "0.000000")


def test_a_manifest_comes_back_even_with_odd_names(tmp_path):
    odd = Sample('new\nline, "quoted".png', "\udcff.png", "0.1-0.2", "N", 0.15, 1.0, 30.0, 0.9)
    for name in (odd.image, odd.mask):
        (tmp_path / name).touch()
    write_manifest(tmp_path / "m.csv", [odd])
    assert read_manifest(tmp_path / "m.csv", tmp_path, tmp_path) == [Pair(odd.image, odd.mask)]


def test_a_failed_write_leaves_the_old_file_and_no_temporary(tmp_path):
    write_manifest(tmp_path / "m.csv", SAMPLES)
    before = (tmp_path / "m.csv").read_bytes()
    with pytest.raises(TypeError):
        write_manifest(tmp_path / "m.csv", [*SAMPLES, object()])
    assert (tmp_path / "m.csv").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["m.csv"]


def test_the_papers_figures_stand_beside_their_own_bucket_and_border():
    table = markdown_table(bucket_rows(SAMPLES), paper_rows()).splitlines()
    assert "| (0.1, 0.2] | all | 1 | 1.23 | 30.12 | 0.900 | 0 | – | – | – |" in table
    assert "| (0.1, 0.2] | N | 1 | 1.23 | 30.12 | 0.900 | 0 | 1.18 | 27.71 | 0.867 |" in table
    assert "| (0.2, 0.3] | B | 1 | 0.00 | – | 1.000 | 1 | 1.88 | 25.25 | 0.779 |" in table
    assert "SSIM" in table[-1] and "512x512" in table[-1]


@pytest.mark.parametrize("method", ["PM", "GL", "GntIpt", "Conv", "PConv"])
def test_the_papers_table_is_complete_and_falls_with_the_hole(method):
    rows = paper_rows(method)
    assert len(rows) == 12
    for border in "NB":
        psnr = [row["psnr"] for key, row in rows.items() if key[1] == border]
        assert psnr == sorted(psnr, reverse=True)
