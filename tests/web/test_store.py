"""Clients' files are removed: after their time, when there are too many, and after a killed server."""

import os
import tempfile

import pytest

pytest.importorskip("filelock")

from web.store import LOCK, PREFIX, Store, own_folder
from web.texts import Refusal


def kept(store, count, used):
    with store.new("A") as document:
        (document.folder / "photo.png").write_bytes(bytes(count))
    document.used = used
    return document


def test_old_files_go_and_those_in_use_stay(tmp_path):
    store = Store(tmp_path)
    old, busy, new = kept(store, 1, -9000), kept(store, 1, -9000), kept(store, 1, float("inf"))
    with store.using(busy):
        store.sweep()
        assert [d.folder.exists() for d in (old, busy, new)] == [False, True, True]
    with pytest.raises(Refusal, match="no longer"):
        store.get(old.id)


def test_room_is_made_from_the_oldest_files(tmp_path):
    store = Store(tmp_path, most=1000, each=50)
    late, old, new = kept(store, 250, 2), kept(store, 150, 1), kept(store, 350, 3)
    store.make_room(300)
    assert [d.folder.exists() for d in (late, old, new)] == [True, False, True]
    with pytest.raises(Refusal, match="no room"):
        store.make_room(1000)
    assert list(tmp_path.iterdir()) == []


def test_what_is_written_for_a_removed_photograph_goes_too(tmp_path):
    store = Store(tmp_path)
    with store.new("A") as document:
        store.remove(document)
        (document.folder / "late").mkdir(parents=True)
    assert list(tmp_path.iterdir()) == []


def test_folders_of_killed_servers_are_removed_and_those_of_others_stay(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    killed, other = tmp_path / f"{PREFIX}killed", tmp_path / "other"
    for folder in (killed, other):
        folder.mkdir()
        (folder / "photo.png").write_bytes(b"")
    (killed / LOCK).write_bytes(b"")
    with own_folder() as running:
        for folder in (killed, running):
            os.utime(folder, (1, 1))
        with own_folder() as second:
            assert not killed.exists() and running.exists() and second.exists() and (other / "photo.png").exists()
    assert not running.exists() and not second.exists()
