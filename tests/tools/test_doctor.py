"""The page for a bug report: whatever is broken is a line of it, and nothing private is on it."""

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


def test_weights_that_were_changed_are_named(tmp_path, monkeypatch):
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights/README.md").write_text((doctor.ROOT / "weights/README.md").read_text())
    (tmp_path / "weights/vgg16_pool3.npz").write_bytes(b"version https://git-lfs.github.com/spec/v1")
    monkeypatch.setattr(doctor, "ROOT", tmp_path)
    assert doctor.weights() == "weights/vgg16_pool3.npz ANOTHER FILE"
