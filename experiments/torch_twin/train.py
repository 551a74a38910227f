"""Train the twin on a CPU: ``python -m experiments.torch_twin.train --pictures DIR=SHARE ... --run DIR``.

Every process works on one core and steps the same weights in shared memory without waiting for the others (Niu et al.
2011, arXiv:1106.5730), since on a shared machine threads that wait for one another lose more than stale gradients do.
Arithmetic is bfloat16 where autocast allows it. A run goes on from its folder; ``--cooldown`` lets the learning rate
fall to zero, best into a copy of a run, so that the run itself can go on.

The loss is L1 over the hole, each picture's divided by its hole's area: large holes would dominate it otherwise. With
``--loss full`` it is the paper's, divided likewise; ``--loss psnr`` is what PSNR measures, in which a picture counts by
its relative error and not by how much there is to err.
"""

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
import torch.multiprocessing as processes
from torch import nn

from experiments.torch_twin.full_loss import FullLoss
from experiments.torch_twin.network import TwinUNet
from experiments.torch_twin.samples import Batch, Samples
from options.shared import Parser, count_int, positive_float, positive_int, share_float
from utils.errors import InputError, run_cleanly
from utils.files import atomic_path

WARMUP, GUIDED_FROM = 300, 1500  # iterations: the learning rate rises; before the second a fill is no guide yet
SAVE_EVERY, LOG_EVERY = 240, 60  # seconds
CLIP_NORM = 0.5


def build_parser() -> Parser:
    parser = Parser(prog="python -m experiments.torch_twin.train", description=__doc__.splitlines()[0])
    parser.add_argument(
        "--pictures", required=True, nargs="+", metavar="DIR=SHARE", help="folders and their shares of the samples"
    )
    parser.add_argument("--run", required=True, metavar="DIR", help="folder of the run; it goes on where it stands")
    parser.add_argument("--start", metavar="DIR", help="a run whose averaged weights a new one starts from")
    parser.add_argument("--size", type=positive_int, default=128, metavar="N", help="side of the pictures in pixels")
    parser.add_argument("--batch_size", type=positive_int, default=8, metavar="N", help="of each process")
    parser.add_argument("--large", type=positive_int, metavar="N", help="side of some pictures, cut from larger ones")
    parser.add_argument("--large_share", type=share_float, default=0.2, metavar="X", help="of the iterations")
    parser.add_argument("--base_channels", type=positive_int, default=32, metavar="N")
    parser.add_argument("--depth", type=positive_int, default=6, metavar="N")
    parser.add_argument("--processes", type=positive_int, default=2, metavar="N", help="of one core each")
    parser.add_argument("--masks", type=positive_int, default=6000, metavar="N", help="holes drawn for each process")
    parser.add_argument("--lr", type=positive_float, default=1e-3, metavar="X", help="learning rate of AdamW")
    parser.add_argument("--minutes", type=positive_float, default=60.0, metavar="X", help="of this call")
    parser.add_argument("--cooldown", action="store_true", help="the learning rate falls to 0 over this call")
    parser.add_argument(
        "--loss", choices=("l1", "psnr", "full"), default="l1", help="l1, psnr: over the hole; full: the paper's"
    )
    parser.add_argument("--guided", type=share_float, default=0.35, metavar="X", help="samples over a coarser fill")
    parser.add_argument("--ema_decay", type=share_float, default=0.999, metavar="X", help="of the averaged weights")
    parser.add_argument("--seed", type=count_int, default=0, metavar="N")
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    options = build_parser().parse_args(argv)
    options.sources = [parse_source(text) for text in options.pictures]
    multiple = 2 ** (options.depth + (options.guided > 0))
    for name, size in (("--size", options.size), ("--large", options.large)):
        if size and size % multiple:
            raise InputError(f"{name}: expected a multiple of {multiple}, got {size}")
    run = Path(options.run)
    run.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(options.seed)
    network = TwinUNet(options.base_channels, options.depth).to(memory_format=torch.channels_last)
    done = torch.zeros(1, dtype=torch.int64)
    if (run / "network.pt").exists():
        network.load_state_dict(torch.load(run / "network.pt"))
        done = torch.load(run / "iterations.pt")
    elif options.start:
        network.load_state_dict(torch.load(Path(options.start) / "average.pt"))
    network.share_memory()
    done.share_memory_()
    processes.spawn(work, (network, done, options), nprocs=options.processes)


def parse_source(text: str) -> tuple[str, float]:
    """``DIR=SHARE`` as folder and share."""
    folder, _, share = text.rpartition("=")
    try:
        return folder, float(share)
    except ValueError:
        raise InputError(f"--pictures: expected DIR=SHARE, such as data/faces=0.3, got {text!r}") from None


def work(rank: int, network: TwinUNet, done: torch.Tensor, options) -> None:
    """One process: sample, step, and the first also averages, tells and saves."""
    torch.set_num_threads(1)
    run, started = Path(options.run), time.time()
    rng = np.random.default_rng([options.seed, rank, int(done)])
    batches = Batches(options, rng)
    optimizer = torch.optim.AdamW(network.parameters(), options.lr, betas=(0.9, 0.99), weight_decay=1e-5, fused=True)
    _load(run / f"optimizer{rank}.pt", optimizer)
    average = Average(network, run) if rank == 0 else None
    loss_of = FullLoss() if options.loss == "full" else {"l1": hole_l1, "psnr": hole_psnr}[options.loss]
    saved = told = time.time()
    ratios = []
    while (spent := (time.time() - started) / 60 / options.minutes) < 1:
        rate = options.lr * min(1.0, (int(done) + 1) / WARMUP) * (max(0.02, 1 - spent) if options.cooldown else 1)
        guided = options.guided if int(done) >= GUIDED_FROM else 0.0
        ratios.append(step(network, optimizer, batches.draw(network, guided), rate, loss_of))
        done += 1
        if average is not None:
            average.update(network, options.ema_decay**options.processes, int(done))
        if rank == 0 and time.time() - told > LOG_EVERY:
            print(f"iteration {int(done)}: L1 {np.mean(ratios):.4f} of the surface's, rate {rate:.1e}", flush=True)
            told, ratios = time.time(), []
        if time.time() - saved > SAVE_EVERY:
            _save_all(run, rank, network, done, optimizer, average)
            saved = time.time()
    _save_all(run, rank, network, done, optimizer, average)


