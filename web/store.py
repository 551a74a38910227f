"""Clients' files: each photograph in a folder of its own, under a name that cannot be guessed, for a stated time."""

import contextlib
import os
import secrets
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from filelock import FileLock, Timeout

from utils.files import remove
from web.limits import EACH_BYTES, KEPT, KEPT_BYTES, STEPS
from web.texts import Refusal

PREFIX, LOCK = "pconv_app_", "lock"


@dataclass(eq=False)
class Document:
    """One client's photograph and what was made of it.

    Args:
        id: known to the client alone.
        client: its address.
        name: of the photograph, as its owner calls it; no file has it.
        steps: for each state of the photograph the files of the fills that lead to it; the first state is the file's.
        views: files that the browser shows, one a state.
        users: requests that are using it; it is not removed meanwhile.
    """

    id: str
    client: str
    folder: Path
    name: str
    steps: list[list[Path]] = field(default_factory=list)
    views: list[Path] = field(default_factory=list)
    users: int = 0
    bytes: int = 0
    used: float = 0.0

    @property
    def picture(self) -> Path:
        """The file as it was sent."""
        return self.folder / "picture"

    def state(self, number: int) -> list[Path]:
        """The files that lead to a state.

        Raises:
            Refusal: there is no such state.
        """
        if not 0 <= number < len(self.steps):
            raise Refusal("gone")
        return self.steps[number]

    def new_file(self) -> Path:
        """A name for a file of its own.

        Raises:
            Refusal: there are too many states.
        """
        if len(self.steps) > STEPS:
            raise Refusal("many_steps", most=STEPS)
        return self.folder / secrets.token_hex(8)


def last_part(name: str | None) -> str:
    """Of a file's name as a client has it, without folders.

    Example:
        >>> last_part("up/holiday.JPG"), last_part("")
        ('holiday.JPG', 'photograph')
    """
    return (name or "").replace("\\", "/").rpartition("/")[2][-80:] or "photograph"


class Store:
    """All clients' files, at most ``most`` bytes with what is being received.

    Args:
        folder: the server's alone.
        each: bytes that a photograph counts beside its files.
    """

    def __init__(self, folder: Path, most: int = KEPT_BYTES, each: int = EACH_BYTES):
        self.folder, self.most, self.each = folder, most, each
        self.incoming = 0  # bytes that are being sent
        self.documents: dict[str, Document] = {}

    @contextlib.contextmanager
    def new(self, client: str, name: str = "") -> Iterator[Document]:
        """A folder for a photograph that is to come; when an error does, it is removed."""
        id = secrets.token_urlsafe(16)
        document = self.documents[id] = Document(id, client, self.folder / id, last_part(name))
        try:
            with self.using(document):
                document.folder.mkdir()
                yield document
        except BaseException:
            self.remove(document)
            raise

    def get(self, id: str) -> Document:
        """Raises Refusal when there is none of that name, or no longer."""
        if id not in self.documents:
            raise Refusal("gone")
        return self.documents[id]

    @contextlib.contextmanager
    def using(self, document: Document) -> Iterator[Document]:
        """While it lasts the document stays; afterwards its bytes are counted anew."""
        document.users += 1
        try:
            yield document
        finally:
            document.users -= 1
            document.used = time.monotonic()
            if document.id not in self.documents:
                remove(document.folder)
            elif not document.users:
                document.bytes = self.each + sum(path.stat().st_size for path in document.folder.iterdir())

    def remove(self, document: Document) -> None:
        """Remove a photograph and all that was made of it."""
        self.documents.pop(document.id, None)
        remove(document.folder)

    def make_room(self, incoming: int = 0) -> None:
        """Keep within ``most``, with so many more bytes incoming, by removing what was not used for longest.

        Raises:
            Refusal: that does not make enough room.
        """
        self.incoming += incoming
        while sum(d.bytes for d in self.documents.values()) + self.incoming > self.most:
            idle = [d for d in self.documents.values() if not d.users]
            if not idle:
                raise Refusal("full")
            self.remove(min(idle, key=lambda d: d.used))

    def sweep(self, kept: float = KEPT) -> None:
        """Remove what was not used for ``kept`` seconds."""
        for document in list(self.documents.values()):
            if not document.users and time.monotonic() - document.used > kept:
                self.remove(document)


@contextlib.contextmanager
def own_folder() -> Iterator[Path]:
    """A temporary folder of the server, which is removed at the end; those of killed servers are removed before."""
    parent = Path(tempfile.gettempdir())
    for folder in parent.glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError, Timeout):
            if folder.stat().st_mtime < time.time() - 60:
                with FileLock(folder / LOCK, timeout=0):  # its server does not run
                    pass
                remove(folder)
    with (
        tempfile.TemporaryDirectory(prefix=PREFIX, ignore_cleanup_errors=True) as name,
        FileLock(os.path.join(name, LOCK)),
    ):
        yield Path(name).resolve()
