"""Clients' files are removed: after their time, when there are too many, and after a killed server."""

import os
import tempfile

import pytest

pytest.importorskip("filelock")

from web.store import LOCK, PREFIX, Store, own_folder
from web.texts import Refusal


def kept(store, client, count, used):
    document = store.new(client)
    with store.using(document):
        (document.folder / "photo.png").write_bytes(bytes(count))
    document.used = used
    return document


def test_old_files_go_and_those_in_use_stay(tmp_path):
    store = Store(tmp_path)
    old, busy, new = kept(store, "A", 1, -9000), kept(store, "A", 1, -9000), kept(store, "A", 1, float("inf"))
    with store.using(busy):
        store.sweep()
        assert [d.folder.exists() for d in (old, busy, new)] == [False, True, True]
    with pytest.raises(Refusal, match="no longer"):
        store.get(old.id)


def test_room_is_made_from_the_oldest_files_of_whoever_keeps_most(tmp_path):
    store = Store(tmp_path, most=1000, each=0)
    small, old, late = kept(store, "B", 200, 1), kept(store, "A", 300, 2), kept(store, "A", 400, 3)
    store.receive("C", 300)
    assert [d.folder.exists() for d in (small, old, late)] == [True, False, True]
    with pytest.raises(Refusal, match="no room"):
        store.receive("C", 1000)
    store.receive("C", -1300)
    assert not store.incoming


def test_the_number_of_photographs_is_bounded_and_so_is_what_one_address_sends(tmp_path, monkeypatch):
    store = Store(tmp_path, most=1000, each=300)
    documents = [kept(store, "A", 1, i) for i in range(5)]
    store.make_room()
    assert [d.folder.exists() for d in documents] == [False, False, True, True, True]
    monkeypatch.setattr("web.store.INCOMING_OF_ONE", 50)
    store.receive("B", 50)
    store.receive("C", 40)
    with pytest.raises(Refusal, match="no room"):
        store.receive("B", 1)


def test_what_is_written_for_a_removed_photograph_goes_too(tmp_path):
    store = Store(tmp_path)
    document = store.new("A")
    with store.using(document):
        store.remove(document)
        (document.folder / "late").mkdir(parents=True)
    assert list(tmp_path.iterdir()) == []


def test_folders_of_killed_servers_are_removed_and_those_of_others_stay(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    killed, other, link = tmp_path / f"{PREFIX}killed", tmp_path / "other", tmp_path / f"{PREFIX}link"
    for folder in (killed, other):
        folder.mkdir()
        (folder / "photo.png").write_bytes(b"")
    (killed / LOCK).write_bytes(b"")
    link.symlink_to(other)
    with own_folder() as running:
        for folder in (killed, running):
            os.utime(folder, (1, 1))
        with own_folder() as second:
            assert not killed.exists() and running.exists() and second.exists() and (other / "photo.png").exists()
    assert not running.exists() and not second.exists()
