"""The HTTP API: a photograph in, the filled one out, in one request; ``GET /api`` tells models and limits.

    curl -F picture=@photo.jpg -F box=420,310,200,150 -o result.jpg http://127.0.0.1:7860/api/fill

Fields of ``POST /api/fill`` are called and written as the options of test.py. A mistake is answered with status 400
and ``{"error": ...}``, in the language of the Accept-Language header; 413 is too large, 503 too many waiting.
"""

import asyncio
import secrets

from fastapi import FastAPI, Request
from fastapi.responses import FileResponse, JSONResponse
from starlette.background import BackgroundTask
from starlette.datastructures import FormData
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from datasets.photographs import SUFFIXES
from utils.errors import one_line
from utils.files import remove
from web.forms import FILES, Form, Upload, read_order
from web.limits import KEPT, WAITING
from web.texts import Told, language_of
from web.worker import Filled, Worker

MOST_FIELDS = 1000  # of one request, boxes and polygons among them
ROOM_FOR_FORMS = 2**20  # bytes of a request beside its files
STATUS = {"many_bytes": 413, "many_pixels": 413, "busy": 503, "slow": 503, "memory": 503}


def add_api(app: FastAPI, worker: Worker) -> None:
    """Add the routes of the API to an application."""

    @app.get("/api")
    def about() -> dict[str, object]:
        limits = worker.limits
        return {
            "models": list(worker.models),
            "formats": list(SUFFIXES),
            "limits": {
                "megabytes": limits.megabytes,
                "megapixels": limits.megapixels,
                "seconds": limits.seconds,
                "waiting": WAITING,
                "seconds_kept": KEPT,
            },
        }

    @app.post("/api/fill")
    async def fill(request: Request):
        folder = worker.folder / secrets.token_hex(16)
        clean = BackgroundTask(remove, folder)
        try:
            async with request.form(max_files=len(FILES), max_fields=MOST_FIELDS) as form:
                order = await asyncio.to_thread(read_order, _as_form(form), folder)
            return _answer(await asyncio.wrap_future(worker.submit(order)), clean)
        except Told as told:
            language = language_of(request.headers.get("accept-language"))
            return JSONResponse({"error": told.in_language(language)}, STATUS.get(told.key, 400), background=clean)


def _as_form(form: FormData) -> Form:
    return {
        name: [value if isinstance(value, str) else Upload(value.filename or "", value.file) for value in values]
        for name, values in ((name, form.getlist(name)) for name in form)
    }


def _answer(filled: Filled, clean: BackgroundTask) -> FileResponse:
    headers = {"X-Seconds": f"{filled.seconds:.2f}", "X-Model": _ascii(filled.model)}
    if filled.notes:
        headers["X-Notes"] = _ascii("; ".join(filled.notes))
    kind = f"image/{filled.encoding.format}"
    return FileResponse(filled.path, media_type=kind, filename=filled.path.name, headers=headers, background=clean)


def _ascii(text: str) -> str:
    return one_line(text, 1000).encode("ascii", "backslashreplace").decode()


class LimitBody:
    """Ends a request whose body is larger than the limits allow, before more of it is kept.

    Args:
        app: what is behind it.
        most: bytes.
        megabytes: of one file, for the answer.
    """

    def __init__(self, app: ASGIApp, most: int, megabytes: float):
        self.app, self.most, self.megabytes = app, most, megabytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        headers = dict(scope["headers"])
        told = Told("many_bytes", most=f"{self.megabytes:g}")
        language = language_of(headers.get(b"accept-language", b"").decode("latin-1"))
        refusal = JSONResponse({"error": told.in_language(language)}, 413, {"Connection": "close"})
        length = headers.get(b"content-length", b"0")
        if length.isdigit() and int(length) > self.most:
            return await refusal(scope, receive, send)
        got, begun = 0, False

        async def counted() -> Message:
            nonlocal got
            message = await receive()
            got += len(message.get("body", b""))
            if got > self.most:
                raise _TooLarge
            return message

        async def noted(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self.app(scope, counted, noted)
        except _TooLarge:
            if not begun:
                await refusal(scope, receive, send)


class _TooLarge(Exception):
    """A body went beyond the limit while it was read."""
