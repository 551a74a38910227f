"""The page for a report of a bug: whatever is broken is a line of it, and nothing private is on it."""

import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from models import PartialConv2D
from tools import doctor


@pytest.fixture
def quick(monkeypatch):
    """Without the processes that import OpenCV and Paddle."""
    monkeypatch.setattr(doctor, "_tried", lambda command: iter([f"tried {command[-1]}"]))


def test_each_thing_is_told(quick, capsys):
    doctor.main([])
    page = capsys.readouterr().out
    for title, facts in doctor.SECTIONS.items():
        assert f"## {title}\n" in page and all(f"- {label}: " in page for label in facts)
    for word in ("tried --paddle", "numpy 2" if np.__version__ > "2" else "numpy 1", "vgg16_pool3.npz", "CPython 3"):
        assert word in page
    assert max(map(len, page.splitlines())) < 700


def test_nothing_private_is_told(quick, monkeypatch, capsys):
    monkeypatch.setenv("MY_TOKEN", "very-secret")
    monkeypatch.setenv("HOME", str(doctor.ROOT.parent))
    monkeypatch.setattr(doctor, "sha256_of", lambda path: (_ for _ in ()).throw(OSError(f"cannot read {path}")))
    doctor.main([])
    page = capsys.readouterr().out
    assert "very-secret" not in page and str(doctor.ROOT.parent) not in page
    assert f"cannot read ~/{doctor.ROOT.name}/weights" in page


def test_what_cannot_be_had_is_a_line(quick, monkeypatch, capsys):
    def broken(*_, **__):
        raise OSError("no\nway")

    monkeypatch.setattr(Path, "read_text", broken)
    for module, name in ((doctor.subprocess, "run"), (shutil, "disk_usage"), (shutil, "which")):
        monkeypatch.setattr(module, name, broken)
    monkeypatch.setattr(doctor.importlib.metadata, "version", broken)
    doctor.main([])
    page = capsys.readouterr().out
    assert page.count("could not be told (OSError: no way)") >= 8 and "numpy damaged (OSError)" in page


@pytest.mark.parametrize(
    ("paddle", "told"),
    [
        (
            "raise ImportError('libgomp.so.1: cannot open')",
            "could not be told (ImportError: libgomp.so.1: cannot open)",
        ),
        ("import os, signal; os.kill(os.getpid(), signal.SIGILL)", "FAILED with SIGILL: no message"),
        ("import os; os._exit(3)", "FAILED with status 3: no message"),
        ("import time; time.sleep(60)", "NOT DONE after 1 seconds"),
    ],
)
def test_a_broken_paddle_is_a_line(tmp_path, monkeypatch, paddle, told):
    (tmp_path / "paddle.py").write_text(paddle)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(doctor, "PATIENCE", 1 if "sleep" in paddle else 60)
    assert told in list(doctor.paddle_in_a_process())


def test_an_opencv_that_cannot_be_imported_is_told_with_its_reason(tmp_path, monkeypatch):
    (tmp_path / "cv2.py").write_text("raise ImportError('libGL.so.1: cannot open shared object file')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(doctor.ctypes.util, "find_library", lambda name: None if name == "GL" else name)
    lines = list(doctor.opencv())
    assert lines[0] == "FAILED with status 1: ImportError: libGL.so.1: cannot open shared object file"
    if sys.platform.startswith("linux"):
        assert lines[1].startswith("libGL not found, libgthread-2.0 found (opencv-python may need it")


def test_paddle_is_told_and_a_partial_convolution_tried():
    lines = list(doctor.paddle_facts())
    assert lines[0].startswith("Paddle ") and lines[1].startswith("devices seen: ")
    assert lines[-1].startswith("a partial convolution comes out right, within ")


@pytest.mark.parametrize("factor", [1.01, float("nan")])
def test_a_wrong_convolution_is_told(monkeypatch, factor):
    right = PartialConv2D.forward
    monkeypatch.setattr(
        PartialConv2D, "forward", lambda self, x, m: (right(self, x, m)[0] * factor, right(self, x, m)[1])
    )
    assert "comes out WRONG" in doctor.partial_convolution()


def test_weights_are_checked(tmp_path):
    for name in ("general", "demo"):
        (tmp_path / "weights" / name).mkdir(parents=True)
    shutil.copy(doctor.ROOT / "weights" / "README.md", tmp_path / "weights")
    os.symlink(doctor.ROOT / "weights" / "demo" / "model.pdparams", tmp_path / "weights" / "demo" / "model.pdparams")
    (tmp_path / "weights" / "vgg16_pool3.npz").write_bytes(b"version https://git-lfs.github.com/spec/v1")
    vgg, general, faces, demo = doctor.weights(tmp_path)
    assert vgg.startswith("weights/vgg16_pool3.npz: 42 bytes, ANOTHER FILE: sha256 ")
    assert general == "weights/general/model.pdparams: MISSING"
    assert faces == "weights/faces/model.pdparams: MISSING"
    assert demo.startswith("weights/demo/model.pdparams: ") and demo.endswith(" bytes, whole")
