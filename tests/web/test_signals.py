"""The server ends when it is asked to, also during a fill, and leaves nothing."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.web.conftest import Client, first_pixel, mask_of, png, raw_request, until
from tests.web.stand_in import SLOW

pytest.importorskip("uvicorn")
pytestmark = pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="sends signals")

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """
import app, functools, web.worker
from tests.web.stand_in import prepare
from utils.errors import run_cleanly

web.worker.Worker = functools.partial(web.worker.Worker, prepare=prepare)
run_cleanly(lambda: app.main(["--port", "0"]))
"""


def default_signals():
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):
        signal.signal(getattr(signal, name), signal.SIG_DFL)


@pytest.mark.parametrize("name", ["SIGTERM", "SIGINT", "SIGHUP", "SIGKILL"])
def test_signals_end_it_and_nothing_is_left(tmp_path, name):
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
        port = re.search(r":(\d+) ", server.stdout.readline())[1]
        client = Client(f"http://127.0.0.1:{port}", tmp_path, None)
        photo = client.open(png(first_pixel(SLOW))).json()
        asking = raw_request(client.address, f"/photographs/{photo['id']}/0/fill", mask_of(40, 60, (1, 5, 1, 5)))
        assert until(lambda: client("GET", f"/photographs/{photo['id']}").json()["place"] == 0)
        workers = psutil.Process(server.pid).children()
        server.send_signal(getattr(signal, name))
        _, told = server.communicate(timeout=30)  # the fill takes 60 s
    finally:
        server.kill()
        server.wait()
    assert "Traceback" not in told and len(told.splitlines()) <= 1, told
    assert workers and until(lambda: not any(is_running(worker) for worker in workers))
    if name != "SIGKILL":  # then the next server removes it
        assert list(tmp_path.iterdir()) == [] and server.returncode != 0
        assert b"503" in asking.recv(4096)
    asking.close()


def is_running(process):
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
