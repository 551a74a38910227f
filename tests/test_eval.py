"""The eval command: its files, its digits, and what it refuses."""

import contextlib
import csv
import hashlib
import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image
from skimage.metrics import structural_similarity

import eval as command
from datasets.images import write_picture
from datasets.mask_generator import generate_mask
from datasets.masks import BUCKETS, write_mask
from inpainting import enlarging
from metrics.pictures import read_strips
from utils.errors import InputError

ROOT = Path(command.__file__).parent
TELEA = command.CLASSICAL["telea"]
REPORTS = (*command.REPORTS, *command.SHOWN)
FILES = {*REPORTS, ".results.sha256"}


@pytest.fixture
def data(tmp_path):
    """Three pictures of 40 x 40 and twelve masks: each bucket once off the border and once at it."""
    rng = np.random.default_rng(0)
    for i in range(3):
        smooth = np.kron(rng.integers(0, 256, [5, 5, 3]), np.ones([8, 8, 1])).astype(np.uint8)
        write_picture(tmp_path / f"images/deep/{i}.png", smooth)
    for i, bucket in enumerate(BUCKETS):
        for border in (False, True):
            write_mask(tmp_path / f"masks/{i}{'NB'[border]}.png", generate_mask(rng, 40, 40, bucket, border))
    return tmp_path


@pytest.fixture
def run(data):
    def call(*arguments, output="out"):
        words = f"--images {data}/images --masks {data}/masks --method telea --output {data}/{output}".split()
        command.main([*words, *map(str, arguments)])
        return data / output

    return call


def report_of(folder):
    return json.loads((folder / "report.json").read_text(encoding="utf-8"))


def same_files(one, other):
    return all((one / name).read_bytes() == (other / name).read_bytes() for name in REPORTS)


