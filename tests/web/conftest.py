"""A worker with a stand-in for the network, which fills with the negative of what is there."""

import threading
import time

import numpy as np
import pytest

from datasets.images import write_picture
from web.limits import Limits
from web.worker import Worker


class Negative:
    """Called as an ``Inpainter`` is."""

    deadline = float("inf")

    def __call__(self, picture, hole):
        return np.where(hole[..., None], 255 - picture, picture)


@pytest.fixture
def worker(tmp_path):
    folder = tmp_path / "clients"
    folder.mkdir()
    worker = Worker({"general": tmp_path, "other": tmp_path}, folder, Limits(0.01, 0.1, 60), lambda path: Negative())
    yield worker
    worker.close()


@pytest.fixture
def picture(worker):
    """A client's photograph on the server, 40 high and 60 wide."""
    path = worker.folder / "sent" / "holiday.png"
    write_picture(path, np.random.default_rng(0).integers(0, 256, [40, 60, 3], np.uint8))
    return path


@pytest.fixture
def strokes():
    """Of half its size."""
    strokes = np.zeros([20, 30], bool)
    strokes[5:9, 10:20] = True
    return strokes


@pytest.fixture
def address(worker):
    """Of a server with that worker, on a port of this machine."""
    pytest.importorskip("gradio")
    import uvicorn

    from web.server import build_app, listen

    with listen("127.0.0.1", 0) as listening:
        server = uvicorn.Server(uvicorn.Config(build_app(worker), log_level="warning"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        while not server.started and thread.is_alive():
            time.sleep(0.05)
        yield "http://{}:{}".format(*listening.getsockname())
        server.should_exit = True
        thread.join()
