"""Page and API put together as one application, and served."""

import os
import socket

# Before gradio is imported, which reads them then.
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
os.environ["HF_HUB_OFFLINE"] = "1"

import gradio as gr
import uvicorn
from fastapi import FastAPI
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from utils.errors import InputError
from web.api import ROOM_FOR_FORMS, LimitBody, add_api
from web.forms import FILES
from web.page import CSS, build_page
from web.worker import Worker

POLICY = (  # what a browser may load: from this server alone; Gradio's own scripts need the unsafe ones
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; worker-src 'self' blob:; connect-src 'self' data: blob:"
)
HEADERS = (
    (b"content-security-policy", POLICY.encode()),
    (b"referrer-policy", b"no-referrer"),
    (b"x-content-type-options", b"nosniff"),
)
FONT = ("system-ui", "-apple-system", "Segoe UI", "Noto Sans", "PingFang SC", "Microsoft YaHei", "sans-serif")


def build_app(worker: Worker) -> FastAPI:
    """The application: ``/`` is the page, ``/api`` the API. Files of clients lie in ``worker.folder``."""
    os.environ["GRADIO_TEMP_DIR"] = str(worker.folder)
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)  # the documentation would load scripts from outside
    add_api(app, worker)
    page, i18n = build_page(worker)
    theme = gr.themes.Default(font=FONT, font_mono=("ui-monospace", "monospace"))
    gr.mount_gradio_app(
        app,
        page,
        path="/",
        footer_links=[],
        run_history=False,
        max_file_size=worker.limits.bytes,
        ssr_mode=False,
        show_error=True,
        enable_monitoring=False,
        pwa=False,
        mcp_server=False,
        i18n=i18n,
        theme=theme,
        css=CSS,
    )
    page.has_launched = True  # Gradio looks at where files lie only in what it has launched itself
    app.add_middleware(
        LimitBody, most=len(FILES) * worker.limits.bytes + ROOM_FOR_FORMS, megabytes=worker.limits.megabytes
    )
    app.add_middleware(OwnHeaders)
    return app


class OwnHeaders:
    """Adds ``HEADERS`` to every answer."""

    def __init__(self, app: ASGIApp):
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message = {**message, "headers": [*message.get("headers", []), *HEADERS]}
            await send(message)

        await self.app(scope, receive, with_headers if scope["type"] == "http" else send)


def listen(host: str, port: int) -> socket.socket:
    """A socket to serve on.

    Raises:
        InputError: no such host. OSError: the port is taken.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except OSError:
        raise InputError(f"--host: expected an address of this machine, got {host}; 127.0.0.1 is itself") from None
    listening = socket.socket(family, kind, protocol)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind(address)
    except OSError:
        listening.close()
        raise
    return listening


def serve(app: FastAPI, listening: socket.socket) -> None:
    """Serve until the process is ended."""
    config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=5)
    uvicorn.Server(config).run(sockets=[listening])
