"""Page and API over HTTP: what they answer, what they refuse, and that each client gets its own."""

import io
import json
import re
import secrets
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("gradio")
from fastapi.testclient import TestClient

from web.server import build_app

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def client(worker):
    with TestClient(build_app(worker)) as client:
        yield client


def png(pixels):
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "png")
    return file.getvalue()


def flat(level):
    return np.full([40, 60, 3], level, np.uint8)


def fill(client, level=7, headers=None, **fields):
    files = {"picture": ("photo.png", png(flat(level)))}
    return client.post("/api/fill", files=files, data={"box": "10,5,20,8", **fields}, headers=headers)


def pixels_of(content):
    return np.array(Image.open(io.BytesIO(content)))


def is_own(pixels, level):
    """Whether a result is that of ``fill``."""
    hole = np.zeros([40, 60], bool)
    hole[5:13, 10:30] = True
    return (pixels[~hole] == level).all() and (pixels[hole] == 255 - level).all()


def test_the_api_fills_and_keeps_nothing(client, worker):
    answer = fill(client)
    assert answer.status_code == 200 and is_own(pixels_of(answer.content), 7)
    assert (
        answer.headers["content-type"] == "image/png"
        and 'filename="photo.png"' in answer.headers["content-disposition"]
    )
    assert float(answer.headers["x-seconds"]) >= 0 and answer.headers["x-model"] == "general"
    assert list(worker.folder.rglob("*.png")) == []
    about = client.get("/api").json()
    assert about["models"] == ["general", "other"] and about["limits"]["megapixels"] == 0.01


@pytest.mark.parametrize(
    ("fields", "status", "said"),
    [
        ({"box": "900,900,1,1"}, 400, "60x40"),
        ({"model": "/etc"}, 400, "general"),
        ({"hole": "grey"}, 400, "white"),
        ({"box": []}, 400, "mask"),
    ],
)
def test_mistakes_are_answered_in_words(client, worker, fields, status, said):
    answer = fill(client, **fields)
    assert answer.status_code == status and said in answer.json()["error"]
    chinese = fill(client, headers={"Accept-Language": "zh-CN,zh;q=0.9"}, **fields).json()["error"]
    assert any("\u4e00" <= letter <= "\u9fff" for letter in chinese)
    assert str(worker.folder) not in chinese and list(worker.folder.rglob("*.png")) == []


def test_too_large_a_body_is_refused(client):
    answer = client.post("/api/fill", files={"picture": ("photo.png", bytes(2_000_000))})
    assert answer.status_code == 413 and "MB" in answer.json()["error"]

    def endless():
        for _ in range(1000):
            yield bytes(10_000)

    kind = {"Content-Type": "multipart/form-data; boundary=x"}
    assert client.post("/api/fill", content=endless(), headers=kind).status_code == 413


def test_a_browser_is_told_to_load_from_here_alone(client):
    answer = client.get("/")
    policy = answer.headers["content-security-policy"]
    assert answer.status_code == 200 and "http" not in policy and "*" not in policy
    config = client.get("/config").json()
    assert config["analytics_enabled"] is False and "fonts.googleapis" not in answer.text
    assert client.get("/docs").status_code == 404


def upload(client, content, name="photo.png"):
    return client.post("/gradio_api/upload", files={"files": (name, content)}).json()[0]


def file_data(path):
    return {"path": path, "meta": {"_type": "gradio.FileData"}}


def press_fill(client, picture, layer, mask=None):
    """What the page's button sends and is answered: the outputs, or None where Gradio refuses."""
    config = client.get("/config").json()
    [function] = [d for d in config["dependencies"] if len(d["inputs"]) == 7]
    editor = {"background": None, "layers": [layer] if layer else [], "composite": None}
    data = [picture, editor, mask, True, 0, "general", False]
    session = secrets.token_hex(8)
    request = {"data": data, "fn_index": function["id"], "session_hash": session}
    joined = client.post("/gradio_api/queue/join", json=request)
    assert joined.status_code == 200, joined.text
    stream = client.get("/gradio_api/queue/data", params={"session_hash": session}).text
    events = [json.loads(line[5:]) for line in stream.splitlines() if line.startswith("data:")]
    [done] = [event for event in events if event["msg"] == "process_completed"]
    return done["output"]["data"] if done["success"] else None


