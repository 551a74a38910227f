"""The worker as the server sees it: a queue with fair places, one process, and a deadline for each order."""

import asyncio
import contextlib
import json
import os
import pickle
import sys
import time
import traceback
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from utils.errors import InputError
from web.limits import READING, STARTING, WAITING, Limits
from web.orders import Order
from web.texts import Refusal

ROOT = Path(__file__).resolve().parent.parent
COMMAND = (sys.executable, "-m", "web.process")


@dataclass(eq=False)
class Ticket:
    """An order in the queue or at work.

    Args:
        client: address that it came from.
        round: as in Places.
        started: when the work began, by time.monotonic.
        expected: seconds from then on.
    """

    order: Order
    client: str
    future: asyncio.Future
    round: int = 0
    started: float | None = None
    expected: float = 2.0

    @property
    def progress(self) -> float:
        """An estimate from earlier fills, 0 to 0.95."""
        return 0.0 if self.started is None else min((time.monotonic() - self.started) / self.expected, 0.95)


class Places:
    """Tickets that wait, in the order in which they are served: the addresses that they came from take turns.

    When all places are taken, whoever has most of them loses the last one to an address with fewer.

    Args:
        most: places in all.
    """

    def __init__(self, most: int = WAITING):
        self.most, self._round = most, 0  # in a round each address is served once
        self._waiting: list[Ticket] = []

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, ticket: Ticket) -> None:
        """Raises Refusal when there is no place."""
        taken = Counter(other.client for other in self._waiting)
        if len(self) >= self.most:
            [(greediest, count)] = taken.most_common(1)
            if count <= taken[ticket.client] + 1:
                raise Refusal("busy", most=self.most)
            lost = [other for other in self._waiting if other.client == greediest][-1]
            self.drop(lost)
            if not lost.future.done():
                lost.future.set_exception(Refusal("busy", most=self.most))
        own = [other.round for other in self._waiting if other.client == ticket.client]
        ticket.round = (own[-1] if own else self._round) + 1
        self._waiting.append(ticket)
        self._sort()

    def take(self) -> Ticket:
        """The next one."""
        ticket = self._waiting.pop(0)
        self._round = ticket.round
        return ticket

    def drop(self, ticket: Ticket) -> None:
        """Give a place back; the address's later tickets move up."""
        if ticket in self._waiting:
            self._waiting.remove(ticket)
            for other in self._waiting:
                if other.client == ticket.client and other.round > ticket.round:
                    other.round -= 1
            self._sort()

    def _sort(self) -> None:
        self._waiting.sort(key=lambda ticket: ticket.round)  # in a round, those that came first stay first

    def place(self, ticket: Ticket) -> int:
        """1 for the next one; 0 for one that does not wait."""
        return self._waiting.index(ticket) + 1 if ticket in self._waiting else 0


