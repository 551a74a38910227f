"""Frames of a video file or of a folder, in order: uint8 [H, W, 3] RGB, all of one size."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from datasets.images import list_pictures, read_picture
from utils.errors import InputError
from utils.files import kind_of, open_regular

_VIDEO = "a video that OpenCV can decode (MP4, AVI, MKV, WebM ...), a folder of frames or a text file that lists them"

# Read by OpenCV when it first opens a video. Level -8 silences FFmpeg; playlists cannot make it open addresses.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
os.environ.setdefault("OPENCV_FFMPEG_CAPTURE_OPTIONS", "protocol_whitelist;file")
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # its lines about a file that is no video


def read_frames(source: str | os.PathLike) -> Iterator[np.ndarray]:
    """The frames of a video; of a folder, by the numbers in their names; or of a ``.txt`` file with one path a line.

    Raises:
        InputError: no such file, one that cannot be decoded, or a frame of another size than the first.
    """
    is_video = kind_of(source) != "folder" and Path(source).suffix.lower() != ".txt"
    size = None
    for number, frame in enumerate(_of_video(Path(source)) if is_video else map(read_picture, _in_order(source))):
        size = size or frame.shape
        if frame.shape != size:
            raise InputError(
                f"{source}: expected frames of one size, {size[1]}x{size[0]}, got {frame.shape[1]}x{frame.shape[0]} in "
                f"frame {number}; give the frames of one video only"
            )
        yield frame


def _in_order(source: str | os.PathLike) -> list[Path]:
    """Sorted by the numbers in their names: 9.png before 10.png."""
    return sorted(list_pictures(source), key=lambda path: [int(n) for n in re.findall("[0-9]+", path.as_posix())])


def _of_video(path: Path) -> Iterator[np.ndarray]:
    open_regular(path, _VIDEO).close()
    # An absolute path is not taken for an address or for the pattern of a series of pictures.
    video = cv2.VideoCapture(os.path.abspath(path), cv2.CAP_FFMPEG)
    if not video.isOpened():
        raise InputError(f"{path}: expected {_VIDEO}, got a file that is none; convert it, or give its frames")
    while True:
        found, frame = video.read()
        if not found:
            return
        yield cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
