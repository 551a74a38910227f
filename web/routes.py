"""What the server answers: the HTTP API (``/api``, ``/api/fill``) and what its own page asks for (``/photographs``).

    curl -F picture=@photo.jpg -F box=420,310,200,150 -o result.jpg http://127.0.0.1:7860/api/fill

Fields of ``POST /api/fill`` are named and written as the options of test.py. A mistake is answered with
``{"error": ...}`` in the language of the Accept-Language header.
"""

import asyncio
import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from PIL import Image
from starlette.requests import ClientDisconnect, Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send

from datasets.holes import Marks
from datasets.photographs import SUFFIXES
from inpainting.jobs import SAMPLES
from utils.errors import one_line
from utils.files import remove
from web.guard import client_of
from web.limits import FILES_A_REQUEST, KEPT, MOST_FIELDS, MOST_TEXT, WAITING
from web.orders import Order, read_field, read_form
from web.store import Document, Store, last_part
from web.texts import Refusal
from web.worker import Worker

STATIC = Path(__file__).resolve().parent / "static"
STATE = "/photographs/{id}/{state:int}"


class Routes:
    """The routes, over one worker and one store of clients' files."""

    def __init__(self, worker: Worker, store: Store):
        self.worker, self.store = worker, store

    def all(self) -> list[Route | Mount]:
        return [
            Route("/", lambda request: FileResponse(STATIC / "index.html", headers={"Cache-Control": "no-cache"})),
            Mount("/static", StaticFiles(directory=STATIC)),
            Route("/api", self.about, methods=["GET"]),
            Route("/api/fill", self.api_fill, methods=["POST"]),
            Route("/photographs", self.open, methods=["POST"]),
            Route("/photographs/{id}", self.place, methods=["GET"]),
            Route("/photographs/{id}", self.close, methods=["DELETE"]),
            Route(STATE + "/fill", self.fill, methods=["POST"]),
            Route(STATE + "/view", self.view, methods=["GET"]),
            Route(STATE + "/result", self.result, methods=["GET"]),
        ]

    async def about(self, request: Request) -> Response:
        """Models, formats and limits."""
        limits = self.worker.limits
        return JSONResponse(
            {
                "models": self.worker.models,
                "formats": list(SUFFIXES),
                "samples": list(SAMPLES),
                "limits": {
                    "megabytes": limits.megabytes,
                    "megapixels": limits.megapixels,
                    "seconds": limits.seconds,
                    "waiting": WAITING,
                    "seconds_kept": KEPT,
                },
            }
        )

    async def api_fill(self, request: Request) -> Response:
        """A form in, the filled photograph out; nothing is kept."""
        with self.store.new(client_of(request)) as document:
            form = request.form(max_files=FILES_A_REQUEST, max_fields=MOST_FIELDS, max_part_size=MOST_TEXT)
            async with form as fields:
                order = await asyncio.to_thread(read_form, fields, document.folder)
                document.name = last_part(fields["picture"].filename)
            answer = await self._do(request, document, order)
        headers = {"X-Seconds": f"{answer['seconds']:.2f}", "X-Model": _ascii(answer["model"])}
        if answer["notes"]:
            headers["X-Notes"] = _ascii("; ".join(answer["notes"]))
        return _File(order.result, answer["format"], document.name, headers, lambda: self.store.remove(document))

    async def open(self, request: Request) -> Response:
        """A photograph, the body itself with ``?name=``, or a sample; it is read and kept."""
        sample, name = request.query_params.get("sample"), request.query_params.get("name", "")
        with self.store.new(client_of(request), f"{sample}.png" if sample else name) as document:
            if sample in SAMPLES:
                await asyncio.to_thread(lambda: Image.fromarray(SAMPLES[sample]()).save(document.picture, "png"))
            elif not await self._save_body(request, document.picture):
                raise Refusal("no_picture")
            view = document.new_file()
            answer = await self._do(request, document, Order(document.picture, view=view))
            document.steps, document.views = [[]], [view]
        return JSONResponse({"id": document.id, "name": document.name, "state": 0, **answer})

    async def _save_body(self, request: Request, path: Path) -> int:
        """Write a request's body; its bytes."""
        with open(path, "wb") as file:
            async for part in request.stream():
                file.write(part)
                self.worker.limits.check_bytes(file.tell())
            return file.tell()

    async def place(self, request: Request) -> Response:
        """The place in the queue; 0 at work, null when nothing is asked for."""
        return JSONResponse({"place": self.worker.place(request.path_params["id"])})

    async def close(self, request: Request) -> Response:
        self.store.remove(self.store.get(request.path_params["id"]))
        return Response(status_code=204)

    async def fill(self, request: Request) -> Response:
        """The mask in the body (a picture, white is the hole; may be empty when the photograph is extended)."""
        with self._document(request) as document:
            before = document.state(request.path_params["state"])
            self.store.make_room()
            values = _fields(request, "model", "detail", "dilate", "extend")
            mask, step, view = (document.new_file() for _ in range(3))
            try:
                count = await self._save_body(request, mask)
                marks = Marks(file=mask if count else None, dilate=values.pop("dilate", 0))
                order = Order(document.picture, marks, before, fills=True, step=step, view=view, **values)
                answer = await self._do(request, document, order)
            finally:
                mask.unlink(missing_ok=True)
            document.steps.append([*before, step])
            document.views.append(view)
            return JSONResponse({"state": len(document.steps) - 1, **answer})

    async def view(self, request: Request) -> Response:
        """What the browser shows of a state."""
        document = self.store.get(request.path_params["id"])
        document.state(number := request.path_params["state"])
        return FileResponse(document.views[number], headers={"Cache-Control": "private, max-age=3600, immutable"})

    async def result(self, request: Request) -> Response:
        """The finished file of a state, in the photograph's own format and name."""
        with self._document(request) as document:
            steps, path = document.state(request.path_params["state"]), document.new_file()
            order = Order(document.picture, steps=steps, result=path, **_fields(request, "format", "lossless"))
            answer = await self._do(request, document, order)
            return _File(path, answer["format"], document.name, {"Cache-Control": "no-store"}, lambda: remove(path))

    @contextlib.contextmanager
    def _document(self, request: Request) -> Iterator[Document]:
        with self.store.using(self.store.get(request.path_params["id"])) as document:
            yield document

    async def _do(self, request: Request, document: Document, order: Order) -> dict:
        """Have an order done; when the client goes away, its place is given back and the work ended."""
        work = asyncio.ensure_future(self.worker.do(order, document.client, document.id))
        gone = asyncio.ensure_future(_until_gone(request))
        try:
            await asyncio.wait([work, gone], return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                raise ClientDisconnect
            return work.result()
        finally:
            gone.cancel()
            work.cancel()
            await asyncio.wait([work])  # the process writes nothing more


class _File(FileResponse):
    """A finished photograph; what is to be done behind it is done also when its client does not read it."""

    def __init__(self, path: Path, format: str, name: str, headers: dict[str, str], afterwards: Callable[[], None]):
        name = result_name(name, format)
        super().__init__(path, media_type=f"image/{format}", filename=name, headers=headers)
        self._afterwards = afterwards

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._afterwards()


def result_name(name: str, format: str) -> str:
    """The photograph's own name; with another suffix only where it is written in another format.

    Example:
        >>> result_name("a.JPEG", "jpeg"), result_name("a.JPEG", "png")
        ('a.JPEG', 'a.png')
    """
    stem, suffix = os.path.splitext(name)
    return name if suffix.lower() in SUFFIXES[format] else stem + SUFFIXES[format][0]


async def _until_gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _fields(request: Request, *names: str) -> dict[str, object]:
    """Those of the fields that are in the request's query."""
    return {name: read_field(name, request.query_params[name]) for name in names if name in request.query_params}


def _ascii(text: str) -> str:
    return one_line(text, 1000).encode("ascii", "backslashreplace").decode()
