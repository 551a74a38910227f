"""The server over HTTP: what it answers, what it refuses, and that nothing is left behind."""

import dataclasses
import io
import re
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import requests
from PIL import Image

from tests.web.conftest import (
    FORM,
    connect,
    first_pixel,
    flat,
    form,
    mask_of,
    noise,
    pixels_of,
    png,
    raw_request,
    until,
)
from tests.web.stand_in import BROKEN, DEADLY, GREEDY, SLOW

pytest.importorskip("uvicorn")

ROOT = Path(__file__).resolve().parents[2]
CHINESE = {"Accept-Language": "zh-CN,zh;q=0.9"}


def is_chinese(text):
    return any("\u4e00" <= letter <= "\u9fff" for letter in text)


def test_the_api_fills_and_keeps_nothing(client):
    answer = client.fill(noise())
    before, after = noise(), pixels_of(answer.content)
    hole = np.zeros([40, 60], bool)
    hole[5:13, 10:30] = True
    assert (after[~hole] == before[~hole]).all() and (after[hole] == 255 - before[hole]).all()
    assert answer.headers["content-type"] == "image/png"
    assert 'filename="photo.png"' in answer.headers["content-disposition"]
    assert float(answer.headers["x-seconds"]) >= 0 and answer.headers["x-model"] == "general"
    assert client.keeps_nothing()
    about = client("GET", "/api").json()
    assert about["models"] == ["general", "other"] and about["limits"]["megapixels"] == 0.05


@pytest.mark.parametrize(
    ("fields", "status", "said"),
    [
        ({"model": "/etc"}, 400, "general"),
        ({"maks": "x"}, 400, "maks"),
        ({"extend": "2000,0,0,0"}, 413, "megapixels"),
        ({"polygon": " ".join(["1,1"] * 10_001)}, 413, "corners"),
        ({"box": ["1,1,2,2"] * 300}, 400, "256"),
        ({"box": []}, 400, "painted"),
        ({"box": "0,0,60,40"}, 400, "known pixels"),
        ({"mask_alpha": "true"}, 400, "mask cannot be used"),
        ({"pixels": np.zeros([200, 300], np.uint8)}, 413, "megapixels"),
        ({"pixels": np.full([40, 60, 4], 40, np.uint8), "format": "jpeg"}, 400, "transparency"),
        ({"format": "jpeg", "lossless": "true"}, 400, "lossless"),
    ],
)
def test_mistakes_of_the_api(client, fields, status, said):
    answer = client.fill(**fields)
    assert answer.status_code == status and said in answer.json()["error"]
    chinese = client.fill(headers=CHINESE, **fields).json()["error"]
    assert is_chinese(chinese) and str(client.folder) not in chinese + answer.text
    assert client.keeps_nothing()


@pytest.mark.parametrize(
    ("method", "path", "options", "status"),
    [
        ("GET", "/nothing", {}, 404),
        ("GET", "/static/%2e%2e/texts.py", {}, 404),
        ("GET", "/api/fill", {}, 405),
        ("POST", "/api/fill", {"data": b"abc", "headers": {"Content-Type": "multipart/form-data"}}, 400),
        ("POST", "/api/fill", {"data": b"abc", "headers": FORM}, 400),
        ("POST", "/photographs", {}, 400),
        ("POST", "/photographs?sample=../secret", {}, 400),
        ("POST", "/photographs", {"data": bytes(3_000_000)}, 413),
        ("POST", "/photographs/unknown/0/fill", {}, 404),
        ("GET", "/", {"headers": {"Host": "evil.example"}}, 403),
        ("POST", "/photographs?sample=face", {"headers": {"Origin": "http://evil.example"}}, 403),
        ("DELETE", "/photographs/unknown", {"headers": {"Sec-Fetch-Site": "cross-site"}}, 403),
    ],
)
def test_every_mistake_is_answered_in_json_and_in_the_asked_language(client, method, path, options, status):
    headers = options.pop("headers", {})
    for language, expected in (("en", False), ("zh", True)):
        answer = client(method, path, headers={**headers, "Accept-Language": language}, **options)
        told = answer.json()["error"]
        assert answer.status_code == status and is_chinese(told) is expected, told
        assert str(client.folder) not in told and str(ROOT) not in told
    assert client.keeps_nothing()


