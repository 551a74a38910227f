"""What VisualDL shows of a run: curves and pictures."""

import os
from pathlib import Path

import numpy as np
from google.protobuf.message import DecodeError
from visualdl import LogWriter
from visualdl.proto.record_pb2 import Record


class Board:
    """Writes VisualDL's files of a run; a resumed one goes on in the same.

    Args:
        directory: logs/<name>.
        last_iter: iterations that are done. What was recorded behind them, by a run that went further than its last
            checkpoint, is removed; a VisualDL server that runs has to be started anew.
    """

    def __init__(self, directory: Path, last_iter: int):
        self.directory = directory
        records = sorted(directory.glob("vdlrecords.*.log"))  # of a folder VisualDL shows one such file
        if records:
            _cut_records(records[-1], last_iter)
        self._writer = LogWriter(logdir=str(directory), file_name=records[-1].name if records else "")

    def scalars(self, group: str, values: dict[str, float | None], iteration: int) -> None:
        for name, value in values.items():
            if value is not None:
                self._writer.add_scalar(tag=f"{group}/{name}", value=value, step=iteration)

    def picture(self, tag: str, picture: np.ndarray, iteration: int) -> None:
        """A picture uint8 [H, W, 3]."""
        self._writer.add_image(tag, np.array(picture), step=iteration)  # VisualDL may change what it is given

    def close(self) -> None:
        self._writer.close()


def _cut_records(path: Path, last_iter: int) -> None:
    """Cut the file at the first record behind ``last_iter``, or at the first that a kill left broken."""
    data, at = path.read_bytes(), 0
    while at < len(data):
        end = at + 8 + int.from_bytes(data[at : at + 8], "little")
        try:
            values = Record.FromString(data[at + 8 : end]).values
        except DecodeError:
            break
        if end > len(data) or not values or values[0].id > last_iter:
            break
        at = end
    os.truncate(path, at)
