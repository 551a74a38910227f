"""Places are fair, and what the worker process answers."""

import asyncio
import pickle

import pytest
from PIL import Image

pytest.importorskip("starlette")

from datasets.holes import Marks
from datasets.images import write_picture
from tests.web.conftest import flat
from utils.errors import InputError
from web.limits import Limits
from web.orders import Order
from web.process import ROOT, Filler, load_model
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


def test_a_large_photograph_is_shown_smaller(tmp_path, monkeypatch):
    monkeypatch.setattr("web.process.VIEW_PIXELS", 600)
    write_picture(tmp_path / "photo.png", flat(9))
    filler = Filler({"general": tmp_path}, Limits(), lambda path: {})
    done = filler.do(Order(tmp_path / "photo.png", view=tmp_path / "view_0"))
    assert (done["width"], done["height"]) == (60, 40) and Image.open(tmp_path / "view_0").size == (30, 20)


def test_detail_alone_differs_from_what_the_weights_say():
    fills = load_model(ROOT / "weights/faces")
    assert [fills[detail].detail for detail in (None, True, False)] == [False, True, False]
    assert {(fill.flip, fill.start_depth, fill.model) for fill in fills.values()} == {
        ("first", fills[None].start_depth, fills[None].model)
    }


def test_a_model_that_cannot_be_used_is_told_without_its_folder(tmp_path):
    def load(directory):
        raise InputError(f"{directory}: damaged")

    write_picture(tmp_path / "photo.png", flat(9))
    order = Order(tmp_path / "photo.png", Marks(boxes=[(1, 1, 4, 4)]), fills=True)
    told = pickle.loads(pickle.dumps(Filler({"broken": tmp_path / "broken"}, Limits(), load).answer(order)))
    assert told.key == "bad_model" and "damaged" in str(told) and str(tmp_path) not in told.in_language("zh")


def test_a_worker_that_cannot_start_says_why(tmp_path):
    with pytest.raises(InputError, match="nowhere"):
        asyncio.run(Worker(str(tmp_path / "nowhere")).start())
