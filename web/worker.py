"""The worker as the server sees it: one process, a deadline for each order, and clients that take turns."""

import asyncio
import contextlib
import multiprocessing
from collections import Counter
from collections.abc import Callable
from functools import partial
from weakref import WeakValueDictionary

from utils.errors import InputError
from web.limits import WAITING, Limits
from web.orders import Order
from web.process import prepare, serve
from web.texts import Refusal

SPAWN = multiprocessing.get_context("spawn")


class Worker:
    """Does orders one after another in a process of its own.

    Clients take turns: each waits on a lock of its own first, so that at most one order of each waits for the process.

    Args:
        weights: a model that comes first, as in ``find_models``.
        device, threads: as in ``setup_device``.
        prepare: called in the process, with ``weights``, ``device`` and ``threads``.
    """

    def __init__(
        self,
        weights: str | None = None,
        limits: Limits = Limits(),  # noqa: B008  frozen
        device: str = "auto",
        threads: int | None = None,
        prepare: Callable = prepare,
    ):
        self.limits = limits
        self.models: list[str] = []  # names; known once it is started
        self._prepare = partial(prepare, weights, device, threads)
        self._turn, self._turns = asyncio.Lock(), WeakValueDictionary()  # of the process, of each client
        self._waiting: list[tuple[str, str]] = []  # client and key of each order, by arrival
        self._current: str | None = None  # key of the order at work
        self._process: multiprocessing.Process | None = None
        self._is_closed = False

    async def start(self) -> None:
        """Start the process and wait until the first model is loaded.

        Raises:
            InputError: it cannot be started, or the model cannot be used.
        """
        self._launch()
        self.models = await self._ready

    def close(self) -> None:
        """End the process; whoever waits is told."""
        self._is_closed = True
        if self._process:
            self._kill()

    async def do(self, order: Order, client: str, key: str = "") -> dict:
        """What ``web.process.Filler.do`` returns. Cancelled, it gives its place back, or ends the work.

        Args:
            key: for ``place``.
        Raises:
            Refusal: too many are waiting, it took too long, or the order's own mistake.
        """
        if len(self._waiting) >= WAITING:
            raise Refusal("busy", most=WAITING)
        turn = client, key
        self._waiting.append(turn)
        with contextlib.ExitStack() as stack:
            stack.callback(self._waiting.remove, turn)
            async with self._turns.setdefault(client, asyncio.Lock()), self._turn:
                stack.close()
                self._current = key
                try:
                    return await self._work(order)
                finally:
                    self._current = None

    def place(self, key: str) -> int | None:
        """How many are served until an order's turn, with it; 0 at work, None when there is no such order."""
        if key == self._current:
            return 0
        clients = [client for client, other in self._waiting if other == key]
        if not clients:
            return None
        before = [client for client, _ in self._waiting[: self._waiting.index((clients[0], key)) + 1]]
        counts, own = Counter(client for client, _ in self._waiting), before.count(clients[0])
        return sum(min(count, own) for count in counts.values())

    async def _work(self, order: Order) -> dict:
        """Have the process do an order; unless it answers, a new one is started at once."""
        if self._is_closed:
            raise Refusal("ending")
        reply = None
        try:
            await self._ready
            self._pipe.send(order)
            reply = await asyncio.wait_for(self._reply(), self.limits.seconds)
        except asyncio.TimeoutError:
            raise Refusal("slow", seconds=f"{self.limits.seconds:g}") from None
        finally:
            if reply is None and not self._is_closed:
                self._kill()
                self._launch()
        if isinstance(reply, Refusal):
            raise reply
        return reply

    def _launch(self) -> None:
        self._pipe, theirs = SPAWN.Pipe()
        self._process = SPAWN.Process(target=serve, args=(theirs, self.limits, self._prepare), daemon=True)
        self._process.start()
        theirs.close()  # so that its end is noticed
        self._ready = asyncio.ensure_future(self._names())

    async def _names(self) -> list[str]:
        reply = await self._reply()
        if isinstance(reply, InputError):
            raise reply
        return reply

    async def _reply(self) -> object:
        try:
            return await asyncio.to_thread(self._pipe.recv)
        except (EOFError, OSError):
            raise Refusal("ending" if self._is_closed else "died") from None

    def _kill(self) -> None:
        self._ready.cancel()
        self._process.kill()
        self._process.join()
