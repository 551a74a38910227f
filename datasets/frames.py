"""Frames of a video file or of a folder, in order: uint8 [H, W, 3] RGB, all of one size."""

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from datasets.images import MAX_PIXELS, list_pictures, read_picture
from utils.errors import InputError
from utils.files import kind_of, open_regular

_VIDEO = "a video that OpenCV can decode (MP4, AVI, MKV, WebM ...), a folder of frames or a text file that lists them"

# Read by OpenCV when it first opens a video. Level -8 silences FFmpeg; playlists cannot make it open addresses.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")
os.environ.setdefault("OPENCV_FFMPEG_CAPTURE_OPTIONS", "protocol_whitelist;file")
cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # its lines about a file that is no video


class Frames:
    """The frames of ``source``, in order, read on demand.

    Args:
        source: a video; a folder whose pictures, sorted by name, are the frames; or a ``.txt`` file with one path a
            line.
    Attributes:
        name: file or folder name of the source.
        count: number of frames as stated by the file; 0 if it does not say.
    Raises:
        InputError: no such file, or one that cannot be decoded; while reading, a frame that is unreadable or of
            another size.
    """

    def __init__(self, source: str | os.PathLike):
        self.source = Path(source)
        self._is_video = kind_of(source) != "folder" and self.source.suffix.lower() != ".txt"
        if self._is_video:
            with _opened(self.source) as video:
                self.count = max(0, int(video.get(cv2.CAP_PROP_FRAME_COUNT)))
        else:
            self._paths = _in_order(list_pictures(source))
            self.count = len(self._paths)
        self.name = self.source.resolve().name

    def __iter__(self) -> Iterator[np.ndarray]:
        size = None
        for number, frame in enumerate(self._of_video() if self._is_video else map(read_picture, self._paths)):
            size = size or frame.shape
            if frame.shape != size:
                which = f"frame {number} of {self.source}" if self._is_video else self._paths[number]
                raise InputError(
                    f"{which}: expected {size[1]}x{size[0]} pixels as in the first frame, got "
                    f"{frame.shape[1]}x{frame.shape[0]}; give the frames of one video only"
                )
            yield frame

    def _of_video(self) -> Iterator[np.ndarray]:
        with _opened(self.source) as video:
            while True:
                found, frame = video.read()
                if not found:
                    return
                yield cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)


def _in_order(paths: list[Path]) -> list[Path]:
    """Sorted by the numbers in their names: 9.png before 10.png."""
    return sorted(paths, key=lambda path: [int(n) if n.isdigit() else n for n in re.split("([0-9]+)", path.as_posix())])


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[cv2.VideoCapture]:
    open_regular(path, _VIDEO).close()
    try:  # an absolute path is not taken for an address or for the pattern of a series of pictures
        video = cv2.VideoCapture(os.path.abspath(path), cv2.CAP_FFMPEG)
    except (UnicodeError, cv2.error):
        raise InputError(f"{path}: expected {_VIDEO}, got a name that OpenCV cannot open; rename it") from None
    try:
        width, height = (int(video.get(side)) for side in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
        if not video.isOpened() or min(width, height) < 1:
            raise InputError(f"{path}: expected {_VIDEO}, got a file that is none; convert it, or give its frames")
        if width * height > MAX_PIXELS:
            raise InputError(
                f"{path}: expected frames of at most {MAX_PIXELS // 10**6} million pixels, got {width}x{height}; "
                "shrink the video"
            )
        yield video
    finally:
        video.release()
