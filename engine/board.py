"""What VisualDL shows of a run: curves, pictures, hyper-parameters, histograms of its filters."""

import logging
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
from google.protobuf.message import DecodeError
from paddle import nn
from visualdl import LogWriter
from visualdl.proto.record_pb2 import Record

from utils.errors import one_line
from utils.files import refuse_folder_or_pipe

log = logging.getLogger("paddle_pconv")

COMPARED_BY = ["val_psnr/all", "val_ssim/all", "val_l1_percent/all", "loss_weighted/total"]  # curves
BUCKETS = 50  # of a histogram
SHORTEST = 14  # bytes of a record; none that is written is as short
MAX_VALUES = 100_000  # of a histogram: of more weights, evenly spaced ones


class Board:
    """Writes VisualDL's files of a run; a resumed one goes on in the same.

    Args:
        directory: logs/<name>.
        last_iter: iterations that are done. What was recorded behind them, by a run that went further than its last
            checkpoint, is blanked.
    """

    def __init__(self, directory: Path, last_iter: int):
        self.directory = directory
        records = sorted(directory.glob("vdlrecords.*.log"))  # of a folder VisualDL shows one such file
        if records:
            _keep_records(records[-1], last_iter)
        self._writer = LogWriter(logdir=str(directory), file_name=records[-1].name if records else "")

    def hyper_parameters(self, options: dict[str, str | int | float]) -> None:
        """The run's options; a warning instead if a file name cannot be encoded."""
        options = {key: int(value) if isinstance(value, bool) else value for key, value in options.items()}
        try:
            self._writer.add_hparams(options, COMPARED_BY)
        except UnicodeEncodeError as error:
            log.warning(f"VisualDL shows no options of the run: {one_line(error, 200)}")

    def scalars(self, group: str, values: dict[str, float | None], iteration: int) -> None:
        for name, value in values.items():
            if value is not None:
                self._writer.add_scalar(tag=f"{group}/{name}", value=value, step=iteration)

    def picture(self, tag: str, picture: np.ndarray, iteration: int) -> None:
        """A picture uint8 [H, W, 3]."""
        self._writer.add_image(tag, np.array(picture), step=iteration)  # VisualDL may change what it is given

    def weights(self, model: nn.Layer, iteration: int) -> None:
        """A histogram of each convolution's filters."""
        for name, parameter in model.named_parameters():
            if parameter.ndim < 2:
                continue
            step = -(-parameter.size // MAX_VALUES)
            values = parameter.detach().flatten()[::step].astype("float32").numpy()
            values = values[np.isfinite(values)]
            if len(values):
                self._writer.add_histogram(f"weights/{name}", values, iteration, buckets=BUCKETS)

    def close(self) -> None:
        self._writer.close()


def _keep_records(path: Path, last_iter: int) -> None:
    """Blank the records behind ``last_iter`` and those of the options, which are written anew; cut off broken ones.

    All other records stay where they are, because a running VisualDL server continues to read from its position.
    """
    refuse_folder_or_pipe(path)
    with open(path, "r+b") as file:
        for data in _whole_records(file, path):
            [value] = Record.FromString(data).values
            if value.id > last_iter or value.WhichOneof("one_value") == "hparam":
                file.seek(-len(data), os.SEEK_CUR)
                file.write(_blank(len(data)))
        file.truncate()


def _whole_records(file: BinaryIO, path: Path) -> Iterator[bytes]:
    """Each record's bytes, up to the first one that is damaged or cut short by a kill."""
    end = path.stat().st_size
    while left := end - file.tell():
        start, data = file.tell(), None
        if left >= 8 and (length := struct.unpack("<Q", file.read(8))[0]) <= left - 8:
            data = file.read(length)
        if data is None or not _is_record(data):
            log.warning(f"{path}: the last {left} bytes are no whole records and are left out")
            file.seek(start)
            return
        yield data


def _blank(length: int) -> bytes:
    """A record of that many bytes that shows nothing: an empty run name, padded by a field unknown to VisualDL."""
    for tag in ("", "-", "--"):  # not every number of zeros can be written behind one of these
        record = Record(values=[Record.Value(tag=tag, meta_data=Record.MetaData())]).SerializeToString()
        for digits in range(1, 6):
            zeros = length - len(record) - 1 - digits
            if zeros >= 0 and len(count := _varint(zeros)) == digits:
                return record + b"\x7a" + count + bytes(zeros)  # field 15, bytes
    raise ValueError(f"expected the length of a record, got {length}")


def _varint(number: int) -> bytes:
    """A number as protocol buffers write it: seven bits a byte, the lowest first."""
    digits = [number & 127]
    while number := number >> 7:
        digits.append(number & 127)
    return bytes([*(digit | 128 for digit in digits[:-1]), digits[-1]])


def _is_record(data: bytes) -> bool:
    try:
        return len(data) >= SHORTEST and len(Record.FromString(data).values) == 1
    except DecodeError:
        return False
