"""Under load with the shipped network: everybody is served in turn, and memory stays flat. Takes minutes."""

import statistics
import subprocess
import sys
import threading
import time
from pathlib import Path

import cv2
import pytest
import requests

from datasets.images import sample_photo
from tests.web.conftest import png

pytest.importorskip("uvicorn")
psutil = pytest.importorskip("psutil")
pytestmark = pytest.mark.heavy

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def server():
    """Address and process of ``app.py``."""
    process = subprocess.Popen([sys.executable, "app.py", "--port", "0"], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    yield process.stdout.readline().split()[0], process
    process.terminate()
    process.wait(10)


def fill(address, side):
    photo = png(cv2.resize(sample_photo("coffee"), (side, side), interpolation=cv2.INTER_AREA))
    box = f"{side // 3},{side // 3},{side // 4},{side // 5}"
    start = time.monotonic()
    answer = requests.post(f"{address}/api/fill", files={"picture": ("a.png", photo)}, data={"box": box}, timeout=600)
    assert answer.status_code == 200, answer.text
    return time.monotonic() - start


def memory(process):
    """Bytes of the server and its worker."""
    return sum(p.memory_info().rss for p in (psutil.Process(process.pid), *psutil.Process(process.pid).children()))


def together(address, side, clients, seconds, each_second=lambda: None):
    """Times of all fills of clients that ask again and again."""
    times, end = [], time.monotonic() + seconds

    def ask():
        times.append(fill(address, side))
        while time.monotonic() < end:
            times.append(fill(address, side))

    threads = [threading.Thread(target=ask) for _ in range(clients)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        each_second()
        time.sleep(1)
    return times


def test_twenty_clients_for_three_minutes(server):
    address, process = server
    single = statistics.median(fill(address, 256) for _ in range(5))
    sizes = []
    times = together(address, 256, 20, 180, lambda: sizes.append(memory(process)))
    print(f"one {single:.2f} s, of twenty {statistics.median(times):.2f} (worst {max(times):.2f}), {len(times)} fills")
    print(f"memory after a minute {sizes[60] / 2**20:.0f} MiB, at the end {sizes[-1] / 2**20:.0f} MiB")
    assert statistics.median(times) <= 1.2 * 20 * single
    assert max(sizes[-20:]) <= 1.1 * max(sizes[40:60])


def test_five_clients_with_large_photographs(server):
    address, _ = server
    single = fill(address, 3000)
    times = together(address, 3000, 5, 0)
    print(f"one {single:.1f} s, of five {', '.join(f'{t:.1f}' for t in sorted(times))} s")
    assert len(times) == 5
