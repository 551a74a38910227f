"""Commands as a shell runs them, with what only a shell can do to them: encodings, pipes, signals, limits of memory."""

import os
import resource
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import paddle
import pytest

from tests.hostile.harness import lines_of, prepare, problems_of, snapshot
from tests.hostile.table import is_usual, table
from tests.hostile.world import CYRILLIC, TINY
from tests.hostile.zygote import ROOT, SCRIPTS

GIB = 1 << 30
SECONDS = 120
# Options are taken apart before anything that a process of its own would make different.
TABLE = [name for name in table() if is_usual(name) and not name.startswith("options")][::16]


@pytest.fixture(scope="module")
def user(tmp_path_factory):
    folder = tmp_path_factory.mktemp("user")
    code = (
        "import sys, importlib.util as u; from tests.hostile import zygote; "
        f"zygote._script('train'); from tests.hostile.world import main; main([{str(folder)!r}])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    return folder


def start(command, arguments, folder, memory=None, **settings):
    """The command in a process group of its own."""
    program = [str(ROOT / f"{command}.py")] if command in SCRIPTS else ["-m", f"tools.{command}"]
    # glog: what Paddle for GPU says of a missing cuDNN is no line of ours.
    ours = {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "GLOG_minloglevel": "3"}
    environment = {**os.environ, **ours, **settings.pop("env", {})}

    def limit():
        if memory:
            resource.setrlimit(resource.RLIMIT_AS, (memory, memory))

    return subprocess.Popen(
        [sys.executable, *program, *map(str, arguments)],
        cwd=folder,
        env=environment,
        start_new_session=True,
        preexec_fn=limit,
        **{"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **settings},
    )


def finish(process):
    """Status, and both outputs as text."""
    try:
        out, err = process.communicate(timeout=SECONDS)
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
    return process.returncode, (out or b"").decode(errors="replace"), (err or b"").decode(errors="replace")


def fill(user, *more):
    return ["--weights", user / "weights", "--mask", user / "mask.png", "--threads", "1", *more]


@pytest.mark.parametrize("settings", [{"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C", "PYTHONUTF8": "0", "LANG": "C"}])
def test_a_folder_that_the_terminal_has_no_letters_for(user, tmp_path, settings):
    out = tmp_path / CYRILLIC
    status, _, err = finish(
        start("test", fill(user, "--input", user / CYRILLIC, "--output", out), tmp_path, env=settings)
    )
    assert (status, lines_of(err)) == (0, [])
    assert [path.name for path in out.glob("*.png")] == ["картинка.png"]
    arguments = [*TINY.split(), "--image_root", user / "pictures", "--max_iters", "1", "--log_dir", tmp_path / CYRILLIC]
    shutil.rmtree(out)
    status, out, err = finish(start("train", arguments, tmp_path, env=settings))
    assert status == 0 and "Traceback" not in out + err, err


def test_a_reader_that_goes_away_is_no_error(user, tmp_path):
    reading, writing = os.pipe()
    os.close(reading)
    process = start(
        "eval", ["--method", "mean", "--images", user / "pictures", "--num_workers", "0"], tmp_path, stdout=writing
    )
    os.close(writing)
    status, _, err = finish(process)
    assert status in (0, 128 + signal.SIGPIPE) and "Traceback" not in err and "Exception" not in err, err


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_filling_of_pictures_in_one_line(user, tmp_path, signum):
    (tmp_path / "many").mkdir()
    for i in range(3000):
        os.link(user / "pictures/0.png", tmp_path / f"many/{i}.png")
    out = tmp_path / "out"
    process = start("test", fill(user, "--input", tmp_path / "many", "--output", out), tmp_path)
    end = time.monotonic() + SECONDS
    while len(list(out.glob("*.png")) if out.exists() else []) < 2 and time.monotonic() < end:
        time.sleep(0.02)
    process.send_signal(signum)
    status, _, err = finish(process)
    assert status == 128 + signum and len(lines_of(err)) == 1 and "Traceback" not in err, err
    assert not [path for path in out.iterdir() if "pconv_tmp" in path.name]


@pytest.mark.skipif(paddle.is_compiled_with_cuda(), reason="Paddle for GPU is larger than that by itself")
@pytest.mark.parametrize("command", ["test", pytest.param("eval", marks=pytest.mark.heavy)])
def test_pictures_that_memory_cannot_hold_are_told_and_the_others_filled(user, tmp_path, command):
    """With addresses for little more than the libraries."""
    from datasets.images import write_picture

    large = np.random.default_rng(0).integers(0, 255, [3000, 3000, 3], np.uint8)
    shutil.copytree(user / "pictures", tmp_path / "set")
    write_picture(tmp_path / "set/large.png", large)
    arguments = {
        "test": ["--input", "set", "--output", "out", "--scales", "1"],
        "eval": ["--images", "set", "--masks", user / "masks", "--scales", "1", "--num_workers", "0", "--limit", "5"],
    }[command]
    arguments += ["--weights", user / "weights", "--threads", "1"]
    status, out, err = finish(start(command, arguments, tmp_path, memory=int(2.2 * GIB)))
    assert status in (1, 2) and "Traceback" not in out + err, err
    assert any("memory" in line and "3000x3000" in line for line in lines_of(err)), err
    if command == "test":
        assert sorted(p.stem for p in (tmp_path / "out").glob("[0-9].png")) == ["0", "1", "2", "3"]


@pytest.mark.heavy
@pytest.mark.parametrize("name", TABLE)
def test_the_table_as_a_shell_runs_it(name, user, tmp_path):
    case = table()[name]
    bad, work = tmp_path / "bad", tmp_path / "work"
    prepare(case, user, bad)
    work.mkdir()
    before = snapshot(user)
    arguments = [word.replace("{user}", str(user)).replace("{bad}", str(bad)) for word in case.arguments]
    if any("\0" in word for word in arguments):
        pytest.skip("no shell can give a zero byte")
    process = start(case.command, arguments, work, stdout=subprocess.DEVNULL)
    started = time.monotonic()
    status, _, err = finish(process)
    answer = {"status": status, "seconds": 0, "memory": 0, "stray": _is_alive(process.pid), "err": err, "out": ""}
    problems = problems_of(case, answer)
    shutil.rmtree(tmp_path)
    assert not problems and time.monotonic() - started < SECONDS, f"{problems}\n{err[-3000:]}"
    assert snapshot(user) == before


def _is_alive(group):
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