class Batches:
    """Batches of ``--size``, and now and then of ``--large``, smaller by as much as their pictures are larger."""

    def __init__(self, options, rng: np.random.Generator):
        self.rng, self.share = rng, options.large_share if options.large else 0.0
        self.usual = Samples(options.sources, options.size, options.masks, rng), options.batch_size
        if options.large:
            fewer = (options.size / options.large) ** 2
            masks, count = (max(1, round(n * fewer)) for n in (options.masks, options.batch_size))
            self.large = Samples(options.sources, options.large, masks, rng, least_side=options.large), count

    def draw(self, network: TwinUNet, guided: float) -> Batch:
        samples, count = self.large if self.rng.random() < self.share else self.usual
        return samples.batch(count, network, guided)


def step(network: TwinUNet, optimizer: torch.optim.Optimizer, batch: Batch, rate: float, loss_of: Callable) -> float:
    """One step; L1 over the hole as a share of what the surface of order 2 alone would have."""
    for group in optimizer.param_groups:
        group["lr"] = rate
    with torch.autocast("cpu", torch.bfloat16):
        output = network(batch.truth * batch.mask, batch.mask, batch.second, batch.first)
    loss = loss_of(output, batch)
    optimizer.zero_grad()
    loss.backward()
    if torch.isfinite(torch.nn.utils.clip_grad_norm_(network.parameters(), CLIP_NORM)):
        optimizer.step()
    with torch.no_grad():
        return (hole_l1(output, batch) / hole_l1(batch.second, batch).clamp(min=1e-6)).item()


def hole_l1(output: torch.Tensor, batch: Batch) -> torch.Tensor:
    """The mean over the batch of each picture's mean over its hole."""
    hole = 1 - batch.mask
    return (((output - batch.truth).abs() * hole).sum((1, 2, 3)) / (3 * hole.sum((1, 2, 3))).clamp(min=1)).mean()


def hole_psnr(output: torch.Tensor, batch: Batch) -> torch.Tensor:
    """The mean over the batch of the logarithm of each picture's root mean square over its hole, of L1's magnitude."""
    hole = 1 - batch.mask
    square = ((output - batch.truth).square() * hole).sum((1, 2, 3)) / (3 * hole.sum((1, 2, 3))).clamp(min=1)
    return 0.05 * (square + 1e-6).log().mean() / 2


class Average:
    """Weights averaged over the last iterations (of all processes, as the first one sees them)."""

    def __init__(self, network: nn.Module, run: Path):
        self.run = run
        self.weights = {name: value.detach().clone() for name, value in network.state_dict().items()}
        if (run / "average.pt").exists():
            self.weights = torch.load(run / "average.pt")

    @torch.no_grad()
    def update(self, network: nn.Module, decay: float, iterations: int) -> None:
        decay = min(decay, (iterations + 1) / (iterations + 10))
        for name, value in network.state_dict().items():
            self.weights[name].lerp_(value, 1 - decay)

    def save(self) -> None:
        """For going on, and as arrays for ``experiments.torch_twin.publish``."""
        _save(self.weights, self.run / "average.pt")
        with atomic_path(self.run / "weights.npz") as path:
            np.savez(path, **{name: value.cpu().numpy() for name, value in self.weights.items()})


def train_for(training, options, step: Callable[[], dict[str, float]]) -> None:
    """Steps until ``options.minutes`` are over; now and then a line with the means of the terms, and a checkpoint.

    Args:
        training: has ``set_rate``, ``save`` and ``done``, its count of iterations.
        step: makes one iteration; returns its terms.
    """
    started = saved = told = time.time()
    seen = []
    while (spent := (time.time() - started) / 60 / options.minutes) < 1:
        training.set_rate(options.lr * (max(0.02, 1 - spent) if options.cooldown else 1))
        seen.append(step())
        if time.time() - told > LOG_EVERY:
            text = ", ".join(f"{name} {np.mean([terms[name] for terms in seen]):.4f}" for name in seen[0])
            print(f"iteration {training.done} ({len(seen) / (time.time() - told):.2f}/s): {text}", flush=True)
            told, seen = time.time(), []
        if time.time() - saved > SAVE_EVERY:
            training.save()
            saved = time.time()
    training.save()


def _load(path: Path, optimizer: torch.optim.Optimizer) -> None:
    if path.exists():
        optimizer.load_state_dict(torch.load(path))


def _save_all(run: Path, rank: int, network, done, optimizer, average: Average | None) -> None:
    _save(optimizer.state_dict(), run / f"optimizer{rank}.pt")
    if average is not None:
        _save(network.state_dict(), run / "network.pt")
        _save(done, run / "iterations.pt")
        average.save()


def _save(value, path: Path) -> None:
    with atomic_path(path) as temporary:
        torch.save(value, temporary)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    run_cleanly(main)
