"""Places are fair, and the worker process does what it is asked, in process and by itself."""

import asyncio
import pickle

import numpy as np
import pytest
from PIL import Image

from datasets.holes import Marks
from datasets.images import read_picture, write_picture
from tests.web.conftest import flat, noise
from utils.errors import InputError
from web.limits import Limits
from web.orders import Order
from web.process import Filler
from web.texts import Refusal
from web.worker import Worker


def test_clients_take_turns_and_too_many_are_refused(monkeypatch):
    served = []

    async def work(self, order):
        served.append(order)
        await asyncio.sleep(0)

    async def run():
        worker = Worker()
        tasks = [asyncio.create_task(worker.do(i, client, str(i))) for i, client in enumerate("AAABCB")]
        await asyncio.sleep(0)
        places = [worker.place(str(i)) for i in range(6)]
        monkeypatch.setattr("web.worker.WAITING", 5)
        with pytest.raises(Refusal, match="waiting at most"):
            await worker.do(6, "D")
        await asyncio.gather(*tasks)
        assert worker._waiting == [] and worker.place("3") is None
        return places

    monkeypatch.setattr(Worker, "_work", work)
    assert asyncio.run(run()) == [0, 3, 5, 3, 3, 5]  # at the latest
    assert served == [0, 3, 4, 1, 5, 2]


def negative(picture, hole):
    return np.where(hole[..., None], 255 - picture, picture)


@pytest.fixture
def filler(tmp_path):
    return Filler({"general": tmp_path}, Limits(0.01, 0.1, 60), lambda path: {None: negative})


@pytest.fixture
def picture(tmp_path):
    write_picture(tmp_path / "photo.png", noise())
    return tmp_path / "photo.png"


def test_strokes_and_a_mask_of_half_the_size_are_grown_alike(filler, picture, tmp_path):
    mask = np.zeros([20, 30], np.uint8)
    mask[5:9, 10:20] = 255
    write_picture(tmp_path / "mask.png", mask)
    done = filler.do(Order(picture, Marks(tmp_path / "mask.png", dilate=2), fills=True, result=tmp_path / "r"))
    changed = (read_picture(tmp_path / "r") != noise()).any(axis=2)
    assert changed[8:20, 20:40].all() and not changed[:8].any() and not changed[:, :18].any()
    assert done["share"] == pytest.approx(changed.mean(), abs=0.02)


def wrong_orders(picture, tmp_path):
    text, tall, large, clear = (tmp_path / f"{name}.png" for name in ("text", "tall", "large", "clear"))
    text.write_text("no picture")
    write_picture(tall, np.eye(60, 40, dtype=np.uint8) * 255)
    Image.new("1", [200, 200]).save(large)
    Image.new("RGBA", [60, 40], (9, 9, 9, 40)).save(clear)
    box = Marks(boxes=[(1, 1, 5, 5)])

    def order(photograph, marks=box, **values):
        return Order(photograph, marks, fills=True, result=tmp_path / "result", **values)

    return [
        ("gone", order(tmp_path / "none.png")),
        ("unreadable", order(text)),
        ("many_pixels", order(large)),
        ("many_pixels", order(picture, extend=(500, 0, 0, 0))),
        ("no_hole", order(picture, Marks())),
        ("all_hole", order(picture, Marks(boxes=[(0, 0, 60, 40)]))),
        ("bad_mask", order(picture, Marks(tall))),
        ("bad_mask", order(picture, Marks(alpha=True))),
        ("no_model", order(picture, model="../general")),
        ("bad_result", order(clear, format="jpeg")),
        ("bad_result", order(picture, format="jpeg", lossless=True)),
    ]


def test_what_is_wrong_is_told_in_both_languages_without_the_servers_folders(filler, picture, tmp_path):
    for key, order in wrong_orders(picture, tmp_path):
        with pytest.raises(Refusal) as told:
            filler.do(order)
        assert told.value.key == key, (order, told.value)
        for language in ("en", "zh"):
            assert str(tmp_path) not in told.value.in_language(language)
    assert not (tmp_path / "result").exists()


@pytest.mark.parametrize(
    ("error", "key"),
    [
        (InputError("damaged"), "bad_model"),
        (MemoryError(), "memory"),
        (OSError(28, "full"), "full"),
        (KeyError("secret"), "bug"),
    ],
)
def test_every_error_has_an_answer(tmp_path, picture, error, key, capsys):
    def load(directory):
        raise error

    order = Order(picture, Marks(boxes=[(1, 1, 4, 4)]), fills=True)
    told = pickle.loads(pickle.dumps(Filler({"general": tmp_path}, Limits(), load).answer(order)))
    assert told.key == key and "secret" not in str(told)
    assert ("secret" in capsys.readouterr().err) == (key == "bug")


def test_models_in_memory_are_few_and_the_latest(tmp_path):
    loaded = []
    filler = Filler({name: tmp_path / name for name in "abc"}, Limits(), lambda path: loaded.append(path.name))
    for name in "abacab":
        filler.model(name)
    assert loaded == ["a", "b", "c", "b"]


def test_a_large_photograph_is_shown_smaller(filler, tmp_path, monkeypatch):
    monkeypatch.setattr("web.process.VIEW_PIXELS", 600)
    write_picture(tmp_path / "photo.png", flat(9))
    done = filler.do(Order(tmp_path / "photo.png", view=tmp_path / "view_0"))
    assert (done["width"], done["height"]) == (60, 40) and Image.open(tmp_path / "view_0").size == (30, 20)


def test_a_worker_that_cannot_start_says_why(tmp_path):
    with pytest.raises(InputError, match="nowhere"):
        asyncio.run(Worker(str(tmp_path / "nowhere")).start())
