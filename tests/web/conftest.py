"""A server whose worker process has a stand-in for the network, and its clients."""

import asyncio
import io
import os
import socket
import threading
import time

import numpy as np
import pytest
import requests
from PIL import Image

from tests.web.stand_in import prepare


class Client:
    """Asks a server on this machine."""

    def __init__(self, address, folder, server):
        self.address, self.folder, self.server = address, folder, server

    def __call__(self, method, path, **options):
        return requests.request(method, self.address + path, timeout=60, **options)

    def fill(self, pixels=None, name="photo.png", headers=None, **fields):
        """``POST /api/fill``."""
        content = png(flat(7) if pixels is None else pixels)
        data = {"box": "10,5,20,8", **fields}
        return self("POST", "/api/fill", files={"picture": (name, content)}, data=data, headers=headers)

    def open(self, content, name="photo.png", **options):
        """A photograph uploaded and read: the answer."""
        return self("POST", f"/photographs?name={name}", data=content, **options)

    def keeps_nothing(self):
        """Whether no file is left, at the latest a while after the answer."""
        return until(lambda: not any(files for _, _, files in os.walk(self.folder)))  # folders may vanish meanwhile


def until(condition):
    """The condition's value, once it is true; or after half a minute."""
    end = time.monotonic() + 30
    while not (value := condition()) and time.monotonic() < end:
        time.sleep(0.02)
    return value


@pytest.fixture(scope="session")
def shared_client(tmp_path_factory):
    pytest.importorskip("uvicorn")
    from web.limits import Limits
    from web.server import Server, listen
    from web.worker import Worker

    ready, servers, folder = threading.Event(), [], tmp_path_factory.mktemp("clients")

    async def run():
        worker = Worker(None, Limits(0.05, 0.1, 100), prepare=prepare)
        servers.append(Server(worker, folder, ["fill.example"]))
        await servers[0].run_on(listening, ready.set)

    with listen("127.0.0.1", 0) as listening:
        thread = threading.Thread(target=lambda: asyncio.run(run()), daemon=True)
        thread.start()
        assert ready.wait(60)
        yield Client("http://{}:{}".format(*listening.getsockname()), folder, servers[0])
        servers[0].should_exit = True
        thread.join(20)


@pytest.fixture
def client(shared_client):
    """Whatever a test leaves behind is removed."""
    yield shared_client
    store = shared_client.server.store
    for document in list(store.documents.values()):
        store.remove(document)


def png(pixels, format="png", **settings):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, format, **settings)
    return file.getvalue()


def flat(level):
    return np.full([40, 60, 3], level, np.uint8)


def first_pixel(colour):
    """A picture on which the stand-in does what the colour says."""
    pixels = flat(7)
    pixels[0, 0] = colour
    return pixels


def noise(height=40, width=60, seed=0):
    return np.random.default_rng(seed).integers(0, 256, [height, width, 3], np.uint8)


def mask_of(height, width, *boxes):
    """PNG with the boxes (top, bottom, left, right) white."""
    mask = np.zeros([height, width], np.uint8)
    for top, bottom, left, right in boxes:
        mask[top:bottom, left:right] = 255
    return png(mask)


def pixels_of(content):
    return np.array(Image.open(io.BytesIO(content)))


FORM = {"Content-Type": "multipart/form-data; boundary=x"}


def connect(address):
    return socket.create_connection(address.rpartition("/")[2].split(":"), timeout=60)


def raw_request(address, path, body, length=None):
    """A connection on which a request was sent, its answer still to come."""
    raw, kind = connect(address), FORM["Content-Type"]
    length = len(body) if length is None else length
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {length}\r\nContent-Type: {kind}\r\n\r\n"
    raw.sendall(head.encode() + body)
    return raw


def form(pixels):
    parts = b'--x\r\nContent-Disposition: form-data; name="box"\r\n\r\n1,1,5,5\r\n'
    parts += b'--x\r\nContent-Disposition: form-data; name="picture"; filename="a.png"\r\n\r\n'
    return parts + png(pixels) + b"\r\n--x--\r\n"