def test_own_names_are_let_in_and_policies_are_strict(client):
    port = client.address.rpartition(":")[2]
    for host in (f"fill.example:{port}", "FILL.example", f"localhost:{port}", "[::1]"):
        assert client("GET", "/", headers={"Host": host}).status_code == 200
    origin = {"Origin": client.address, "Sec-Fetch-Site": "same-origin"}
    assert client("POST", "/photographs?name=a.png", data=png(flat(1)), headers=origin).status_code == 200
    assert client("POST", "/photographs?sample=face").json()["name"] == "face.png"
    policy = client("GET", "/").headers["content-security-policy"]
    assert policy.startswith("default-src 'none'") and "unsafe" not in policy and "*" not in policy


def test_an_endless_body_is_refused(client, monkeypatch):
    monkeypatch.setattr("web.guard.LINGER", 0.2)

    def endless():
        yield form(flat(1))[:-10]
        for _ in range(1000):
            yield bytes(10_000)

    answer = client("POST", "/api/fill", data=endless(), headers=FORM)
    assert answer.status_code == 413 and "MB" in answer.json()["error"]


def fill_state(client, photo, state, mask, **options):
    query = "&".join(f"{name}={value}" for name, value in options.items())
    return client("POST", f"/photographs/{photo['id']}/{state}/fill?{query}", data=mask)


@pytest.mark.parametrize("format", ["png", "jpeg"])
def test_known_pixels_stay_however_many_fills_came_before(client, format):
    sent = png(noise(), format, **({"quality": 70} if format == "jpeg" else {}))
    photo = client.open(sent, f"Ferien.{format}").json()

    def result(state, query="?lossless=true"):
        return client("GET", f"/photographs/{photo['id']}/{state}/result{query}")

    original, hole, state = pixels_of(result(0).content), np.zeros([40, 60], bool), 0
    for top, left in ((2, 3), (10, 30), (2, 5), (30, 50)):
        state = fill_state(client, photo, state, mask_of(40, 60, (top, top + 5, left, left + 8))).json()["state"]
        hole[top : top + 5, left : left + 8] = True
    after = pixels_of(result(state).content)
    assert (after[~hole] == original[~hole]).all() and (after[hole] != original[hole]).any()
    own = result(state, "")
    assert f'filename="Ferien.{format}"' in own.headers["content-disposition"]
    if format == "jpeg":  # coded once, with the photograph's own tables
        ours, theirs = (Image.open(io.BytesIO(content)).quantization for content in (own.content, sent))
        assert ours == theirs
    assert (pixels_of(result(0).content) == original).all()
    other = fill_state(client, photo, 1, mask_of(40, 60, (30, 32, 0, 4))).json()["state"]  # another way from there
    assert other == 5 and client("GET", f"/photographs/{photo['id']}/5/view").status_code == 200


def test_a_photograph_is_extended_and_filled_on(client):
    photo = client.open(png(noise())).json()
    answer = fill_state(client, photo, 0, b"", extend="5,0,10,3").json()
    assert (answer["width"], answer["height"]) == (75, 43)
    answer = fill_state(client, photo, 1, mask_of(43, 75, (0, 5, 0, 5))).json()
    after = pixels_of(client("GET", f"/photographs/{photo['id']}/2/result").content)
    assert after.shape == (43, 75, 3)
    assert (after[5:40, 5:65] == noise()[5:]).all() and (after[:5, 0] == 0).all() and (after[40:] == 255).all()


def test_what_goes_wrong_in_the_worker_is_told_and_the_next_is_served(client, capfd):
    for colour, status in ((DEADLY, 503), (GREEDY, 503), (BROKEN, 500)):
        answer = client.fill(first_pixel(colour))
        assert answer.status_code == status and "secret" not in answer.text
        assert client.fill().status_code == 200
    assert "secret" in capfd.readouterr().err and client.keeps_nothing()


def test_an_order_ends_at_its_deadline_and_the_next_is_served(client, monkeypatch):
    worker = client.server.worker
    with monkeypatch.context() as patch:
        patch.setattr(worker, "limits", dataclasses.replace(worker.limits, seconds=1))
        answer = client.fill(first_pixel(SLOW))
    assert answer.status_code == 503 and "Given up after 1 s" in answer.json()["error"]
    assert client.fill().status_code == 200 and client.keeps_nothing()


def chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def hostile_pictures():
    def png_of(width, height, *chunks):
        head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
        return b"\x89PNG\r\n\x1a\n" + head + b"".join(chunks) + chunk(b"IDAT", zlib.compress(bytes(40 * 181)))

    directory = struct.pack("<HHHII", 1, 256, 4, 1, 60)
    return {
        "chunks.png": png_of(60, 40, chunk(b"abCd", b"") * 7800),
        "claims.png": png_of(60_000, 60_000),
        "text.png": png_of(60, 40, chunk(b"zTXt", b"a\0\0" + zlib.compress(bytes(10_000_000)))),
        "directories.tif": b"II*\0\x08\0\0\0"
        + b"".join(directory + struct.pack("<I", 8 + 18 * (i + 1)) for i in range(5000)),
        "script.svg": b"<svg xmlns='http://www.w3.org/2000/svg'><image href='file:///etc/passwd'/></svg>",
        "program.png": b"%!PS\n",
    }


