"""What a run writes: train.log, metrics.csv, VisualDL's records, sample grids; and its progress bar."""

import contextlib
import csv
import logging
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm
from tqdm.contrib.logging import logging_redirect_tqdm

from datasets.images import write_picture
from datasets.masks import ROW_NAMES
from engine.board import Board
from metrics.buckets import ALL
from utils.files import atomic_path
from utils.run_folder import LOG, METRICS, SAMPLES

log = logging.getLogger("paddle_pconv")

MEASURES = ("l1_percent", "psnr", "ssim")


def columns(terms: Sequence[str]) -> tuple[str, ...]:
    """Of metrics.csv, for a task with these loss terms."""
    return (
        *("iter", "epoch", "lr", "loss"),
        *terms,
        *("reader_cost", "batch_cost", "ips"),
        *(f"val_{measure}" for measure in MEASURES),
        *(f"val_{measure}_{bucket}" for measure in MEASURES for bucket in ROW_NAMES),
    )


class RunLogger:
    """Writes a run's folder; a resumed run continues the same files.

    Args:
        directory: logs/<name>.
        terms: names of the loss terms, in the order of the log.
        last_iter, start_iter: where the run ends, and how many iterations are done. Later rows of metrics.csv, from a
            run that went further than its last checkpoint, are dropped.
    """

    def __init__(self, directory: Path, last_iter: int, terms: Sequence[str], start_iter: int = 0):
        self.directory = Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)
        self.last_iter, self.start_iter = last_iter, start_iter
        self.terms, self.columns = tuple(terms), columns(terms)
        self.started = time.perf_counter()
        self._open = contextlib.ExitStack()
        self._open.enter_context(logging_redirect_tqdm([log]))
        file = logging.FileHandler(self.directory / LOG, encoding="utf-8", errors="surrogateescape")
        file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%Y-%m-%d %H:%M:%S"))
        log.addHandler(file)
        log.setLevel(logging.INFO)
        self._open.callback(file.close)
        self._open.callback(log.removeHandler, file)
        self.csv_path = self.directory / METRICS
        _keep_rows(self.csv_path, self.columns, start_iter)
        self.board = Board(self.directory, start_iter)
        self._open.callback(self.board.close)
        self.bar = tqdm(total=last_iter, initial=start_iter, unit="it", desc="train", dynamic_ncols=True)
        self._open.callback(self.bar.close)

    def training(self, row: dict, weighted: dict[str, float], epochs: float) -> None:
        """One line of train.log, one row of metrics.csv, the curves.

        Args:
            row: has keys of ``columns``.
            weighted: the terms of the loss, each times its weight. Other terms get curves of their own.
        """
        it = row["iter"]
        self._append(row)  # first: it raises where the disk is full
        terms = ", ".join(f"{name}: {row[name]:.4f}" for name in ("loss", *self.terms) if name in row)
        log.info(
            f"[TRAIN] epoch: {row['epoch']}, iter: {it}/{self.last_iter}, {terms}, lr: {row['lr']:.3g}, "
            f"reader_cost: {row['reader_cost']:.4f} s, batch_cost: {row['batch_cost']:.4f} s, "
            f"ips: {row['ips']:.2f} images/s, ETA {tqdm.format_interval(self._seconds_left(it))}"
        )
        self.board.scalars("loss_raw", {name: row[name] for name in weighted}, it)
        self.board.scalars(
            "critics", {name: row[name] for name in self.terms if name in row and name not in weighted}, it
        )
        self.board.scalars("loss_weighted", {**weighted, "total": row["loss"]}, it)
        self.board.scalars("train", {"lr": row["lr"], "ips": row["ips"], "epoch": epochs}, it)

    def validation(self, iteration: int, rows: list[dict]) -> None:
        """Means over all pairs and per bucket; ``rows`` as ``metrics.buckets.bucket_rows`` gives them."""
        *by_bucket, means = (row for row in rows if row["border"] == ALL)
        columns = {"iter": iteration}
        for measure in MEASURES:
            values = {row["bucket"]: row[measure] for row in by_bucket}
            columns |= {f"val_{measure}": means[measure]}
            columns |= {f"val_{measure}_{bucket}": value for bucket, value in values.items()}
            self.board.scalars(f"val_{measure}", values | {"all": means[measure]}, iteration)
        self._append(columns)
        psnr = ", ".join(f"{row['bucket']}: {_two_digits(row['psnr'])}" for row in by_bucket)
        log.info(
            f"[EVAL] iter: {iteration}/{self.last_iter}, {means['count']} pairs, l1: {means['l1_percent']:.3f} %, "
            f"psnr: {_two_digits(means['psnr'])} dB, ssim: {means['ssim']:.4f}; psnr by hole area: {psnr}"
        )

    def samples(self, iteration: int, rows: dict[str, np.ndarray]) -> None:
        """Fixed samples by hole area, uint8 [S, k·S, 3] each: samples/iter_N.png, and pictures in VisualDL."""
        write_picture(self.directory / SAMPLES / f"iter_{iteration}.png", np.concatenate(list(rows.values())))
        for name, row in rows.items():
            self.board.picture(f"samples/{name}", row, iteration)

    def close(self) -> None:
        self._open.close()

    def _append(self, row: dict) -> None:
        fresh = not self.csv_path.exists()
        with open(self.csv_path, "a", newline="") as file:
            writer = csv.DictWriter(file, self.columns)
            if fresh:
                writer.writeheader()
            writer.writerow({key: f"{value:.6g}" if isinstance(value, float) else value for key, value in row.items()})

    def _seconds_left(self, iteration: int) -> float:
        done = max(1, iteration - self.start_iter)
        return (time.perf_counter() - self.started) / done * (self.last_iter - iteration)


def _two_digits(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


@contextlib.contextmanager
def log_to_terminal() -> Iterator[None]:
    """Show log lines on the terminal."""
    handler = logging.StreamHandler(sys.stdout)
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)


def _keep_rows(path: Path, columns: Sequence[str], last_iter: int) -> None:
    """Drop the rows after ``last_iter``, and what is no whole row: a kill can cut the last one short."""
    if not path.exists():
        return
    with open(path, newline="", errors="replace") as file:
        lines = (line for line in file if line.endswith("\n") and "\0" not in line)
        rows = [row for row in csv.DictReader(lines) if None not in row and None not in row.values()]
    with atomic_path(path) as temporary, open(temporary, "w", newline="") as file:
        writer = csv.DictWriter(file, columns, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(row for row in rows if row.get("iter", "").isdecimal() and int(row["iter"]) <= last_iter)
