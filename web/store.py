"""Clients' files: each photograph in a folder of its own, under a name that cannot be guessed, for a stated time."""

import contextlib
import os
import secrets
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from filelock import FileLock, Timeout

from utils.files import remove
from web.limits import EACH_BYTES, INCOMING_OF_ONE, KEPT, KEPT_BYTES, STEPS
from web.texts import Refusal
from web.worker import Ticket

PREFIX, LOCK = "pconv_app_", "lock"


@dataclass(eq=False)
class Document:
    """One client's photograph and what was made of it.

    Args:
        id: known to the client alone.
        client: its address.
        picture: the file as it was sent; None before that.
        steps: for each state of the photograph the files of the fills that lead to it; the first state is the file's.
        views: names of the files that the browser shows, one a state.
        ticket: of the order that is waiting or worked on.
        users: requests that are using it; it is not removed meanwhile.
    """

    id: str
    client: str
    folder: Path
    picture: Path | None = None
    steps: list[list[Path]] = field(default_factory=list)
    views: list[str] = field(default_factory=list)
    ticket: Ticket | None = None
    users: int = 0
    bytes: int = 0
    used: float = 0.0

    def state(self, number: int) -> list[Path]:
        """The files that lead to a state.

        Raises:
            Refusal: there is no such state.
        """
        if not 0 <= number < len(self.steps):
            raise Refusal("gone")
        return self.steps[number]

    def new_step(self) -> Path:
        """A free file for one more fill.

        Raises:
            Refusal: there are too many.
        """
        if len(self.steps) > STEPS:
            raise Refusal("many_steps", most=STEPS)
        return self.folder / f"{secrets.token_hex(4)}.npz"


class Store:
    """All clients' files, at most ``most`` bytes with what is being received.

    Args:
        folder: the server's alone.
        each: bytes that a photograph counts beside its files.
    """

    def __init__(self, folder: Path, most: int = KEPT_BYTES, each: int = EACH_BYTES):
        self.folder, self.most, self.each = folder, most, each
        self.incoming: Counter[str] = Counter()  # bytes that each address is sending
        self.documents: dict[str, Document] = {}

    def new(self, client: str) -> Document:
        """A folder for a photograph that is to come."""
        name = secrets.token_urlsafe(16)
        document = Document(name, client, self.folder / name, used=time.monotonic())
        document.folder.mkdir()
        self.documents[name] = document
        return document

    def get(self, name: str) -> Document:
        """Raises Refusal when there is none of that name, or no longer."""
        if name not in self.documents:
            raise Refusal("gone")
        return self.documents[name]

    @contextlib.contextmanager
    def using(self, document: Document) -> Iterator[Document]:
        """While it lasts the document stays; afterwards its bytes are counted anew."""
        document.users += 1
        try:
            yield document
        finally:
            document.users -= 1
            document.used = time.monotonic()
            if document.id in self.documents:
                for unfinished in document.folder.glob(".*"):  # of a worker that was ended
                    if not document.users:
                        remove(unfinished)
                document.bytes = self.each + sum(
                    path.stat().st_size for path in document.folder.rglob("*") if path.is_file()
                )
            else:
                remove(document.folder)

    def remove(self, document: Document) -> None:
        """Remove a photograph and all that was made of it."""
        self.documents.pop(document.id, None)
        remove(document.folder)

    def receive(self, client: str, count: int) -> None:
        """Count bytes that an address sends; negative ones have been dealt with.

        Raises:
            Refusal: it sends too many at a time, or there is no room for them.
        """
        self.incoming[client] += count
        if not self.incoming[client]:
            del self.incoming[client]
        if count > 0:
            if self.incoming[client] > INCOMING_OF_ONE:
                raise Refusal("full")
            self.make_room()

    def make_room(self) -> None:
        """Keep within ``most`` by removing what was not used for longest of the address that keeps most.

        Raises:
            Refusal: that does not make enough room.
        """
        while sum(d.bytes for d in self.documents.values()) + self.incoming.total() > self.most:
            kept: Counter[str] = Counter()
            for document in self.documents.values():
                kept[document.client] += document.bytes
            idle = [d for d in self.documents.values() if not d.users and d.bytes]
            if not idle:
                raise Refusal("full")
            self.remove(max(idle, key=lambda d: (kept[d.client], -d.used)))

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
        with contextlib.suppress(OSError):
            if not folder.is_symlink() and folder.stat().st_mtime < time.time() - 60 and not _is_locked(folder):
                remove(folder)
    with (
        tempfile.TemporaryDirectory(prefix=PREFIX, ignore_cleanup_errors=True) as name,
        FileLock(os.path.join(name, LOCK)),
    ):
        yield Path(name).resolve()


def _is_locked(folder: Path) -> bool:
    """Whether the server of a folder runs."""
    try:
        with FileLock(folder / LOCK, timeout=0):
            return False
    except Timeout:
        return True
