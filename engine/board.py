"""What VisualDL shows of a run: curves, pictures, hyper-parameters, histograms of its filters."""

import logging
from pathlib import Path

import numpy as np
from google.protobuf.message import DecodeError
from paddle import nn
from visualdl import LogWriter
from visualdl.proto.record_pb2 import Record

from utils.errors import one_line
from utils.files import atomic_path

log = logging.getLogger("paddle_pconv")

COMPARED_BY = ["val_psnr/all", "val_ssim/all", "val_l1_percent/all", "loss_weighted/total"]  # curves
BUCKETS = 50  # of a histogram
MAX_VALUES = 100_000  # of a histogram: of more weights, evenly spaced ones


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
    """Leave out the records behind ``last_iter``, those of the options, which are written anew, and broken ones."""
    data, kept, at = path.read_bytes(), [], 0
    while at < len(data):
        end = at + 8 + int.from_bytes(data[at : at + 8], "little")
        record = _record(data[at + 8 : end]) if end <= len(data) else None
        if record is None:
            log.warning(f"{path}: the last {len(data) - at} bytes are no whole records and are left out")
            break
        if record.id <= last_iter and record.WhichOneof("one_value") != "hparam":
            kept.append(data[at:end])
        at = end
    with atomic_path(path) as temporary:
        temporary.write_bytes(b"".join(kept))


def _record(data: bytes) -> Record.Value | None:
    """The one value of a record; None where these bytes, cut short by a kill, are none."""
    try:
        values = Record.FromString(data).values
    except DecodeError:
        return None
    return values[0] if len(values) == 1 else None
