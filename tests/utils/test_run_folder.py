"""Whose folder it is: a run's is told from any other, written by one run at a time, and moved aside whole."""

import signal
import subprocess
import sys
from pathlib import Path

import filelock
import pytest

from utils.errors import InputError
from utils.run_folder import RunFolder, is_run

ROOT = Path(__file__).resolve().parent.parent.parent
OPTIONS = "image_root: null\nimage_size: 64\nmodel: pconv_unet\nmax_iters: 4\nlog_dir: logs/a\n"


@pytest.fixture
def folder(tmp_path):
    """What a run leaves, killed while it wrote a checkpoint."""
    for name in ("checkpoints/iter_20", "checkpoints/.iter_40.0123456789abcdef.pconv_tmp", "samples"):
        (tmp_path / "a" / name).mkdir(parents=True)
    (tmp_path / "a/checkpoints/latest").symlink_to("iter_20")
    files = ("train.log", "metrics.csv", "metrics_damaged.csv", "vdlrecords.1732216155.log", "vdlgraph.log")
    for name in (*files, "samples/iter_20.png"):
        (tmp_path / "a" / name).write_text("")
    (tmp_path / "a/config.yaml").write_text(OPTIONS)
    (tmp_path / "a/.train.lock").write_text("process 7\n")
    return tmp_path / "a"


def test_earlier_runs_are_moved_aside_one_by_one(folder, tmp_path, capsys, monkeypatch):
    (folder / "train.log").write_text("first")
    (tmp_path / "link").symlink_to(folder)
    with RunFolder(tmp_path / "link") as first:
        first.begin(is_new=True)
        (folder / "config.yaml").write_text(OPTIONS)
        (folder / "train.log").write_text("second")
    monkeypatch.setattr("utils.run_folder.time.strftime", lambda form: "a_second_later")
    with RunFolder(folder) as second:
        second.begin(is_new=True)
    asides = list(tmp_path.glob("a_before_*"))
    assert sorted((path / "train.log").read_text() for path in asides) == ["first", "second"]
    assert (tmp_path / "link").is_symlink() and [path.name for path in folder.iterdir()] == [".train.lock"]
    assert all(str(path) in capsys.readouterr().out for path in asides[:1])
    with RunFolder(folder) as third:  # killed before it wrote anything, the second has left nothing to move
        third.begin(is_new=True)
    assert len(list(tmp_path.glob("a_before_*"))) == 2


def test_nothing_is_written_to_a_folder_that_is_refused_or_through_a_link(folder, tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    (folder / ".train.lock").unlink()
    (folder / ".train.lock").symlink_to(tmp_path / "thesis.txt")
    with pytest.raises(InputError, match="expected a file to lock, got a link"), RunFolder(folder) as mine:
        mine.begin(is_new=False)
    assert (tmp_path / "thesis.txt").read_text() == "mine"
    (folder / ".train.lock").unlink()
    (folder / "config.yaml").unlink()
    before = sorted(folder.iterdir())
    with pytest.raises(InputError, match=r"without the config\.yaml of a run"), RunFolder(folder) as mine:
        mine.begin(is_new=True)
    assert sorted(folder.iterdir()) == before


HOLDER = """
import os, sys
from utils.run_folder import RunFolder
with RunFolder(sys.argv[1]) as folder:
    folder.begin(is_new=False)
    if os.fork():
        print("held", flush=True)
    sys.stdin.read()
"""


def holding(folder):
    """Another run in the folder, with a process that it forked."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    process = subprocess.Popen([sys.executable, "-c", HOLDER, folder], cwd=ROOT, **pipes)
    assert process.stdout.readline() == "held\n"
    return process


@pytest.fixture
def holder(folder):
    process = holding(folder)
    yield process
    process.kill()
    process.communicate()  # closes its input, at which the forked one ends


@pytest.mark.skipif(filelock.__version__ < "4", reason="a forked process holds the lock of filelock 3 as well")
def test_a_folder_is_one_runs_until_it_ends_however_it_ends(folder, holder):
    with pytest.raises(InputError, match="another run is writing to ") as caught:
        RunFolder(folder).__enter__()
    assert "\n" not in str(caught.value)
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    with RunFolder(folder) as mine:
        mine.begin(is_new=False)
    assert is_run(folder)


def test_a_new_folder_is_the_first_ones(tmp_path):
    with RunFolder(tmp_path / "new") as late:  # nothing to lock yet
        process = holding(tmp_path / "new")
        (tmp_path / "new" / "config.yaml").write_text(OPTIONS)
        with pytest.raises(InputError, match="another run is writing"):
            late.begin(is_new=True)
        assert (tmp_path / "new" / "config.yaml").read_text() == OPTIONS
        process.communicate("")
