"""The page for a bug report: whatever is broken is a line of it, and nothing private is on it."""

import sys

import pytest

from tools import doctor


def test_every_fact_is_a_line_and_paddle_computes_right(capsys):
    doctor.main([])
    page = capsys.readouterr().out
    assert all(f"- {label}: " in page for label in doctor.FACTS) and len(page.splitlines()) == len(doctor.FACTS)
    assert "partial convolution right" in page and "vgg16_pool3.npz whole" in page and "numpy" in page


def test_what_is_broken_is_a_line_without_the_users_folder(monkeypatch):
    monkeypatch.setenv("HOME", str(doctor.ROOT.parent))

    def broken():
        raise OSError(f"no\nway in {doctor.ROOT}")

    assert doctor.told(broken) == f"unknown (OSError: no way in ~/{doctor.ROOT.name})"


@pytest.mark.parametrize(
    ("code", "line"),
    [
        ("import sys; sys.exit('libGL.so.1 is missing')", "unknown (RuntimeError: status 1: libGL.so.1 is missing)"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGILL)", "unknown (RuntimeError: status -4: no message)"),
    ],
)
def test_a_package_that_crashes_is_a_line(code, line):
    assert doctor.told(lambda: doctor.output_of(sys.executable, "-c", code)) == line


def test_weights_that_were_changed_are_named(tmp_path, monkeypatch):
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights/README.md").write_text((doctor.ROOT / "weights/README.md").read_text())
    (tmp_path / "weights/vgg16_pool3.npz").write_bytes(b"version https://git-lfs.github.com/spec/v1")
    monkeypatch.setattr(doctor, "ROOT", tmp_path)
    assert doctor.weights() == "weights/vgg16_pool3.npz ANOTHER FILE"
