"""One worker: what is known stays, each client gets its own, and what is wrong is told in words."""

import contextlib
import os
import threading
import time
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from datasets.holes import Marks
from datasets.images import read_picture, write_picture
from web import worker as module
from web.limits import WAITING
from web.texts import Told
from web.worker import LimitedInpainter, Order, hole_of, open_photograph, stay, sweep


def test_strokes_are_filled_and_all_else_is_kept_bit_for_bit(worker, picture, strokes):
    filled = worker.fill(Order(picture, strokes=strokes))
    before, after = read_picture(picture), read_picture(filled.path)
    hole = strokes.repeat(2, axis=0).repeat(2, axis=1)
    assert np.array_equal(filled.hole, hole) and filled.share == hole.mean() and not filled.is_large
    assert np.array_equal(after[~hole], before[~hole]) and np.array_equal(after[hole], 255 - before[hole])
    assert filled.path.name == "holiday.png" and filled.model == "general" and filled.encoding.format == "png"


def test_strokes_and_a_mask_are_filled_together_and_grown_alike(worker, picture, strokes, tmp_path):
    mask = np.zeros([40, 60], np.uint8)
    mask[30:34, 2:6] = 255
    write_picture(tmp_path / "mask.png", mask)
    order = Order(picture, Marks(tmp_path / "mask.png", dilate=2), strokes)
    hole, _ = hole_of(order, open_photograph(picture, worker.limits), worker.limits)
    assert hole[28, 4] and hole[9, 20] and not hole[27, 4] and not hole[7, 20]


def test_a_jpeg_comes_back_as_one_unless_lossless(worker, tmp_path, strokes):
    path = worker.folder / "sent" / "photo.jpg"
    write_picture(path, np.zeros([20, 30, 3], np.uint8))
    names = [worker.fill(Order(path, strokes=strokes, lossless=on)).path.name for on in (False, True)]
    assert names == ["photo.jpg", "photo.png"]


def wrong_orders(picture, tmp_path):
    everywhere = np.ones([40, 60], bool)
    some = everywhere.copy()
    some[0] = False
    text, tall, grey = tmp_path / "text.png", tmp_path / "tall.png", tmp_path / "grey.png"
    text.write_text("no picture")
    write_picture(tall, np.eye(60, 40, dtype=np.uint8) * 255)
    write_picture(grey, np.full([40, 60], 128, np.uint8))
    large = tmp_path / "large.png"
    Image.new("1", [200, 200]).save(large)
    clear = tmp_path / "clear.png"
    Image.new("RGBA", [60, 40], (9, 9, 9, 40)).save(clear)
    return {
        "no_picture": Order(None, strokes=some),
        "gone": Order(tmp_path / "none.png", strokes=some),
        "unreadable": Order(text, strokes=some),
        "many_pixels": Order(large, strokes=some),
        "no_hole": Order(picture, strokes=~everywhere),
        "all_hole": Order(picture, strokes=everywhere),
        "bad_mask": Order(picture, Marks(tall)),
        "bad_mask 2": Order(picture, Marks(grey)),
        "bad_mask 3": Order(picture, Marks(alpha=True)),
        "many_pixels 2": Order(picture, Marks(large)),
        "no_model": Order(picture, strokes=some, model="../general"),
        "bad_result": Order(clear, strokes=some, wanted="jpeg"),
        "bad_value": Order(picture, strokes=some, wanted="jpeg", lossless=True),
    }


def test_what_is_wrong_is_told_in_both_languages_without_paths_of_the_server(worker, picture, tmp_path):
    for key, order in wrong_orders(picture, tmp_path).items():
        with pytest.raises(Told) as told:
            worker.fill(order)
        assert told.value.key == key.split()[0], (key, told.value)
        for language in ("en", "zh"):
            assert str(tmp_path) not in told.value.in_language(language)
    assert not list(worker.folder.glob("*/*result*"))


