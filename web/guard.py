"""What stands before every request: host, origin, sizes, times, and headers of every answer."""

import asyncio
import contextlib
import ipaddress
import logging
import time
from collections import Counter
from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from web.limits import BODY, CONNECTIONS, CONNECTIONS_OF_ONE, IDLE, LINGER, UNREAD, Limits
from web.store import Store
from web.texts import Refusal, language_of, refusal_of

POLICY = (  # what a browser may load: from this server alone
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self' blob:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = [
    (b"content-security-policy", POLICY.encode()),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
]


def answer_to(request: Request, refusal: Refusal) -> JSONResponse:
    """A mistake as it is answered, in the client's language."""
    language = language_of(request.headers.get("accept-language"))
    return JSONResponse({"error": refusal.in_language(language)}, refusal.status)


def check_host(host: str, allowed: Collection[str]) -> None:
    """Refuse names that are not the server's, which a page elsewhere could make lead here (DNS rebinding).

    Addresses in numbers cannot be made to.

    Args:
        host: the Host header.
        allowed: names without port, in lower case.
    Raises:
        Refusal: another name.
    Example:
        >>> check_host("127.0.0.1:7860", []), check_host("[::1]", []), check_host("fill.example:80", ["fill.example"])
        (None, None, None)
    """
    with contextlib.suppress(ValueError):
        name = urlsplit(f"//{host}").hostname or ""
        if name.rstrip(".") in ("localhost", *allowed) or ipaddress.ip_address(name):
            return
    raise Refusal("host", name=host[:80])


def check_origin(request: Request) -> None:
    """Refuse what another site's page sends.

    Raises:
        Refusal: its origin is not this server.
    """
    if request.method in ("GET", "HEAD"):
        return
    origin = request.headers.get("origin")
    is_foreign = origin is not None and urlsplit(origin).netloc != request.headers.get("host")
    if is_foreign or request.headers.get("sec-fetch-site") in ("cross-site", "same-site"):
        raise Refusal("origin")


def client_of(request: Request) -> str:
    """Where a request comes from: an address; of version 6, its network."""
    host = request.client.host if request.client else ""
    with contextlib.suppress(ValueError):
        if ipaddress.ip_address(host).version == 6:
            return str(ipaddress.ip_network(f"{host}/64", strict=False))
    return host


class Guard:
    """Checks requests before the application sees them, counts and times what comes in, and answers mistakes.

    Args:
        app: raises what it cannot do.
        allowed: names of this server, beside localhost and addresses.
    """

    def __init__(self, app: ASGIApp, store: Store, limits: Limits, allowed: Collection[str] = ()):
        self.app, self.store, self.limits = app, store, limits
        self.allowed = [name.lower() for name in allowed]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        scope["app"] = self  # Starlette's router then raises what it cannot find
        request, has_begun = Request(scope), False
        body = _Body(receive, self, client_of(request))
        body.is_whole = not {"content-length", "transfer-encoding"} & set(request.headers)

        async def send_on(message: Message) -> None:
            nonlocal has_begun
            if message["type"] == "http.response.start":
                has_begun = True
                extra = HEADERS if body.is_whole else [*HEADERS, (b"connection", b"close")]
                message = {**message, "headers": [*message.get("headers", []), *extra]}
            await asyncio.wait_for(send(message), UNREAD)

        try:
            self._check(request)
            await self.app(scope, body.receive, send_on)
        except Exception as error:
            if not has_begun and (refusal := _refusal(error, request)):
                await body.discard()
                with contextlib.suppress(asyncio.TimeoutError):
                    await answer_to(request, refusal)(scope, receive, send_on)
        finally:
            self.store.receive(client_of(request), -body.count)

    def _check(self, request: Request) -> None:
        check_host(request.headers.get("host", ""), self.allowed)
        check_origin(request)
        length = request.headers.get("content-length", "0")
        if length.isdigit() and int(length) > self.limits.request_bytes:
            raise Refusal("many_bytes", most=f"{self.limits.megabytes:g}")


def _refusal(error: Exception, request: Request) -> Refusal | None:
    """How an error is answered; None where the client went away."""
    if isinstance(error, ClientDisconnect | asyncio.TimeoutError):
        return None
    if isinstance(error, HTTPException):
        known = {404: Refusal("no_route"), 405: Refusal("method", name=request.method)}
        return known.get(error.status_code, Refusal("bad_form", reason=error.detail))
    return refusal_of(error)


class _Body:
    """A request's body as it comes in."""

    def __init__(self, receive: Receive, guard: Guard, client: str):
        self._receive, self._guard, self._client = receive, guard, client
        self.count, self.is_whole, self._start = 0, False, time.monotonic()

    async def receive(self) -> Message:
        """Raises Refusal when the body is too large, comes too slowly, or finds no room."""
        if self.is_whole:  # all that can still come is that the client goes away
            return await self._receive()
        left = min(IDLE, self._start + BODY - time.monotonic())
        try:
            message = await asyncio.wait_for(self._receive(), left)
        except asyncio.TimeoutError:
            raise Refusal("slow_body") from None
        got = len(message.get("body", b""))
        self.count, self.is_whole = self.count + got, not message.get("more_body", False)
        self._guard.store.receive(self._client, got)
        if self.count > self._guard.limits.request_bytes:
            raise Refusal("many_bytes", most=f"{self._guard.limits.megabytes:g}")
        return message

    async def discard(self) -> None:
        """Read on for a moment: a client that is still sending would not see the answer."""

        async def read() -> None:
            while not self.is_whole:
                self.is_whole = not (await self._receive()).get("more_body", False)

        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(read(), LINGER)


logging.getLogger("python_multipart").setLevel(logging.CRITICAL)  # a bad form is answered, not logged
_connections: Counter[str] = Counter()  # of each address


class Connection(H11Protocol):
    """A connection that is closed when it stays without a request, or when there are too many."""

    _address = ""

    def connection_made(self, transport) -> None:
        super().connection_made(transport)
        self._address = (transport.get_extra_info("peername") or ("",))[0]
        _connections[self._address] += 1
        self._waiting_since = time.monotonic()
        if _connections[self._address] > CONNECTIONS_OF_ONE or _connections.total() > CONNECTIONS:
            transport.close()
        else:
            self.loop.call_later(IDLE, self._close_if_idle)

    def connection_lost(self, exc) -> None:
        _connections.subtract([self._address])
        if not _connections[self._address]:
            del _connections[self._address]
        super().connection_lost(exc)

    def _close_if_idle(self) -> None:
        """Uvicorn itself waits for ever for the rest of a request that has begun."""
        now = time.monotonic()
        if self.cycle is not None and not self.cycle.response_complete:
            self._waiting_since = now
        if now - self._waiting_since >= IDLE:
            self.transport.close()
        if not self.transport.is_closing():
            self.loop.call_later(IDLE / 3, self._close_if_idle)