@pytest.fixture
def layer():
    """Strokes as the editor sends them."""
    layer = np.zeros([40, 60, 4], np.uint8)
    layer[5:13, 10:30] = 255
    return png(layer)


def test_twenty_pages_and_twenty_clients_of_the_api_at_once_get_their_own(client, layer):
    def page(i):
        picture = file_data(upload(client, png(flat(i))))
        outputs = press_fill(client, picture, file_data(upload(client, layer, "layer.png")))
        return client.get("/gradio_api/file=" + outputs[3]["path"]).content

    with ThreadPoolExecutor(40) as threads:
        pages = threads.map(page, range(20))
        answers = threads.map(lambda i: fill(client, i).content, range(100, 120))
        assert all(is_own(pixels_of(content), level) for level, content in enumerate(pages))
        assert all(is_own(pixels_of(content), level) for level, content in enumerate(answers, start=100))


def test_the_page_tells_mistakes_in_the_browsers_language(client):
    client.headers["accept-language"] = "zh-CN"
    assert "请先选择" in press_fill(client, None, None)[0]
    text = file_data(upload(client, b"no picture", "photo.png"))
    assert "无法使用" in press_fill(client, text, None)[0]


def files_in(folder):
    """Those with something in them: Gradio leaves empty ones behind."""
    return {path for path in folder.rglob("*") if path.is_file() and path.stat().st_size}


def test_no_other_file_and_no_address_is_read_for_a_client(client, worker, layer, tmp_path, monkeypatch):
    fetched = []

    async def fetch(url, *_, **__):
        fetched.append(url)
        return str(next(iter(files_in(worker.folder))))

    monkeypatch.setattr("gradio.processing_utils.async_ssrf_protected_download", fetch)
    secret = tmp_path / "secret.png"
    secret.write_bytes(png(flat(9)))
    strokes = file_data(upload(client, layer, "layer.png"))
    own = file_data(upload(client, png(flat(1))))
    assert press_fill(client, own, strokes) is not None
    before = files_in(worker.folder)
    for path in (str(secret), "http://203.0.113.1/x.png", "https://example.com/x.png"):
        for picture, mask in ((file_data(path), None), (own, file_data(path))):
            assert press_fill(client, picture, strokes, mask) is None
        assert press_fill(client, own, file_data(path)) is None
    assert files_in(worker.folder) == before and fetched == []
    assert client.get(f"/gradio_api/file={secret}").status_code == 403
    assert client.get("/gradio_api/file=README.md").status_code == 403


def test_the_example_in_python_works_as_it_stands(address, tmp_path, monkeypatch):
    pytest.importorskip("requests")
    [source] = re.findall(r"```python\n(.*?)```", (ROOT / "docs/web.md").read_text(encoding="utf-8"), re.DOTALL)
    assert source.count("http://127.0.0.1:7860") == 1
    monkeypatch.chdir(tmp_path)
    mask = np.zeros([40, 60], np.uint8)
    mask[9:13, 20:24] = 255
    Image.fromarray(flat(7)).save("photo.jpg")
    Image.fromarray(mask).save("mask.png")
    exec(source.replace("http://127.0.0.1:7860", address), {})
    before, after = np.array(Image.open("photo.jpg")), np.array(Image.open("filled.png"))
    hole = (before != after).any(axis=2)
    assert hole[9:13, 16:28].all() and not hole[9:13, :16].any() and not hole[:5].any()


def test_a_file_above_the_limit_is_not_taken(client):
    answer = client.post("/gradio_api/upload", files={"files": ("photo.png", bytes(200_000))})
    assert answer.status_code == 413