def samples_of(folder):
    with open(folder / "samples.csv", newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def plain_fill(method, picture, hole):
    if method == "mean":
        return np.where(hole[..., None], np.round(picture[~hole].mean(axis=0)), picture)
    flag = {"telea": cv2.INPAINT_TELEA, "navier_stokes": cv2.INPAINT_NS}[method]
    return cv2.inpaint(picture * np.uint8(~hole)[..., None], np.uint8(hole), 3, flag)


def plain_figures(method, picture, hole):
    """l1 %, PSNR, SSIM of a pair from OpenCV, NumPy and scikit-image alone."""
    result = np.where(hole[..., None], plain_fill(method, picture, hole), picture).astype(np.uint8)
    error = picture.astype(float) - result
    settings = {"gaussian_weights": True, "sigma": 1.5, "use_sample_covariance": False, "data_range": 255}
    ssim = structural_similarity(picture, result, channel_axis=2, **settings)
    return 100 * np.abs(error).mean() / 255, 10 * math.log10(255**2 / (error**2).mean()), ssim


@pytest.mark.parametrize("method", ["telea", "navier_stokes", "mean"])
def test_every_printed_digit_is_that_of_a_plain_computation(run, data, method):
    folder, figures = run("--method", method), {}
    for row in samples_of(folder):
        picture, mask = (np.array(Image.open(data / kind / row[kind[:-1]])) for kind in ("images", "masks"))
        hole = mask > 127
        plain = plain_figures(method, picture, hole)
        assert [row[key] for key in ("l1_percent", "psnr", "ssim")] == [
            f"{number:.{digits}f}" for number, digits in zip(plain, (4, 4, 5), strict=True)
        ]
        assert row["hole_ratio"] == f"{hole.sum() / hole.size:.6f}"
        for place in ((row["bucket"], "all"), (row["bucket"], row["border"]), ("all", "all")):
            figures.setdefault(place, []).append(plain)
    rows = report_of(folder)["rows"]
    assert len(rows) == len(figures) == 19
    for row in rows:
        means = np.mean(figures[row["bucket"], row["border"]], axis=0)
        assert [row["l1_percent"], row["psnr"]] == [round(float(mean), 4) for mean in means[:2]]
        assert row["ssim"] == round(float(means[2]), 5)


def test_workers_write_the_same_bytes(run):
    alone, one, two = (run("--num_workers", n, output=str(n)) for n in (0, 1, 2))
    assert same_files(alone, one) and same_files(alone, two)


def test_a_manifest_is_written_then_used_and_gives_the_same_bytes(run, data):
    first = run("--manifest", data / "pairs.csv", output="one")
    assert (data / "pairs.csv").read_bytes() == (first / "manifest.csv").read_bytes()
    before = (data / "pairs.csv").stat().st_mtime_ns
    second = run("--manifest", data / "pairs.csv", output="two")
    assert same_files(first, second)
    assert (data / "pairs.csv").stat().st_mtime_ns == before


def spoil(data, picture="1.png", mask="2N.png"):
    """Cut a picture and a mask off; the rest of the pairs."""
    for path in (data / "images/deep" / picture, data / "masks" / mask):
        path.write_bytes(path.read_bytes()[:60])


def test_damaged_files_are_named_passed_over_and_counted_and_the_status_says_so(run, data, capsys):
    whole = {(row["image"], row["mask"]): row for row in samples_of(run(output="whole"))}
    spoil(data)
    capsys.readouterr()
    with pytest.raises(SystemExit) as leaving:
        run("--num_workers", 2)
    assert leaving.value.code == 1
    report, told = report_of(data / "out"), capsys.readouterr()
    left = [row for pair, row in whole.items() if "1.png" not in pair[0] and pair[1] != "2N.png"]
    assert samples_of(data / "out") == left and 5 < len(left) < 12
    assert (report["protocol"]["pairs"], report["protocol"]["unreadable"]) == (len(left), 12 - len(left))
    assert told.err.count("passed over: ") == 12 - len(left) and "deep/1.png" in told.err and "2N.png" in told.err
    assert f"{12 - len(left)} of 12 pairs could not be read" in told.err
    assert {path.name for path in (data / "out").iterdir()} == FILES


def stop_after(monkeypatch, count):
    """Have telea interrupted, as by Ctrl-C, behind so many pairs; the list of what it was asked to fill.

    What is filled again for the report's pictures is not in it.
    """
    asked, show = [], command.strips_of

    def fill(picture, hole):
        if len(asked) == count:
            raise KeyboardInterrupt
        asked.append(hole)
        return TELEA(picture, hole)

    def fill_again(*arguments):
        measured = len(asked)
        strips = show(*arguments)
        del asked[measured:]
        return strips

    monkeypatch.setitem(command.CLASSICAL, "telea", fill)
    monkeypatch.setattr(command, "strips_of", fill_again)
    return asked


@pytest.fixture
def stopped(run, data, monkeypatch):
    """Five pairs of twelve measured into ``out``, the whole report in ``whole``."""
    run(output="whole")
    with monkeypatch.context() as patch:
        stop_after(patch, 5)
        with pytest.raises(KeyboardInterrupt):
            run()
    assert [path.name for path in (data / "out").iterdir()] == ["samples.partial.jsonl"]
    return data


def test_an_evaluation_goes_on_where_it_was_stopped_and_writes_the_same_bytes(run, stopped, monkeypatch, capsys):
    asked = stop_after(monkeypatch, 3)
    with pytest.raises(KeyboardInterrupt):
        run()
    assert "going on: 5 of 12 pairs were measured before" in capsys.readouterr().err
    asked = stop_after(monkeypatch, None)
    run()
    assert len(asked) == 4
    assert same_files(stopped / "out", stopped / "whole")
    assert {path.name for path in (stopped / "out").iterdir()} == FILES


@pytest.mark.parametrize(
    ("arguments", "anew"),
    [
        (["--limit", 6], 4),  # other pairs of the same evaluation
        (["--size", 32], 12),
        (["--hole", "black"], 12),
    ],
)
def test_only_what_the_options_leave_as_it_is_is_taken(run, stopped, monkeypatch, arguments, anew):
    asked = stop_after(monkeypatch, None)
    out = run(*arguments)
    assert len(asked) == anew
    unbroken = run(*arguments, output="unbroken")
    assert same_files(out, unbroken)


def test_samples_and_generated_masks_when_nothing_is_given(tmp_path, capsys):
    for name in ("one", "two"):
        command.main(["--method", "mean", "--size", "32", "--output", str(tmp_path / name)])
    assert same_files(tmp_path / "one", tmp_path / "two")
    report = report_of(tmp_path / "one")
    assert report["protocol"]["outside_buckets"] == 0 and report["rows"][0]["count"] >= 2
    assert "sample photos" in capsys.readouterr().err


def test_pairs_outside_the_buckets_are_told_and_counted(run, data, capsys):
    write_mask(data / "masks/empty.png", np.ones([40, 40], np.float32))
    nearly_all = np.zeros([40, 40], np.float32)
    nearly_all[:4] = 1
    write_mask(data / "masks/large.png", nearly_all)
    report = report_of(run())
    assert (report["protocol"]["outside_buckets"], report["protocol"]["without_hole"]) == (2, 1)
    counts = [row["count"] for row in report["rows"] if row["border"] == "all"]
    assert sum(counts[:-1]) == 12 and counts[-1] == 14
    assert "2 of 14 pairs" in capsys.readouterr().err


def test_realism_goes_through_all_files_and_workers(run, data, capsys):
    common = ("--realism", "--size", 32, "--limit", 4, "--device", "cpu", "--threads", 1)
    first = run(*common, "--num_workers", 0, output="first")
    capsys.readouterr()
    with_worker = run(*common, "--num_workers", 1, output="worker")
    assert same_files(first, with_worker)
    assert "| style | sharpness | Fréchet |" in capsys.readouterr().out
    styles = [float(row["style"]) for row in samples_of(first)]
    whole = report_of(first)["rows"][-1]
    assert all(style > 0 for style in styles) and whole["style_low"] <= whole["style"] <= whole["style_high"]
    assert whole["style"] == pytest.approx(np.mean(styles), abs=1e-5) and whole["frechet"] is None  # few positions
    assert "not FID" in report_of(first)["protocol"]["measures"]["frechet"]
    for options, count in ((common, 1), (common[1:], 0)):
        second = run("--method", "mean", *options, "--compare", first / "report.json", output="second")
        assert ("| style |" in capsys.readouterr().out.partition("pair by pair")[2]) == bool(count)
        page = (second / "report.html").read_text(encoding="utf-8")
        assert page.count(">style</th>") == 1 + count


def test_patchmatch_stands_beside_the_papers_own(run, capsys):
    pytest.importorskip("patchmatch")
    first = run("--method", "patchmatch", "--compare", "paper", "--num_workers", 0, output="first")
    assert "26.87" in capsys.readouterr().out  # PM, (0.1, 0.2], N
    second = run("--method", "patchmatch", "--compare", "paper", "--num_workers", 2, output="second")
    assert same_files(first, second)


def write_results(data, folder):
    """What telea gives, as another program would write it."""
    for pair in samples_of(folder):
        picture, mask = (np.array(Image.open(data / kind / pair[kind[:-1]])) for kind in ("images", "masks"))
        name = Path(pair["image"]).with_suffix("").as_posix() + f"_{Path(pair['mask']).stem}"
        write_picture(data / f"finished/{name}.png", TELEA(picture, mask > 127))


def test_finished_pictures_are_measured_like_a_method(run, data):
    first = run(output="first")
    write_results(data, first)
    common = ["--images", f"{data}/images", "--masks", f"{data}/masks"]
    command.main([*common, "--results", f"{data}/finished", "--output", f"{data}/second"])
    assert samples_of(data / "second") == samples_of(first)
    assert report_of(data / "second")["protocol"]["method"] == "finished"
    next((data / "finished/deep").glob("*_0N.png")).unlink()
    with pytest.raises(InputError, match="none for 1 of 12"):
        command.main([*common, "--results", f"{data}/finished", "--output", f"{data}/third"])
    assert not (data / "third").exists()


def test_masks_of_the_pictures_names_lie_over_them(data, capsys):
    for i in range(3):
        os.replace(data / f"masks/{i}N.png", data / f"masks/{i}.png")
    for path in (data / "masks").glob("*[BN].png"):
        path.unlink()
    flat = f"--images {data}/images/deep --masks {data}/masks --method mean --output {data}/out".split()
    command.main(flat)
    assert {(row["image"], row["mask"]) for row in samples_of(data / "out")} == {(f"{i}.png",) * 2 for i in range(3)}
    assert "each mask lies over the picture of its name, 0 pictures have none" in capsys.readouterr().err
    command.main([*flat, "--pairing", "seeded"])
    assert any(row["image"] != row["mask"] for row in samples_of(data / "out"))
    assert "each mask" not in capsys.readouterr().err
    os.replace(data / "masks/2.png", data / "masks/other.png")
    with pytest.raises(InputError, match="got none for 1 of 3 masks: other; rename"):
        command.main([*flat, "--pairing", "name"])


def test_reports_of_others_are_not_replaced_and_own_ones_are(run, data, capsys):
    (data / "out").mkdir()
    (data / "out/report.json").write_text("mine")
    with pytest.raises(InputError, match=r"report\.json would be replaced.*--overwrite"):
        run()
    assert (data / "out/report.json").read_text() == "mine" and len(list((data / "out").iterdir())) == 1
    run("--overwrite")
    run("--limit", 3)
    assert len(samples_of(data / "out")) == 3


def test_the_report_holds_no_path_of_the_machine(run, data):
    folder = run()
    assert not any(str(data).encode() in (folder / name).read_bytes() for name in REPORTS)


def test_one_report_gives_its_pairs_and_what_it_shows(run, data, capsys):
    first = run("--limit", 6, output="first")
    capsys.readouterr()
    second = run("--method", "mean", "--compare", first / "report.json", output="second")
    told = capsys.readouterr()
    assert "second less first, pair by pair" in told.out and "manifest.csv" in told.err
    assert (first / "manifest.csv").read_bytes() == (second / "manifest.csv").read_bytes()
    shown = [[(s.image, s.mask, s.rank) for s in read_strips(f / "pictures.png")] for f in (first, second)]
    assert shown[0] == shown[1] and len(shown[0]) == 6
    page = (second / "report.html").read_text(encoding="utf-8")
    assert "Evaluation of first, second" in page and "first, " in page
    third = run("--limit", 3, "--compare", first / "report.json", output="third")
    assert len(samples_of(third)) == 3


def test_reports_side_by_side_on_a_page_without_measuring(run, data, monkeypatch):
    reports = [run("--method", method, output=method) / "report.json" for method in ("telea", "mean", "navier_stokes")]
    monkeypatch.setattr(command, "evaluate", None)
    command.main(["--compare", "paper", *map(str, reports), "--output", f"{data}/all"])
    assert {path.name for path in (data / "all").iterdir()} == {*command.SHOWN, ".results.sha256"}
    page = (data / "all/report.html").read_text(encoding="utf-8")
    assert page.count("pair by pair</h2>") == 2 and "27.71" in page
    strip = read_strips(data / "all/pictures.png")[0]
    assert {name.split(",")[0] for name in strip.panels} == {"input", "truth", "telea", "mean", "navier_stokes"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--masks", "{data}/grey"], "grey.jpg"),
        (["--output", "{data}/file"], "--output.*file"),
        (["--manifest", "{data}/images"], "--manifest.*folder"),
        (["--protocol", "raw"], "raw.*telea"),
        (["--detail", "on"], "--detail on: expected a network beside it, got --method"),
        (["--protocol", "edge_connect"], r"deep/\d.png: expected at least 51 pixels"),
    ],
)
def test_what_is_refused_in_one_line_and_leaves_nothing(run, data, arguments, message):
    (data / "file").write_text("some text")
    write_picture(data / "grey/grey.jpg", np.full([40, 40], 128, np.uint8))
    before = sorted(data.rglob("*"))
    with pytest.raises(InputError, match=message) as caught:
        run(*[a.format(data=data) for a in arguments])
    assert "\n" not in str(caught.value)
    assert sorted(data.rglob("*")) == before


