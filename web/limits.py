"""Every limit of the page and its HTTP API, in one place. Those that app.py sets are in ``Limits``."""

from dataclasses import dataclass

from web.texts import Refusal

# Requests
MOST_FIELDS = 256  # of a form
MOST_TEXT = 64 << 10  # bytes of all texts in a form
MOST_CORNERS = 10_000  # of all polygons in a form
ROOM_FOR_FORMS = 1 << 20  # bytes of a request beside its files
FILES_A_REQUEST = 2  # photograph and mask

# Places
WAITING = 32  # orders at most, beside the one that is worked on
CONNECTIONS = 500  # in all
CONNECTIONS_OF_ONE = 100  # of one address

# Seconds
READING = 20  # of decoding a photograph and its mask; 40 megapixels take 3
STARTING = 180  # of the worker, until the first model is loaded
IDLE = 15  # of a connection without a request, and between two parts of a request's body
BODY = 300  # of a whole body
UNREAD = 60  # of an answer that its client does not read
LINGER = 2  # of reading on what is refused, so that the client sees the answer
KEPT = 3600  # of a client's files since their last use
SWEEP = 60  # between two removals of what is older

# What the browser shows
VIEW_PIXELS = 8_000_000
VIEW_SIDE = 4096  # pixels, as every browser's canvas takes
EXACT_VIEW = 1_000_000  # up to so many pixels the view is PNG, above JPEG

KEPT_BYTES = 4 << 30  # of all clients' files together, with what is being received
EACH_BYTES = 4 << 20  # that each photograph counts at least, which bounds their number
INCOMING_OF_ONE = 512 << 20  # bytes that one address may be sending at a time
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

    @property
    def bytes(self) -> int:
        """Of a file."""
        return int(self.megabytes * 2**20)

    @property
    def request_bytes(self) -> int:
        """Of a whole request."""
        return FILES_A_REQUEST * self.bytes + ROOM_FOR_FORMS

    def check_pixels(self, width: int, height: int) -> None:
        """Refuse too large a picture.

        Raises:
            Refusal: more than ``megapixels``.
        """
        if width * height > self.megapixels * 1e6:
            got = f"{width * height / 1e6:.1f}"
            raise Refusal("many_pixels", most=f"{self.megapixels:g}", got=got, width=width, height=height)

    def check_bytes(self, count: int) -> None:
        """Refuse too large a file.

        Raises:
            Refusal: more than ``megabytes``.
        """
        if count > self.bytes:
            raise Refusal("many_bytes", most=f"{self.megabytes:g}")