HOSTILE = hostile_pictures()


@pytest.mark.parametrize("name", list(HOSTILE))
def test_hostile_pictures_are_answered(client, name):
    content = HOSTILE[name]
    for answer in (
        client.open(content, name),
        client("POST", "/api/fill", files={"picture": (name, content)}, data={"box": "1,1,5,5"}),
        client("POST", "/api/fill", files={"picture": ("a.png", png(flat(1))), "mask": (name, content)}),
    ):
        assert answer.status_code in (200, 400, 413), answer.text
    assert client.fill().status_code == 200


def test_clients_that_go_away_give_their_places_back(client):
    gone = [raw_request(client.address, "/api/fill", form(first_pixel(SLOW))) for _ in range(33)]
    assert until(lambda: len(client.server.worker._waiting) == 32)  # all but the one at work
    for raw in gone:
        raw.close()
    assert client.fill().status_code == 200 and client.keeps_nothing()


def test_twenty_at_once_get_their_own(client):
    with ThreadPoolExecutor(20) as threads:
        answers = list(threads.map(lambda i: client.fill(flat(i)), range(20)))
    for level, answer in enumerate(answers):
        assert set(np.unique(pixels_of(answer.content))) == {level, 255 - level}


def test_the_place_is_told(client):
    photo, other = (client.open(png(pixels)).json() for pixels in (first_pixel(SLOW), flat(3)))
    mask = mask_of(40, 60, (5, 9, 5, 9))

    def told(photo):
        return client("GET", f"/photographs/{photo['id']}").json()["place"]

    slow = raw_request(client.address, f"/photographs/{photo['id']}/0/fill", mask)
    assert told(other) is None and until(lambda: told(photo) == 0)
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(fill_state, client, other, 0, mask)
        assert until(lambda: told(other) == 1)
        slow.close()
        assert waiting.result().json()["state"] == 1
    assert client("GET", f"/photographs/{other['id']}/1/view").status_code == 200


def test_a_slow_body_and_an_idle_connection_are_ended(client, monkeypatch):
    monkeypatch.setattr("web.guard.BODY", 0.5)
    monkeypatch.setattr("web.guard.IDLE", 0.5)
    monkeypatch.setattr("web.guard.LINGER", 0.2)
    raw = raw_request(client.address, "/api/fill", b"--x\r\n", length=1000)
    assert b"408" in raw.recv(4096)
    with connect(client.address) as idle:
        idle.sendall(b"GET / HT")
        assert idle.recv(4096) == b""


def test_a_full_disk_is_told_and_leaves_nothing(client, monkeypatch):
    store = client.server.store
    monkeypatch.setattr(store, "most", 1000)
    answer = client.fill(noise(), headers=CHINESE)
    assert answer.status_code == 507 and is_chinese(answer.json()["error"]) and client.keeps_nothing()
    assert client.fill().status_code == 200
    monkeypatch.undo()

    def no_room(*_):
        raise OSError(28, "No space left on device", "/secret")

    monkeypatch.setattr("web.routes.open", no_room, raising=False)
    answer = client("POST", "/photographs?name=a.png", data=png(flat(1)))
    assert answer.status_code == 507 and "secret" not in answer.text and client.keeps_nothing()
    monkeypatch.undo()
    assert client.fill().status_code == 200


def test_the_example_in_python_works_as_it_stands(client, tmp_path, monkeypatch):
    [source] = re.findall(r"```python\n(.*?)```", (ROOT / "docs/web.md").read_text(encoding="utf-8"), re.DOTALL)
    assert source.count("http://127.0.0.1:7860") == 1
    monkeypatch.chdir(tmp_path)
    Image.fromarray(flat(7)).save("photo.jpg")
    Path("mask.png").write_bytes(mask_of(40, 60, (9, 13, 20, 24)))
    exec(source.replace("http://127.0.0.1:7860", client.address), {"requests": requests})
    before, after = np.array(Image.open("photo.jpg")), np.array(Image.open("filled.png"))
    hole = (before != after).any(axis=2)
    assert hole[9:13, 16:28].all() and not hole[9:13, :16].any() and not hole[:5].any()
