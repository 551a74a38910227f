"""The page for a bug report: whatever is broken is a line of it, and the user's folder is not on it."""

from tools import doctor


def test_every_fact_is_a_line_and_paddle_works(capsys):
    doctor.main([])
    page = capsys.readouterr().out
    assert [line.partition(":")[0] for line in page.splitlines()] == [f"- {label}" for label in doctor.FACTS]
    assert "PaddlePaddle works well" in page and "vgg16_pool3.npz whole" in page and "numpy" in page


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
    assert doctor.weights() == "vgg16_pool3.npz ANOTHER FILE"
