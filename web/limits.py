"""Every limit of the page and its HTTP API, in one place. Those that app.py sets are in ``Limits``."""

from dataclasses import dataclass

from web.texts import Refusal

# Requests
MOST_FIELDS = 256  # of a form
MOST_TEXT = 64 << 10  # bytes of a field's text
MOST_CORNERS = 10_000  # of all polygons in a form
FILES_A_REQUEST = 2  # photograph and mask
CONNECTIONS = 500
WAITING = 32  # orders at most, beside the one that is worked on

# Seconds
IDLE = 15  # of a connection until its request has begun
BODY = 300  # of a whole body
UNREAD = 60  # of an answer that its client does not read
LINGER = 2  # of reading on what is refused, so that the client sees the answer
KEPT = 3600  # of a client's files since their last use
SWEEP = 60  # between two removals of what is older

# What the browser shows
VIEW_PIXELS = 8_000_000
VIEW_SIDE = 4096  # pixels, as every browser's canvas takes

KEPT_BYTES = 4 << 30  # of all clients' files together, with what is being received
EACH_BYTES = 4 << 20  # that each photograph counts beside its files, which bounds their number
STEPS = 500  # fills of one photograph; each of its states lists those before it


@dataclass(frozen=True)
class Limits:
    """What one request may take.

    Args:
        megapixels: of a photograph, also after it was extended, and of a mask.
        megabytes: of a file.
        seconds: of decoding and filling together.
    """

    megapixels: float = 40
    megabytes: float = 64
    seconds: float = 120

    def check_pixels(self, width: int, height: int) -> None:
        """Raises Refusal for more than ``megapixels``."""
        if width * height > self.megapixels * 1e6:
            got = f"{width * height / 1e6:.1f}"
            raise Refusal("many_pixels", most=f"{self.megapixels:g}", got=got, width=width, height=height)

    def check_bytes(self, count: int, files: int = 1) -> None:
        """Raises Refusal for more than ``megabytes`` a file, and 1 MiB beside them for a form of several."""
        if count > files * self.megabytes * 2**20 + (2**20 if files > 1 else 0):
            raise Refusal("many_bytes", most=f"{self.megabytes:g}")
