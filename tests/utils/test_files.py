"""Files written whole or not at all, and what is left of writes that were killed."""

import pytest

from utils.files import atomic_path, remove_leftovers, temporary_beside


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_what_fails_leaves_the_file_as_it_was(tmp_path):
    (tmp_path / "a.txt").write_text("before")
    with pytest.raises(RuntimeError), atomic_path(tmp_path / "a.txt") as temporary:
        temporary.write_text("half")
        raise RuntimeError
    assert names(tmp_path) == ["a.txt"] and (tmp_path / "a.txt").read_text() == "before"


@pytest.mark.parametrize("name", ["a.png", "a", "ä" * 120 + ".png", "." + "b" * 250, "a." + "c" * 250, "new\nline.txt"])
def test_any_name_can_be_written_and_its_leftover_is_known(tmp_path, name):
    temporary_beside(tmp_path / "folder" / name).write_text("half")
    with atomic_path(tmp_path / "folder" / name) as temporary:
        temporary.write_text("whole")
    remove_leftovers(tmp_path / "folder")
    assert names(tmp_path / "folder") == [name]


def test_leftovers_of_killed_writes_are_removed_and_nothing_else(tmp_path):
    left = [temporary_beside(tmp_path / name) for name in ("a.txt", "iter_5", "latest")]
    left[0].write_text("half")
    left[1].mkdir()
    (left[1] / "model.pdparams").write_text("half")
    left[2].symlink_to(tmp_path)
    others = [".a.txt.swp", ".a.7.tmp", ".a.0123456789abcdef.pconv_tmpx", "a.0123456789abcdef.pconv_tmp"]
    for name in others:
        (tmp_path / name).write_text("not ours to remove")
    remove_leftovers(tmp_path)
    assert names(tmp_path) == sorted(others)