class Worker:
    """Does orders one after another in a process of its own.

    Args:
        weights: a model that comes first, as in ``find_models``.
        device, threads: as in ``setup_device``.
        command: starts the process.
    """

    def __init__(
        self,
        weights: str | None = None,
        limits: Limits = Limits(),  # noqa: B008  frozen
        device: str = "auto",
        threads: int | None = None,
        command: Sequence[str] = COMMAND,
        reading: float = READING,
    ):
        self.limits, self.reading, self._command = limits, reading, command
        self.models: list[str] = []  # names; known once it is started
        self._settings = {"weights": weights, "limits": limits, "device": device, "threads": threads}
        self._places, self._wanted = Places(), asyncio.Event()
        self._process: asyncio.subprocess.Process | None = None
        self._task: asyncio.Task | None = None
        self._current: Ticket | None = None
        self._is_closed = False

    async def start(self) -> None:
        """Start the process and wait until the first model is loaded.

        Raises:
            InputError: it cannot be started, or the model cannot be used.
        """
        await self._launch()
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """End the process; whoever waits is told."""
        self._is_closed = True
        waiting = [self._places.take() for _ in range(len(self._places))]
        for ticket in [*waiting, *([self._current] if self._current else [])]:
            if not ticket.future.done():
                ticket.future.set_exception(Refusal("ending"))
        if self._task:
            self._task.cancel()
            await asyncio.wait([self._task])
        await self._kill()

    def submit(self, order: Order, client: str) -> Ticket:
        """The order, behind those that wait; its future gives what ``web.process.Filler.do`` returns.

        Raises:
            Refusal: too many are waiting.
        """
        if self._is_closed:
            raise Refusal("ending")
        ticket = Ticket(order, client, asyncio.get_running_loop().create_future())
        self._places.add(ticket)
        self._wanted.set()
        return ticket

    async def result(self, ticket: Ticket) -> dict:
        """Wait for a ticket. Cancelled, it gives the ticket's place back, or ends the work on it."""
        try:
            return await ticket.future
        finally:
            ticket.future.cancel()
            self._places.drop(ticket)

    def place(self, ticket: Ticket) -> int:
        """How many are served before it, with it; 0 at work."""
        return self._places.place(ticket)

    async def _run(self) -> None:
        while True:
            await self._wanted.wait()
            if not len(self._places):
                self._wanted.clear()
                continue
            self._current = self._places.take()
            try:
                await self._serve(self._current)
            finally:
                self._current = None

    async def _serve(self, ticket: Ticket) -> None:
        """Work on a ticket until it is done, its client goes away, or its time is over."""
        if ticket.future.done():
            return
        talk = asyncio.create_task(self._talk(ticket))
        try:
            await asyncio.wait([talk, ticket.future], return_when=asyncio.FIRST_COMPLETED)
        finally:
            talk.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait([talk])
        if talk.cancelled():
            await self._relaunch()
        elif error := talk.exception():
            if not isinstance(error, Refusal):
                traceback.print_exception(error)
            if not ticket.future.done():
                ticket.future.set_exception(error if isinstance(error, Refusal) else Refusal("bug"))
            if not isinstance(error, Refusal) or error.key in ("slow", "died"):
                await self._relaunch()
        elif not ticket.future.done():
            ticket.future.set_result(talk.result())

    async def _talk(self, ticket: Ticket) -> dict:
        if self._process is None or self._process.returncode is not None:
            await self._launch()
        ticket.started = time.monotonic()
        await self._send(ticket.order)
        seconds = min(self.reading, self.limits.seconds)
        while True:
            reply = await self._reply(ticket.started, seconds)
            if "done" in reply:
                return reply["done"]
            if "refused" in reply:
                key, values = reply["refused"]
                raise Refusal(key, **values)
            seconds = self.limits.seconds
            ticket.expected = reply["expected"] + time.monotonic() - ticket.started

    async def _reply(self, started: float, seconds: float) -> dict:
        """The next line of the process, at most ``seconds`` after ``started``."""
        left = started + seconds - time.monotonic()
        try:
            line = await asyncio.wait_for(self._process.stdout.readline(), left)
        except asyncio.TimeoutError:
            raise Refusal("slow", seconds=f"{seconds:g}") from None
        if not line:
            raise Refusal("died")
        return json.loads(line)

    async def _send(self, what: Order | dict) -> None:
        with contextlib.suppress(ConnectionError):  # it died: told when its answer is read
            self._process.stdin.write(pickle.dumps(what))
            await self._process.stdin.drain()

    async def _launch(self) -> None:
        paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
        self._process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
            limit=1 << 20,
        )
        await self._send(self._settings | {"warm_up": not self.models})
        reply = await self._reply(time.monotonic(), STARTING)
        if "failed" in reply:
            await self._kill()
            raise InputError(reply["failed"])
        self.models = reply["models"]

    async def _relaunch(self) -> None:
        """Start anew at once, so that the next client does not wait for it; a failure is told to that client."""
        await self._kill()
        with contextlib.suppress(InputError, OSError):
            await self._launch()

    async def _kill(self) -> None:
        if self._process and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()
        self._process = None
