"""The application put together, and served until the process is ended."""

import asyncio
import signal
import socket
from collections.abc import Callable, Collection
from pathlib import Path

import uvicorn
from starlette.routing import Router

from utils.errors import InputError
from web.guard import Connection, Guard
from web.limits import SWEEP
from web.routes import Routes
from web.store import Store
from web.worker import Worker


class Server(uvicorn.Server):
    """Serves until a signal comes; work in progress is then ended at once."""

    def __init__(self, worker: Worker, folder: Path, allowed: Collection[str] = ()):
        self.worker, self.store = worker, Store(folder)
        app = Guard(Router(Routes(worker, self.store).all()), self.store, worker.limits, allowed)
        config = uvicorn.Config(
            app,
            http=Connection,
            ws="none",
            lifespan="off",
            log_level="critical",  # mistakes are answered, and bugs printed, by the guard
            proxy_headers=False,  # else whoever names another address gets its places
            server_header=False,
            timeout_graceful_shutdown=2,
        )
        super().__init__(config)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self.worker.close()
        await super().shutdown(sockets)

    async def run_on(self, listening: socket.socket, when_ready: Callable[[], None] = lambda: None) -> None:
        """Start the worker, then serve.

        Raises:
            InputError: the worker cannot be started.
        """
        try:
            await self.worker.start()
            when_ready()
            sweeping = asyncio.create_task(self._sweep())
            await self.serve([listening])
            sweeping.cancel()
        finally:
            self.worker.close()

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP)
            self.store.sweep()


def end_on_hangup() -> None:
    """SIGHUP ends the process as SIGTERM does, which uvicorn handles, unless someone ignores it (nohup)."""
    hangup = getattr(signal, "SIGHUP", None)
    if hangup and signal.getsignal(hangup) is not signal.SIG_IGN:
        signal.signal(hangup, lambda *_: signal.raise_signal(signal.SIGTERM))


def listen(host: str, port: int) -> socket.socket:
    """A socket to serve on.

    Raises:
        InputError: no such host. OSError: the port is taken.
    """
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except OSError:
        raise InputError(f"--host: expected an address of this machine, got {host}; 127.0.0.1 is itself") from None
    return socket.create_server(address[:2], family=family, backlog=128)