def test_a_damaged_model_and_too_little_memory_are_told(worker, picture, strokes, monkeypatch):
    def fail(error):
        def load(directory):
            raise error

        monkeypatch.setattr(worker, "_load", load)
        with pytest.raises(Told) as told:
            worker.fill(Order(picture, strokes=strokes))
        return told.value.key

    assert fail(module.InputError("damaged")) == "bad_model"
    assert fail(MemoryError()) == "memory"


def test_a_bug_is_no_mistake_of_the_user(worker, picture, strokes, monkeypatch):
    monkeypatch.setattr(worker, "_load", lambda directory: lambda picture, hole: 1 / 0)
    with pytest.raises((ZeroDivisionError, AttributeError)):
        worker.fill(Order(picture, strokes=strokes))


def test_a_fill_that_takes_too_long_is_given_up(worker, picture, strokes, monkeypatch, small_weights):
    monkeypatch.setattr(worker, "_load", LimitedInpainter.from_checkpoint)
    worker.models["general"] = small_weights
    assert worker.fill(Order(picture, strokes=strokes)).share > 0
    worker.limits = replace(worker.limits, seconds=0)
    with pytest.raises(Told, match="Given up after 0 s"):
        worker.fill(Order(picture, strokes=strokes))


def test_twenty_clients_at_once_get_their_own_one_after_another(worker, strokes, monkeypatch):
    at_work, most = [], []
    original = worker.fill

    def fill(order):
        at_work.append(order)
        most.append(len(at_work))
        try:
            return original(order)
        finally:
            at_work.remove(order)

    monkeypatch.setattr(worker, "fill", fill)
    futures, paths = {}, []
    for i in range(20):
        paths.append(worker.folder / f"client{i}" / "photo.png")
        write_picture(paths[-1], np.full([40, 60, 3], i, np.uint8))

    def ask(i):
        futures[i] = worker.submit(Order(paths[i], strokes=strokes))

    threads = [threading.Thread(target=ask, args=[i]) for i in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    results = {i: read_picture(future.result().path) for i, future in futures.items()}
    assert all(set(np.unique(results[i])) == {i, 255 - i} for i in range(20))
    assert len({future.result().path.parent for future in futures.values()}) == 20
    assert max(most) == 1


def test_too_many_waiting_are_told_and_places_come_back(worker, picture, strokes, monkeypatch):
    gate = threading.Event()
    monkeypatch.setattr(worker, "fill", lambda order: gate.wait(60))
    futures = [worker.submit(Order(picture)) for _ in range(WAITING + 1)]
    with pytest.raises(Told, match="waiting at most"):
        worker.submit(Order(picture))
    gate.set()
    assert all(future.result() for future in futures)
    for _ in range(600):  # the last place comes back just after its result
        with contextlib.suppress(Told):
            assert worker.submit(Order(picture)).result()
            return
        time.sleep(0.1)
    raise AssertionError("no place came back")


def test_models_in_memory_are_few_and_the_latest(worker, picture, strokes, monkeypatch):
    loaded = []
    original = worker._load
    monkeypatch.setattr(worker, "_load", lambda directory: loaded.append(1) or original(directory))
    worker.models["third"] = worker.models["general"]
    for name in ("general", "other", "general", "third", "general", "other"):
        assert worker.fill(Order(picture, strokes=strokes, model=name)).model == name
    assert len(loaded) == 4 and list(worker._loaded) == ["general", "other"]


def test_old_files_are_removed_and_those_in_use_stay(worker, picture):
    old = worker.folder / "old" / "photo.png"
    write_picture(old, np.zeros([4, 4, 3], np.uint8))
    for folder in (old.parent, picture.parent):
        os.utime(folder, (1, 1))
    stay(picture, worker.folder)
    sweep(worker.folder)
    assert picture.is_file() and not old.parent.exists()
    sweep(worker.folder / "not there")


def test_only_a_clients_own_files_are_used(worker, tmp_path, picture):
    outside = tmp_path / "secret" / "photo.png"
    write_picture(outside, np.zeros([4, 4, 3], np.uint8))
    for path in (outside, worker.folder / "sent/../../secret/photo.png", worker.folder / "sent" / "none.png"):
        with pytest.raises(Told, match="no longer"):
            stay(path, worker.folder)
