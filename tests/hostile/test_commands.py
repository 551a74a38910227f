"""Commands as a shell runs them: mistakes in one line, no harm to files; encodings, signals, memory."""

import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import paddle
import pytest

from datasets.images import write_picture
from inpainting.checkpoint import save_weights
from models import build_model

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 400
CYRILLIC = "папка"


@pytest.fixture(scope="module")
def user(tmp_path_factory):
    """What a user has: pictures, masks, weights, and other files."""
    folder = tmp_path_factory.mktemp("user")
    for i in range(4):
        mask = np.zeros([40, 48], np.uint8)
        mask[8:24, 10 + i : 34] = 255
        picture = np.random.default_rng(i).integers(0, 256, [40, 48, 3], np.uint8)
        write_picture(folder / "pictures" / f"{i}.png", picture)
        write_picture(folder / "masks" / f"{i}.png", mask)
    write_picture(folder / CYRILLIC / "картинка.png", np.zeros([40, 48, 3], np.uint8))
    save_weights(build_model("pconv_unet", base_channels=4, depth=3), folder / "weights")
    (folder / "thesis").mkdir()
    (folder / "thesis/thesis.txt").write_text("the work of three years")
    (folder / "damaged.png").write_bytes((folder / "pictures/0.png").read_bytes()[:900])
    (folder / "bad.yaml").write_text("lr: !!python/object/apply:os.abort []\n")
    shutil.copytree(folder / "weights", folder / "cut")
    (folder / "cut/model.safetensors").write_bytes((folder / "weights/model.safetensors").read_bytes()[:5000])
    return folder


def start(words, folder, memory=None, **env):
    """``script arguments`` or ``-m module arguments`` in a process group of its own."""
    program, *arguments = words.split()
    program = "-m" if program == "-m" else str(ROOT / program)
    ours = {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "GLOG_minloglevel": "3"}  # no messages of missing cuDNN
    return subprocess.Popen(
        [sys.executable, program, *arguments],
        cwd=folder,
        env={**os.environ, **ours, **env},
        start_new_session=True,
        preexec_fn=(lambda: resource.setrlimit(resource.RLIMIT_AS, (memory, memory))) if memory else None,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    )


def finish(process):
    """Status, and the lines of stderr without progress bars."""
    lines = process.communicate(timeout=SECONDS)[1].splitlines()
    return process.returncode, [line for line in lines if line.strip() and "%|" not in line and "?it" not in line]


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


MISTAKES = {
    "train.py --outptu x": "--outptu",
    "train.py --config {user}/bad.yaml": "bad.yaml",
    "train.py --image_root {user}/pictures --max_iters 1 --log_dir {user}/thesis": "thesis",
    "test.py --input {user}/pictures --mask {user}/masks --weights {user}/cut": "truncated or damaged",
    "test.py --weights {user}/weights --input {user}/damaged.png": "damaged.png",
    "eval.py --method telea --images nothing": "--images",
    "export.py --weights {user}/thesis --output out": "--weights",
    "-m tools.convert_weights --weights {user}/cut --output out": "--weights",
}


@pytest.mark.parametrize("words", MISTAKES)
def test_a_mistake_is_one_line_and_harms_nothing(words, user, tmp_path):
    before = contents(user)
    status, (*notes, last) = finish(start(words.replace("{user}", str(user)), tmp_path))
    assert status in (1, 2) and last.startswith("error: ") and MISTAKES[words] in last
    assert len(notes) <= 1 and all(line.isprintable() and "Traceback" not in line for line in notes)
    assert contents(user) == before and not list(tmp_path.rglob("*.png"))


@pytest.mark.parametrize("env", [{"PYTHONIOENCODING": "ascii"}, {"LC_ALL": "C", "PYTHONUTF8": "0", "LANG": "C"}])
def test_a_folder_that_the_terminal_has_no_letters_for(user, tmp_path, env):
    words = f"test.py --weights {user}/weights --threads 1 --input {user}/{CYRILLIC} --box 3,3,9,9 --output {CYRILLIC}"
    assert finish(start(words, tmp_path, **env)) == (0, [])
    assert [path.name for path in (tmp_path / CYRILLIC).glob("*.png")] == ["картинка.png"]


def test_a_signal_ends_the_filling_of_pictures_in_one_line(user, tmp_path):
    (tmp_path / "many").mkdir()
    for i in range(3000):
        os.link(user / "pictures/0.png", tmp_path / f"many/{i}.png")
    words = f"test.py --weights {user}/weights --threads 1 --input many --box 3,3,9,9 --output out"
    process, out, end = start(words, tmp_path), tmp_path / "out", time.monotonic() + SECONDS
    while len(list(out.glob("*.png"))) < 2 and time.monotonic() < end:
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    assert finish(process) == (128 + signal.SIGTERM, ["ended by SIGTERM"])
    assert not list(out.glob(".*pconv_tmp*"))


@pytest.mark.heavy
@pytest.mark.skipif(paddle.is_compiled_with_cuda(), reason="Paddle for GPU is larger than that by itself")
def test_a_picture_that_memory_cannot_hold_is_told_and_the_others_filled(user, tmp_path):
    """With addresses for little more than the libraries."""
    shutil.copytree(user / "pictures", tmp_path / "set")
    write_picture(tmp_path / "set/large.png", np.random.default_rng(0).integers(0, 255, [3000, 3000, 3], np.uint8))
    words = f"test.py --weights {user}/weights --threads 1 --input set --box 3,3,9,9 --scales 1 --output out"
    status, lines = finish(start(words, tmp_path, memory=int(2.2 * (1 << 30))))
    assert status in (1, 2) and not any("Traceback" in line for line in lines), lines
    assert any("memory" in line and "3000x3000" in line for line in lines), lines
    assert sorted(path.stem for path in (tmp_path / "out").glob("[0-9].png")) == ["0", "1", "2", "3"]
