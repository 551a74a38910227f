"""Paddle imported: what it says meanwhile is kept back, and nothing of what is logged later."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LOGS = """
import logging
from options import setup_device
setup_device("cpu", threads=2)
logging.getLogger("paddle_pconv").warning("of ours")
logging.getLogger("paddle_pconv").info("not asked for")
logging.getLogger("paddle.base.backward").warning("of Paddle's")
"""


def test_what_is_logged_after_paddle_came_is_told_once():
    done = subprocess.run([sys.executable, "-c", LOGS], cwd=ROOT, capture_output=True, text=True)
    lines = done.stderr.splitlines()
    assert done.returncode == 0 and [line for line in lines if "of ours" in line] == ["of ours"]
    assert len(lines) == 2 and "of Paddle's" in lines[1], done.stderr
