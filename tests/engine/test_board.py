"""What VisualDL shows: a resumed run's records go on where its checkpoint is, and nothing of it ends a training."""

import logging

import numpy as np
import pytest
from visualdl import LogReader

from engine.board import Board


def write_run(folder, first=1, last=6):
    board = Board(folder, first - 1)
    board.hyper_parameters({"lr": 0.1 * first, "model": "a", "seed": 2**32 - 1})
    for iteration in range(first, last + 1):
        board.scalars("loss", {"valid": iteration / 8, "hole": None}, iteration)
    board.picture("samples/a", np.full([4, 6, 3], first, np.uint8), last)
    board.close()
    [path] = folder.glob("vdlrecords.*.log")
    return path


def read(path):
    return LogReader(file_path=str(path))


def curve(path):
    return [(point.id, point.value) for point in read(path).get_data("scalar", "loss/valid")]


def test_a_resumed_run_goes_on_in_its_curves(tmp_path):
    path = write_run(tmp_path, 1, 6)
    assert write_run(tmp_path, 4, 5) == path
    assert curve(path) == [(i, i / 8) for i in range(1, 6)]  # 4 to 6 of the first run are gone
    assert [picture.id for picture in read(path).get_data("image", "samples/a")] == [5]
    [record] = read(path).get_data("hyper_parameters", "hparam")  # of several VisualDL would show the first
    assert record.hparam.hparamInfos[0].float_value == pytest.approx(0.4)


@pytest.mark.parametrize("tail", [b"\x05", b"\x09\0\0\0\0\0\0\0abc", b"\xff" * 40, b"\x03\0\0\0\0\0\0\0abc" * 9])
def test_records_that_were_cut_short_are_left_out(tmp_path, caplog, tail):
    path = write_run(tmp_path, 1, 3)
    with open(path, "ab") as file:
        file.write(tail)
    with caplog.at_level(logging.WARNING, "paddle_pconv"):
        write_run(tmp_path, 4, 5)
    assert f"the last {len(tail)} bytes are no whole records" in caplog.text
    assert curve(path) == [(i, i / 8) for i in range(1, 6)]