def test_a_model_is_measured_and_named(data, small_weights):
    words = f"--images {data}/images --masks {data}/masks --weights {small_weights} --device cpu".split()
    for output, protocol in (("one", "composite"), ("two", "composite"), ("raw", "raw")):
        command.main([*words, "--protocol", protocol, "--output", f"{data}/{output}"])
    assert same_files(data / "one", data / "two")
    composite, raw = report_of(data / "one"), report_of(data / "raw")
    assert composite["protocol"]["method"] == "pconv_unet"
    digest = hashlib.sha256((small_weights / "model.safetensors").read_bytes()).hexdigest()
    assert composite["protocol"]["weights_sha256"] == digest
    # an untrained network's own output is far from the picture everywhere, its composite only inside the hole
    assert composite["rows"][0]["psnr"] > raw["rows"][0]["psnr"] + 5


def test_classical_methods_do_without_paddle(data):
    code = "import sys; sys.modules['paddle'] = None; import eval; eval.main(sys.argv[1:])"
    arguments = f"--images {data}/images --masks {data}/masks --method mean --output {data}/out".split()
    result = subprocess.run([sys.executable, "-c", code, *arguments], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


@pytest.fixture
def long_work(tmp_path):
    """Starts an evaluation of minutes in a process group of its own, and waits for its workers."""
    rows = "".join(f"sample:coffee,generated:{seed}:0.5-0.6:B\n" for seed in range(3000))
    (tmp_path / "pairs.csv").write_text(f"image,mask\n{rows}")
    arguments = ["--manifest", "pairs.csv", "--method", "biharmonic", "--size", "96", "--num_workers", "2"]
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "eval.py"), *arguments, "--output", "out"],
        cwd=tmp_path,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    workers = wait_for(lambda: len(found := workers_of(process.pid)) == 2 and found)
    yield process, workers
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)


