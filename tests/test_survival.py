"""Training that is killed and started again, at random moments, as another process; and many processes at once.

``KILLS=25 python -m pytest tests/test_survival.py`` kills more often than the usual run of the tests does.
"""

import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from engine.training_state import CheckpointFolder
from inpainting.checkpoint import load_weights, read_arrays, read_meta
from tests.one_distributed_step import KINDS

ROOT = Path(__file__).resolve().parent.parent
KILLS = int(os.environ.get("KILLS", "2"))
LAUNCH = ("-m", "paddle.distributed.launch", "--nproc_per_node", "2", "--log_dir")
PCONV = "--config configs/samples.yaml --depth 3 --perceptual_weight 0 --style_weight 0 "
DEEPFILL = "--config configs/deepfill_samples.yaml --critic_channels 4 --critic_steps 2 --hole_shape both "
SMALL = (
    "--image_size 32 --base_channels 4 --batch_size 2 --ema_decay 0.9 --val_every 7 --val_count 6 --log_every 1 "
    "--save_every 2 --keep 2 --threads 1"
)


def run_python(*arguments):
    return subprocess.Popen(
        [sys.executable, *map(str, arguments)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def start(log_dir, arguments, launcher=(), model=PCONV):
    return run_python(*launcher, ROOT / "train.py", *(model + SMALL).split(), "--log_dir", log_dir, *arguments.split())


def start_two(log_dir, arguments):
    return start(log_dir, arguments, [*LAUNCH, log_dir.with_suffix(".launch")])


def finish(process, timeout=400):
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
    return {path.name: read_arrays(path) for path in directory.glob("*.pdparams")}  # of network, average, critics


def assert_same(first, second):
    assert set(first) == set(second)
    for file, arrays in first.items():
        for name, array in arrays.items():
            np.testing.assert_array_equal(array, second[file][name], err_msg=f"{file} {name}")


@pytest.mark.heavy
@pytest.mark.parametrize(
    ("model", "kills"), [pytest.param(PCONV, KILLS, id="pconv"), pytest.param(DEEPFILL, -(-KILLS // 2), id="deepfill")]
)
def test_a_run_killed_at_random_moments_ends_where_the_unbroken_one_ends(tmp_path, model, kills):
    # Long enough for kills to find it at work: at most 9 iterations and what is done in the delay lie before each.
    rng, arguments = random.Random(int(os.environ.get("KILL_SEED", "0"))), f"--max_iters {20 * kills} --num_workers 1"
    whole = start(tmp_path / "whole", arguments, model=model)
    killed = 0
    while True:
        process = start(tmp_path / "broken", arguments + " --resume auto", model=model)
        if killed < kills:
            killed += kill_after(process, tmp_path / "broken", rng.randint(1, 9), rng.random() * 0.05)
        status, output = finish(process)
        if status == 0:
            break
        assert status == -signal.SIGKILL, output
    assert killed, "the run ended before it was killed"  # on a busy machine some kills come too late
    assert finish(whole)[0] == 0
    assert_same(states(tmp_path / "whole"), states(tmp_path / "broken"))
    assert not list((tmp_path / "broken").rglob("*pconv_tmp*"))


@pytest.mark.parametrize(
    "signum", [signal.SIGTERM, signal.SIGINT, pytest.param(signal.SIGHUP, marks=pytest.mark.heavy)]
)
def test_a_polite_signal_saves_first(tmp_path, signum):
    process = start(tmp_path / "a", "--max_iters 100000 --save_every 100000 --num_workers 1")
    assert kill_after(process, tmp_path / "a", 3, signum=signum)  # to the readers too, as Ctrl-C in a terminal goes
    status, output = finish(process)
    assert status == 128 + signum and "--resume auto" in output and "Traceback" not in output, output
    assert load_weights(tmp_path / "a").model_name == "pconv_unet"


def test_a_job_s_end_that_is_told_to_each_process_saves_first(tmp_path):
    """As Slurm and systemd tell it; readers that died of it would take the trainer with them."""
    process = start(tmp_path / "a", "--max_iters 100000 --save_every 100000 --num_workers 2")
    while iterations(tmp_path / "a") < 2 and process.poll() is None:
        time.sleep(0.01)
    readers = children(process.pid)
    assert len(readers) >= 2
    for child in readers:
        os.kill(child, signal.SIGTERM)
    before = iterations(tmp_path / "a")
    while iterations(tmp_path / "a") < before + 3 and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    status, output = finish(process)
    assert status == 128 + signal.SIGTERM and "all saved" in output and "Traceback" not in output, output
    until = time.monotonic() + 60
    while (left := [child for child in readers if is_running(child)]) and time.monotonic() < until:
        time.sleep(0.05)
    assert left == []


@pytest.fixture(scope="module")
def of_two(tmp_path_factory):
    """A folder with the gradients of each kind of training, from one pair of processes."""
    folder = tmp_path_factory.mktemp("gradients")
    script = ROOT / "tests" / "one_distributed_step.py"
    status, output = finish(run_python(*LAUNCH, folder / "launch", script, folder))
    assert status == 0, output
    return folder


@pytest.mark.parametrize("kind", KINDS)
def test_the_gradients_of_two_processes_are_those_of_one(of_two, kind):
    of_one = KINDS[kind][1]()
    with np.load(of_two / f"{kind}.npz") as two:
        assert set(two) == set(of_one)
        for name, joint in of_one.items():
            np.testing.assert_allclose(two[name], joint, rtol=1e-3, atol=1e-5 * np.abs(joint).max(), err_msg=name)


@pytest.mark.heavy
def test_two_processes_resume_where_they_stopped(tmp_path):
    arguments = "--max_iters 4 --num_workers 0"
    status, output = finish(start_two(tmp_path / "whole", arguments))
    assert status == 0 and "2 processes" in output, output
    shutil.copytree(tmp_path / "whole", tmp_path / "broken", symlinks=True)
    shutil.rmtree(tmp_path / "broken" / "checkpoints" / "iter_4")
    status, output = finish(start_two(tmp_path / "broken", arguments + " --resume auto"))
    assert status == 0 and "iterations 2 to 4" in output, output
    assert_same(states(tmp_path / "whole"), states(tmp_path / "broken"))
    assert read_meta(tmp_path / "whole" / "checkpoints" / "iter_4")["position"] == 4 * 2 * 2


@pytest.mark.heavy
def test_a_killed_process_ends_the_job_and_leaves_a_whole_checkpoint(tmp_path):
    process = start_two(tmp_path / "a", "--max_iters 100000 --num_workers 0")
    while iterations(tmp_path / "a") < 3 and process.poll() is None:
        time.sleep(0.01)
    [second] = [p for p in children(process.pid) if b"PADDLE_TRAINER_ID=1" in Path(f"/proc/{p}/environ").read_bytes()]
    os.kill(second, signal.SIGKILL)
    assert finish(process)[0] != 0
    assert CheckpointFolder(tmp_path / "a" / "checkpoints").newest() is not None


def children(pid):
    return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def is_running(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
