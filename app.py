"""A web page on which photographs are filled, and the same as an HTTP API: ``python app.py --help``."""

import importlib.util
import ipaddress
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from options import app_parser, setup_device
from utils.errors import InputError, run_cleanly

ROOT = Path(__file__).resolve().parent


def main(argv: Sequence[str] | None = None) -> None:
    options = app_parser().parse_args(argv)
    if importlib.util.find_spec("gradio") is None:
        raise InputError("expected gradio, which is not installed: pip install -r requirements-app.txt")
    setup_device(options.device, options.threads)
    from web.choices import find_models
    from web.limits import Limits
    from web.server import build_app, listen, serve
    from web.worker import Worker

    models = find_models(ROOT, options.weights)
    limits = Limits(options.max_megapixels, options.max_megabytes, options.max_seconds)
    with (
        listen(options.host, options.port) as listening,
        tempfile.TemporaryDirectory(prefix="pconv_app_", ignore_cleanup_errors=True) as folder,
    ):
        worker = Worker(models, Path(folder).resolve(), limits)
        app = build_app(worker)
        tell(options.host, listening.getsockname()[1], models)
        try:
            serve(app, listening)
        finally:
            worker.close()


def tell(host: str, port: int, models: dict[str, Path]) -> None:
    """Where the page is, and who can see it."""
    print(
        f"http://{f'[{host}]' if ':' in host else host}:{port}  (models: {', '.join(models)}; Ctrl-C ends it)",
        flush=True,
    )
    if not is_loopback(host):
        print("note: whoever can reach this machine can use the page; nothing asks for a password", file=sys.stderr)


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address.

    Example:
        >>> is_loopback("127.0.0.1"), is_loopback("localhost"), is_loopback("0.0.0.0")
        (True, True, False)
    """
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


if __name__ == "__main__":
    run_cleanly(main)
