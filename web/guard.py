"""What stands before every request: host, origin, sizes, times, and headers of every answer."""

import asyncio
import contextlib
import ipaddress
import logging
import time
from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from web.limits import BODY, CONNECTIONS, FILES_A_REQUEST, IDLE, LINGER, UNREAD, Limits
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
    (b"connection", b"close"),
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
        scope["app"] = self  # Starlette's router then raises what it cannot find
        request, has_begun = Request(scope), False
        count, end = 0, time.monotonic() + BODY
        is_whole = not {"content-length", "transfer-encoding"} & set(request.headers)

        async def receive_body() -> Message:
            nonlocal count, is_whole
            if is_whole:  # all that can still come is that the client goes away
                return await receive()
            try:
                message = await asyncio.wait_for(receive(), end - time.monotonic())
            except asyncio.TimeoutError:
                raise Refusal("slow_body") from None
            is_whole, got = not message.get("more_body", False), len(message.get("body", b""))
            count += got
            self.store.make_room(got)
            self.limits.check_bytes(count, FILES_A_REQUEST)
            return message

        async def send_on(message: Message) -> None:
            nonlocal has_begun
            if message["type"] == "http.response.start":
                has_begun = True
                message = {**message, "headers": [*message.get("headers", []), *HEADERS]}
            await asyncio.wait_for(send(message), UNREAD)

        try:
            self._check(request)
            await self.app(scope, receive_body, send_on)
        except Exception as error:
            if not has_begun and (refusal := _refusal(error, request)):
                if not is_whole:
                    await _discard(receive)
                with contextlib.suppress(asyncio.TimeoutError):
                    await answer_to(request, refusal)(scope, receive, send_on)
        finally:
            self.store.incoming -= count

    def _check(self, request: Request) -> None:
        check_host(request.headers.get("host", ""), self.allowed)
        check_origin(request)
        length = request.headers.get("content-length", "0")
        self.limits.check_bytes(int(length) if length.isdigit() else 0, FILES_A_REQUEST)


def _refusal(error: Exception, request: Request) -> Refusal | None:
    """How an error is answered; None where the client went away."""
    if isinstance(error, ClientDisconnect | asyncio.TimeoutError):
        return None
    if isinstance(error, HTTPException):
        known = {404: Refusal("no_route"), 405: Refusal("method", name=request.method)}
        return known.get(error.status_code, Refusal("bad_form", reason=error.detail))
    return refusal_of(error)


async def _discard(receive: Receive) -> None:
    """Read on for a moment: a client that is still sending would not see the answer."""

    async def read() -> None:
        while (await receive()).get("more_body", False):
            pass

    with contextlib.suppress(asyncio.TimeoutError):
        await asyncio.wait_for(read(), LINGER)


logging.getLogger("python_multipart").setLevel(logging.CRITICAL)  # a bad form is answered, not logged


class Connection(H11Protocol):
    """A connection for one request, closed when that does not begin soon, or when there are too many."""

    def connection_made(self, transport) -> None:
        super().connection_made(transport)
        if len(self.connections) > CONNECTIONS:
            transport.close()
        self.loop.call_later(IDLE, lambda: self.cycle or transport.close())  # uvicorn itself would wait for ever
