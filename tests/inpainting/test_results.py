"""Results of a run that was killed are known as its own by the next, and nothing half-written has a result's name."""

import os
import random
import subprocess
import sys
import time
from pathlib import Path

from inpainting.results import Results
from utils.files import remove_leftovers

ROOT = Path(__file__).resolve().parents[2]
NAMES = [f"{folder}{i}.png" for folder in ("", "a/", "a/b/") for i in range(4)]
WRITER = """
import itertools, sys
from datasets.images import write_picture
from inpainting.results import Results
import numpy as np
folder, *names = sys.argv[1:]
results = Results(folder)
results.plan([(name, name) for name in names], [])
print("planned", flush=True)
for i, name in enumerate(itertools.cycle(names)):
    with results.new(name) as path:
        write_picture(path, np.full([9, 9], i % 256, np.uint8))
"""


def test_killed_at_random_moments(tmp_path):
    rng = random.Random(int(os.environ.get("KILL_SEED", "0")))
    for _ in range(int(os.environ.get("KILLS", "3"))):
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, tmp_path / "out", *NAMES], cwd=ROOT, stdout=subprocess.PIPE, text=True
        )
        assert process.stdout.readline() == "planned\n"  # so nothing that was there is another's
        while not (tmp_path / "out" / NAMES[-1]).exists():
            time.sleep(0.001)
        time.sleep(rng.random() * 0.02)
        process.kill()
        process.communicate()
    results = Results(tmp_path / "out")
    results.plan([(name, name) for name in NAMES], [])
    for name in NAMES:
        with results.new(name) as path:
            path.write_text("last")
    for folder in ("", "a", "a/b"):
        remove_leftovers(tmp_path / "out" / folder)
    found = {path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert found == {*NAMES, ".results.sha256"}
