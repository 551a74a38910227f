"""What the server answers: the HTTP API (``/api``, ``/api/fill``) and what its own page asks for (``/photographs``).

    curl -F picture=@photo.jpg -F box=420,310,200,150 -o result.jpg http://127.0.0.1:7860/api/fill

Fields of ``POST /api/fill`` are named and written as the options of test.py. A mistake is answered with
``{"error": ...}`` in the language of the Accept-Language header.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send

from datasets.holes import Marks
from datasets.images import write_picture
from datasets.photographs import SUFFIXES
from inpainting.jobs import SAMPLES
from utils.errors import one_line
from web.guard import client_of
from web.limits import FILES_A_REQUEST, KEPT, MOST_FIELDS, MOST_TEXT, WAITING
from web.orders import Order, Upload, file_name, read_field, read_form
from web.store import Document, Store
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
            Route("/photographs", self.upload, methods=["POST"]),
            Route("/photographs/{id}/open", self.open, methods=["POST"]),
            Route("/photographs/{id}", self.progress, methods=["GET"]),
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
        document = self.store.new(client_of(request))
        try:
            with self.store.using(document):
                form = request.form(max_files=FILES_A_REQUEST, max_fields=MOST_FIELDS, max_part_size=MOST_TEXT)
                async with form as fields:
                    order = await asyncio.to_thread(read_form, _values(fields), document.folder)
                answer = await self._do(request, document, order)
        except BaseException:
            self.store.remove(document)
            raise
        headers = {"X-Seconds": f"{answer['seconds']:.2f}", "X-Model": _ascii(answer["model"])}
        if answer["notes"]:
            headers["X-Notes"] = _ascii("; ".join(answer["notes"]))
        return _File(answer, headers, lambda: self.store.remove(document))

    async def upload(self, request: Request) -> Response:
        """A photograph, the body itself with ``?name=``, or a sample; answers its id."""
        document = self.store.new(client_of(request))
        try:
            with self.store.using(document):
                document.picture = await self._received(request, document)
        except BaseException:
            self.store.remove(document)
            raise
        return JSONResponse({"id": document.id, "name": document.picture.name})

    async def open(self, request: Request) -> Response:
        """Read what was sent; it is removed when it is no photograph."""
        with self._document(request) as document:
            order = Order(document.picture, view=document.folder / "view_0", name=document.picture.name)
            try:
                answer = await self._do(request, document, order)
            except BaseException:
                self.store.remove(document)
                raise
            document.steps, document.views = [[]], [answer.pop("view")]
            return JSONResponse({"id": document.id, "name": document.picture.name, "state": 0, **answer})

    async def _received(self, request: Request, document: Document) -> Path:
        if sample := request.query_params.get("sample"):
            if sample not in SAMPLES:
                raise Refusal("no_picture")
            path = document.folder / f"{sample}.png"
            await asyncio.to_thread(lambda: write_picture(path, SAMPLES[sample]()))
            return path
        path = document.folder / "picture" / file_name(request.query_params.get("name", ""))
        await self._save_body(request, path)
        if not path.stat().st_size:
            raise Refusal("no_picture")
        return path

    async def _save_body(self, request: Request, path: Path) -> None:
        path.parent.mkdir(exist_ok=True)
        count = 0
        with open(path, "wb") as file:
            async for part in request.stream():
                count += len(part)
                self.worker.limits.check_bytes(count)
                file.write(part)

    async def progress(self, request: Request) -> Response:
        """The place in the queue, and from 0 to 1 how far the work is."""
        ticket = self.store.get(request.path_params["id"]).ticket
        if ticket is None:
            return JSONResponse({"place": 0, "progress": 0})
        return JSONResponse({"place": self.worker.place(ticket), "progress": round(ticket.progress, 3)})

    async def close(self, request: Request) -> Response:
        self.store.remove(self.store.get(request.path_params["id"]))
        return Response(status_code=204)

    async def fill(self, request: Request) -> Response:
        """The mask in the body (a picture, white is the hole; may be empty when the photograph is extended)."""
        with self._document(request) as document:
            before = document.state(request.path_params["state"])
            self.store.make_room()
            step = document.new_step()
            values = _fields(request, "model", "detail", "dilate", "extend")
            mask = step.with_suffix(".mask")
            await self._save_body(request, mask)
            order = Order(
                document.picture,
                Marks(file=mask if mask.stat().st_size else None, dilate=values.pop("dilate", 0)),
                steps=before,
                fills=True,
                step=step,
                view=document.folder / f"view_{step.stem}",
                name=document.picture.name,
                **values,
            )
            try:
                answer = await self._do(request, document, order)
            finally:
                mask.unlink(missing_ok=True)
            number = len(document.steps)
            document.steps.append([*before, step])
            document.views.append(answer.pop("view"))
            return JSONResponse({"state": number, **answer})

    async def view(self, request: Request) -> Response:
        """What the browser shows of a state."""
        document = self.store.get(request.path_params["id"])
        document.state(number := request.path_params["state"])
        headers = {"Cache-Control": "private, max-age=3600, immutable"}
        return FileResponse(document.folder / document.views[number], headers=headers)

    async def result(self, request: Request) -> Response:
        """The finished file of a state, in the photograph's own format and name."""
        with self._document(request) as document:
            order = Order(
                document.picture,
                steps=document.state(request.path_params["state"]),
                result=document.folder / "result",
                name=document.picture.name,
                **_fields(request, "format", "lossless"),
            )
            answer = await self._do(request, document, order)
            return _File(answer, {"Cache-Control": "no-store"})

    @contextlib.contextmanager
    def _document(self, request: Request) -> Iterator[Document]:
        with self.store.using(self.store.get(request.path_params["id"])) as document:
            yield document

    async def _do(self, request: Request, document: Document, order: Order) -> dict:
        """Have an order done; when the client goes away, its place is given back and the work ended."""
        ticket = document.ticket = self.worker.submit(order, document.client)
        work = asyncio.ensure_future(self.worker.result(ticket))
        gone = asyncio.ensure_future(_until_gone(request))
        try:
            await asyncio.wait([work, gone], return_when=asyncio.FIRST_COMPLETED)
            if not work.done():
                raise asyncio.TimeoutError  # nobody is there to be told
            return work.result()
        finally:
            gone.cancel()
            work.cancel()
            document.ticket = None


class _File(FileResponse):
    """A finished photograph; what is to be done behind it is done also when its client does not read it."""

    def __init__(self, answer: dict, headers: dict[str, str], afterwards: Callable[[], None] = lambda: None):
        path = Path(answer["result"])
        super().__init__(path, media_type=f"image/{answer['format']}", filename=path.name, headers=headers)
        self._afterwards = afterwards

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._afterwards()


async def _until_gone(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _fields(request: Request, *names: str) -> dict[str, object]:
    """Those of the fields that are in the request's query."""
    return {name: read_field(name, request.query_params[name]) for name in names if name in request.query_params}


def _values(form) -> dict[str, list[str | Upload]]:
    return {
        name: [value if isinstance(value, str) else Upload(value.filename or "", value.file) for value in values]
        for name, values in ((name, form.getlist(name)) for name in form)
    }


def _ascii(text: str) -> str:
    return one_line(text, 1000).encode("ascii", "backslashreplace").decode()
