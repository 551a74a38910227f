"""Files written whole or not at all, and what is left of writes that were killed."""

import os

import pytest

from utils import files
from utils.files import atomic_path, temporary_beside


def leftover(path):
    """What a process would have left, killed two days ago while it wrote ``path``."""
    return temporary_beside(path)


def age(*paths):
    for path in paths:
        os.utime(path, (0, 0), follow_symlinks=False)


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
    left = leftover(tmp_path / "folder" / name)
    left.write_text("half")
    age(left)
    files._cleaned.clear()  # as in another process
    with atomic_path(tmp_path / "folder" / name) as temporary:
        temporary.write_text("whole")
    assert names(tmp_path / "folder") == [name]


def test_leftovers_of_killed_writes_are_removed_and_nothing_else(tmp_path):
    left = leftover(tmp_path / "a.txt"), leftover(tmp_path / "iter_5"), leftover(tmp_path / "latest")
    left[0].write_text("half")
    left[1].mkdir()
    (left[1] / "model.pdparams").write_text("half")
    left[2].symlink_to(tmp_path)
    others = [".a.txt.swp", ".a.7.tmp", ".a.0123456789abcdef.pconv_tmpx", "a.0123456789abcdef.pconv_tmp"]
    at_work = leftover(tmp_path / "b.txt")
    for name in [*others, at_work.name]:
        (tmp_path / name).write_text("not ours to remove")
    age(*left, *(tmp_path / name for name in others))
    files._cleaned.clear()
    with atomic_path(tmp_path / "c.txt") as temporary:
        temporary.write_text("")
    assert names(tmp_path) == sorted(["c.txt", *others, at_work.name])
    files.remove_leftovers(tmp_path, older_than=0)  # as a run does in its own folder, which it has locked
    assert names(tmp_path) == sorted(["c.txt", *others])
