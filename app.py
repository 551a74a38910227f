"""A web page on which photographs are filled, and the same as an HTTP API: ``python app.py --help``."""

import asyncio
import importlib.util
import ipaddress
import sys
from collections.abc import Sequence

from options import app_parser
from utils.errors import InputError, run_cleanly

PACKAGES = ("starlette", "uvicorn", "python_multipart")


def main(argv: Sequence[str] | None = None) -> None:
    options = app_parser().parse_args(argv)
    if missing := [name for name in PACKAGES if importlib.util.find_spec(name) is None]:
        raise InputError(f"expected {missing[0]}, which is not installed: pip install -r requirements-app.txt")
    from web.limits import Limits
    from web.server import Server, end_on_hangup, listen
    from web.store import own_folder
    from web.worker import Worker

    limits = Limits(options.max_megapixels, options.max_megabytes, options.max_seconds)
    with listen(options.host, options.port) as listening, own_folder() as folder:
        worker = Worker(options.weights, limits, options.device, options.threads)
        server = Server(worker, folder, {options.host, *options.allow_host})
        end_on_hangup()
        port = listening.getsockname()[1]
        asyncio.run(server.run_on(listening, lambda: print_address(options.host, port, worker.models)))


def print_address(host: str, port: int, models: Sequence[str]) -> None:
    """Where the page is, and who can see it."""
    shown = f"[{host}]" if ":" in host else host
    print(f"http://{shown}:{port}  (models: {', '.join(models)}; Ctrl-C ends it)", flush=True)
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
