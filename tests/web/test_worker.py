"""Places are fair, and the worker process does what it is asked, in process and by itself."""

import asyncio
import os

import numpy as np
import pytest
from PIL import Image

from datasets.holes import Marks
from datasets.images import read_picture, write_picture
from tests.web.conftest import flat, noise
from utils.errors import InputError
from web.limits import Limits
from web.orders import Order, file_name
from web.process import Filler, answer
from web.texts import Refusal
from web.worker import Places, Ticket, Worker


def tickets(*clients):
    loop = asyncio.new_event_loop()
    return [Ticket(Order(None), client, loop.create_future()) for client in clients]


def test_addresses_take_turns():
    places, waiting = Places(), tickets(*"AAAB", "C", "B")
    for ticket in waiting:
        places.add(ticket)
    expected = [places.place(ticket) for ticket in waiting]
    order = [places.take() for _ in waiting]
    assert [ticket.client for ticket in order] == list("ABCABA")
    assert expected == [order.index(ticket) + 1 for ticket in waiting]
    assert places.place(waiting[0]) == 0 and len(places) == 0


def test_whoever_has_most_places_loses_one_when_all_are_taken():
    places, waiting = Places(4), tickets("A", "A", "A", "A", "B", "B", "C", "B")
    for ticket in waiting[:7]:
        places.add(ticket)
    assert [ticket.future.done() for ticket in waiting] == [False, True, True, True] + [False] * 4
    assert waiting[3].future.exception().key == "busy"
    with pytest.raises(Refusal, match="waiting at most"):
        places.add(waiting[7])
    places.drop(waiting[4])
    places.drop(waiting[4])
    places.add(waiting[7])
    assert [places.take().client for _ in range(4)] == ["A", "C", "B", "B"]


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
    changed = (read_picture(done["result"]) != noise()).any(axis=2)
    assert changed[8:20, 20:40].all() and not changed[:8].any() and not changed[:, :18].any()
    assert done["share"] == pytest.approx(changed.mean(), abs=0.02)


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
    told = answer(Filler({"general": tmp_path}, Limits(), load), order, lambda line: None)
    assert told["refused"][0] == key and "secret" not in str(told)
    assert ("secret" in capsys.readouterr().err) == (key == "bug")


def test_models_in_memory_are_few_and_the_latest(tmp_path):
    loaded = []
    filler = Filler({name: tmp_path / name for name in "abc"}, Limits(), lambda path: loaded.append(path.name))
    for name in "abacab":
        filler.model(name)
    assert loaded == ["a", "b", "c", "b"]


def test_a_large_photograph_is_shown_smaller(filler, tmp_path, monkeypatch):
    monkeypatch.setattr("web.process.VIEW_PIXELS", 600)
    monkeypatch.setattr("web.process.EXACT_VIEW", 300)
    write_picture(tmp_path / "photo.png", flat(9))
    done = filler.do(Order(tmp_path / "photo.png", view=tmp_path / "view_0"))
    assert done["view"] == "view_0.jpg" and (done["width"], done["height"]) == (60, 40)
    assert Image.open(tmp_path / "view_0.jpg").size == (30, 20)


@pytest.mark.parametrize(
    "name",
    ["../../../etc/x.png", "/etc/x.png", "..", "a/b\\c:\0\n.p/ng", "", "\ud800.png", "x" * 999, ".png", "a.png. "],
)
def test_a_files_name_leads_nowhere(tmp_path, name):
    found = file_name(name)
    assert os.path.basename(found) == found and found not in ("", ".", "..") and len(found) < 80
    (tmp_path / found).write_text("")


def test_a_worker_that_cannot_start_says_why(tmp_path):
    with pytest.raises(InputError, match="nowhere"):
        asyncio.run(Worker(str(tmp_path / "nowhere")).start())
