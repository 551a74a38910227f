"""What a client may ask of the server: sizes and times, stated on the page and held to before the work."""

import contextlib
import os
from dataclasses import dataclass

from PIL import Image

from datasets.images import FORMATS
from utils.files import open_regular
from web.texts import Told

KEPT = 3600  # seconds that files of clients stay
WAITING = 32  # clients at most, beside the one that is served
DECODERS = 2  # photographs that are decoded for the page at a time


@dataclass(frozen=True)
class Limits:
    """What one request may take.

    Args:
        megapixels: of a photograph or a mask.
        megabytes: of a file, and of a whole request.
        seconds: of filling.
    """

    megapixels: float = 40
    megabytes: float = 64
    seconds: float = 120

    @property
    def bytes(self) -> int:
        return int(self.megabytes * 2**20)

    def check(self, path: str | os.PathLike) -> None:
        """Refuse a picture file that is too large; of what is inside, nothing is decoded. Others are left to readers.

        Raises:
            Told: too many bytes or pixels.
        """
        if os.path.getsize(path) > self.bytes:
            raise Told("many_bytes", most=f"{self.megabytes:g}")
        width, height = picture_size(path)
        if width * height > self.megapixels * 1e6:
            got = f"{width * height / 1e6:.1f}"
            raise Told("many_pixels", most=f"{self.megapixels:g}", got=got, width=width, height=height)


def picture_size(path: str | os.PathLike) -> tuple[int, int]:
    """Width and height that a file's head claims; zeros for what is no picture."""
    with contextlib.suppress(Exception), open_regular(path, "a picture") as file:  # damaged bytes raise nearly any type
        try:
            return Image.open(file, formats=FORMATS).size
        except Image.DecompressionBombError:
            return 2**20, 2**20  # beyond every limit
    return 0, 0
