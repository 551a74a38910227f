"""What people import from ``engine`` stays where they look for it, and costs no Paddle until it is used."""

import subprocess
import sys
from pathlib import Path

import engine
import inpainting

ROOT = Path(__file__).resolve().parents[2]


def test_earlier_names_are_the_same_things():
    from engine.checkpoint import load_weights, save_weights
    from inpainting import checkpoint

    assert (load_weights, save_weights) == (checkpoint.load_weights, checkpoint.save_weights)
    assert engine.Inpainter is inpainting.Inpainter


def test_packages_come_without_paddle():
    code = "import sys; sys.modules['paddle'] = None; import engine, engine.checkpoint, inpainting.classical, options"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
