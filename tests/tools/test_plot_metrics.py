"""The curves of a run as a picture."""

import pytest

from datasets.images import read_picture
from tools import plot_metrics
from utils.errors import InputError

HEADER = "iter,loss,valid,hole,reader_cost,val_psnr_0.1-0.2\n"


def write_run(folder, rows):
    folder.mkdir()
    (folder / "metrics.csv").write_text(HEADER + "\n".join(rows))
    return str(folder)


def test_runs_are_drawn_one_after_another(tmp_path):
    runs = [write_run(tmp_path / name, ["1,1,0.5,0.4,0.1,", "2,1,0.3,0.2,0.1,", "2,,,,,20.5"]) for name in "ab"]
    plot_metrics.main([*runs, "--output", str(tmp_path / "curves.png")])
    picture = read_picture(tmp_path / "curves.png")
    assert picture.shape[1] > 1000 and picture.std() > 5


def test_terms_below_zero_get_a_part_of_their_own(tmp_path, monkeypatch):
    drawn = {}
    monkeypatch.setattr(plot_metrics, "_curve", lambda axes, rows, key, *_, **__: drawn.update({key: axes}))
    run = write_run(tmp_path / "a", ["1,1,0.5,-0.4,0.1,", "1,,,,,20.5"])
    plot_metrics.main([run, "--output", str(tmp_path / "curves.png")])
    figure = drawn["valid"].figure
    assert [figure.axes.index(drawn[key]) for key in ("valid", "hole", "val_psnr_0.1-0.2")] == [0, 1, 2]


@pytest.mark.parametrize(
    "row",
    [
        *("2,1,x,0.4,0.1,", "2,1,0.5", "2,1,0.5,0.4,0.1,,7", "\0\x01,,,,,", "²,,,,,"),
        *(f"{iteration},1,0.5,0.4,0.1," for iteration in ("x", "", "-1", "1.5", "nan", "inf", "1e99")),
    ],
)
def test_a_damaged_row_is_told_by_its_line(tmp_path, row):
    run = write_run(tmp_path / "a", ["1,1,0.5,0.4,0.1,", row])
    with pytest.raises(InputError, match=r"metrics\.csv, line 3: expected") as caught:
        plot_metrics.main([run, "--output", str(tmp_path / "curves.png")])
    assert "\n" not in str(caught.value) and not (tmp_path / "curves.png").exists()


@pytest.mark.parametrize("content", [b"", b"a,b\n1,2\n", b"\xff\xfe\n", bytes(1000), b"loss," * 50_000])
def test_a_file_that_is_no_curves_is_told(tmp_path, content):
    (tmp_path / "metrics.csv").write_bytes(content)
    with pytest.raises(InputError, match=r"metrics\.csv.*: expected the curves of a run"):
        plot_metrics.main([str(tmp_path), "--output", str(tmp_path / "curves.png")])


def test_a_folder_that_is_no_run_is_told(tmp_path):
    with pytest.raises(InputError, match=r"with metrics\.csv"):
        plot_metrics.main([str(tmp_path)])
    with pytest.raises(InputError, match="expected rows"):
        plot_metrics.main([write_run(tmp_path / "empty", [])])