def wait_for(condition, seconds=200):
    end = time.monotonic() + seconds
    while not (value := condition()) and time.monotonic() < end:
        time.sleep(0.02)
    return value


def workers_of(pid):
    workers = []
    for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
        with contextlib.suppress(OSError):  # one that is just ending
            if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes():
                workers.append(int(child))
    return workers


def watches(pid):
    """Whether a worker has begun, and so looks out for the main process in a thread; before, Python itself would say
    that its orders were cut off."""
    return len(os.listdir(f"/proc/{pid}/task")) > 1


def group_is_gone(pid):
    try:
        os.killpg(pid, 0)
    except ProcessLookupError:
        return True
    return False


needs_proc = pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="finds the workers in /proc")


@needs_proc
def test_ctrl_c_leaves_no_process_and_one_line(long_work):
    process, _ = long_work  # the workers are only starting
    os.killpg(process.pid, signal.SIGINT)
    stderr = process.communicate(timeout=200)[1]
    assert process.returncode == 130 and wait_for(lambda: group_is_gone(process.pid))
    assert stderr.strip().splitlines()[-1].endswith("interrupted") and "Traceback" not in stderr


@needs_proc
def test_a_killed_worker_ends_the_command(long_work):
    process, workers = long_work
    os.kill(workers[1], signal.SIGKILL)
    stderr = process.communicate(timeout=200)[1]
    assert process.returncode == 1 and wait_for(lambda: group_is_gone(process.pid))
    assert stderr.strip().splitlines()[-1].startswith("error: expected the worker processes") and "Trace" not in stderr


