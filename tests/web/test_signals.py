"""The server ends at once when it is asked to, also during a fill, and leaves nothing."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests

from tests.web.conftest import first_pixel, flat, form, png, raw_request
from tests.web.stand_in import SLOW

pytest.importorskip("uvicorn")

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """
import asyncio, sys
from tests.web.conftest import STAND_IN
from utils.errors import run_cleanly
from web.server import Server, listen
from web.store import own_folder
from web.worker import Worker

def main():
    with listen("127.0.0.1", 0) as listening, own_folder() as folder:
        server = Server(Worker(command=STAND_IN), folder)
        asyncio.run(server.run_on(listening, lambda: print(listening.getsockname()[1], flush=True)))

run_cleanly(main)
"""


pytestmark = pytest.mark.skipif(not Path("/proc/self").exists(), reason="looks at /proc")


def default_signals():
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        signal.signal(getattr(signal, name), signal.SIG_DFL)


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGHUP", "SIGKILL"])
def test_signals_end_it_within_five_seconds_and_nothing_is_left(tmp_path, name):
    server = subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        preexec_fn=default_signals,
    )
    try:
        address = f"http://127.0.0.1:{int(server.stdout.readline())}"
        assert requests.post(f"{address}/photographs?name=a.png", data=png(flat(1)), timeout=30).status_code == 200
        asking = raw_request(address, "/api/fill", form(first_pixel(SLOW)))
        time.sleep(0.7)
        workers = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text().split()
        start = time.monotonic()
        server.send_signal(getattr(signal, name))
        _, told = server.communicate(timeout=20)
        assert time.monotonic() - start < 5
    finally:
        server.kill()
        server.wait()
    assert "Traceback" not in told and len(told.splitlines()) <= 1, told
    time.sleep(0.3)
    assert workers and not any(is_running(pid) for pid in workers)
    if name != "SIGKILL":  # then the next server removes it
        assert list(tmp_path.iterdir()) == [] and server.returncode != 0
        assert b"503" in asking.recv(4096)
    asking.close()


def is_running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
