"""Training that is killed and started again, at random moments, as another process; and many processes at once.

``KILLS=25 python -m pytest tests/test_survival.py`` kills more often than the usual run of the tests does.
"""

import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from engine.checkpoint import load_weights, read_arrays

ROOT = Path(__file__).resolve().parent.parent
KILLS = int(os.environ.get("KILLS", "3"))
SMALL = (
    "--config configs/samples.yaml --image_size 32 --base_channels 4 --depth 3 --batch_size 2 --perceptual_weight 0 "
    "--style_weight 0 --ema_decay 0.9 --val_every 7 --val_count 6 --log_every 1 --save_every 2 --keep 2 --threads 1"
)


def start(log_dir, arguments, launcher=()):
    command = [sys.executable, *launcher, str(ROOT / "train.py"), *SMALL.split(), "--log_dir", str(log_dir)]
    return subprocess.Popen(
        [*command, *arguments.split()],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def finish(process, timeout=120):
    output, _ = process.communicate(timeout=timeout)
    return process.returncode, output


def iterations(log_dir):
    log = log_dir / "train.log"
    return len(re.findall(r"\[TRAIN\]", log.read_text())) if log.exists() else 0


def kill_after(process, log_dir, count, delay=0.0, signum=signal.SIGKILL):
    """Signal the process once it has logged ``count`` more iterations; False where it ended before."""
    goal = iterations(log_dir) + count
    while iterations(log_dir) < goal and process.poll() is None:
        time.sleep(0.01)
    time.sleep(delay)
    alive = process.poll() is None
    os.killpg(process.pid, signum) if alive else None
    return alive


def states(log_dir):
    directory = log_dir / "checkpoints" / "latest"
    return {name: read_arrays(directory / name) for name in ("model.pdparams", "model_ema.pdparams")}


def assert_same(first, second):
    for file, arrays in first.items():
        for name, array in arrays.items():
            np.testing.assert_array_equal(array, second[file][name], err_msg=f"{file} {name}")


def test_a_run_killed_at_random_moments_ends_where_the_unbroken_one_ends(tmp_path):
    rng, arguments = random.Random(int(os.environ.get("KILL_SEED", "0"))), f"--max_iters {8 * KILLS} --num_workers 1"
    whole = start(tmp_path / "whole", arguments)
    kills = 0
    while True:
        process = start(tmp_path / "broken", arguments + " --resume auto")
        if kills < KILLS:
            kills += kill_after(process, tmp_path / "broken", rng.randint(1, 9), rng.random() * 0.1)
        status, output = finish(process)
        if status == 0:
            break
        assert status == -signal.SIGKILL, output
    assert kills == KILLS, "the run ended before it was killed often enough"
    assert finish(whole)[0] == 0
    assert_same(states(tmp_path / "whole"), states(tmp_path / "broken"))
    assert not list((tmp_path / "broken" / "checkpoints").glob("iter_*.tmp"))


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_polite_signal_saves_first(tmp_path, signum):
    process = start(tmp_path / "a", "--max_iters 100000 --save_every 100000 --num_workers 1")
    assert kill_after(process, tmp_path / "a", 3, signum=signum)  # to the readers too, as Ctrl-C in a terminal goes
    status, output = finish(process)
    assert status == 128 + signum and "--resume auto" in output and "Traceback" not in output, output
    assert load_weights(tmp_path / "a").model_name == "pconv_unet"