@needs_proc
def test_workers_end_with_a_killed_command(long_work):
    process, workers = long_work
    assert wait_for(lambda: all(watches(worker) for worker in workers)), "no worker has begun"
    process.kill()
    stderr = process.communicate(timeout=200)[1]
    assert wait_for(lambda: group_is_gone(process.pid)), workers
    assert "Traceback" not in stderr


def test_super_resolution_is_measured_whole_and_beside_interpolation(data, small_weights, capsys):
    """A picture of 42 pixels is cut to 40 for a factor of 4."""
    picture = np.random.default_rng(0).integers(0, 256, [42, 43, 3], dtype=np.uint8)
    write_picture(data / "odd/0.png", picture)
    words = ["--images", f"{data}/odd", "--super_resolution", "4", "--num_workers", "0"]
    bicubic, network = data / "bicubic", data / "network"
    command.main([*words, "--method", "bicubic", "--output", str(bicubic), "--manifest", f"{data}/pairs.csv"])
    command.main([*words, "--weights", str(small_weights), "--output", str(network), "--manifest", f"{data}/pairs.csv"])
    for folder, method in ((bicubic, "bicubic"), (network, "pconv_unet")):
        report, [sample] = report_of(folder), samples_of(folder)
        found = [(row["bucket"], row["border"]) for row in report["rows"]]
        assert found == [("0.6-1", "all"), ("0.6-1", "B"), ("all", "all")]
        assert report["protocol"]["super_resolution"] == 4 and report["protocol"]["method"] == method
        assert sample["mask"] == "super_resolution:4" and float(sample["hole_ratio"]) == 15 / 16
    picture = picture[:40, :40]
    expected = enlarging.interpolate(picture[2::4, 2::4], 4, "bicubic").astype(float)
    psnr = 10 * np.log10(255**2 / np.mean((expected - picture) ** 2))
    assert float(samples_of(bicubic)[0]["psnr"]) == pytest.approx(psnr, abs=1e-4)
    [strip] = read_strips(bicubic / "pictures.png")
    np.testing.assert_array_equal(strip.panels["input"], picture[2::4, 2::4].repeat(4, 0).repeat(4, 1))
    command.main(["--compare", f"{bicubic}/report.json", f"{network}/report.json"])
    assert "(0.6, 1]" in capsys.readouterr().out


@pytest.mark.parametrize(("words", "got"), [("--super_resolution 2", "--super_resolution 2"), ("", "no --super")])
def test_pairs_of_super_resolution_are_not_measured_as_others(data, words, got):
    (data / "four.csv").write_text("image,mask\n0.png,super_resolution:4\n")
    words += f" --manifest {data}/four.csv --images {data}/images/deep --output {data}/out"
    with pytest.raises(InputError, match=f"made with --super_resolution 4, got {got}"):
        command.main(words.split())
