"""Train the twin against a projected critic: ``python -m experiments.torch_twin.train_adversarial --run DIR``.

See ``adversarial.py`` for the losses. One process; a run goes on from its folder. Every ``--measure_every`` minutes
pictures held out from the folders are filled, measured (``curve.csv``) and drawn (``sheet_N.png``).
"""

import csv
import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from experiments.torch_twin.adversarial import (
    CRITIC_ALONE,
    FEATURE_WEIGHT,
    L1_WEIGHT,
    LR_FACTOR,
    RAMP,
    Critic,
    Judged,
    LiteFeatures,
    critic_loss,
    depth_of,
    edge_l1,
    feature_matching,
    generator_terms,
    low_l1,
    style,
    teacher_terms,
    thinness,
)
from experiments.torch_twin.network import TwinUNet
from experiments.torch_twin.realism import CHUNK, HeldOut
from experiments.torch_twin.samples import Batch, Samples, batch_on_gpu
from experiments.torch_twin.train import Average, hole_l1, parse_source, train_for
from options.shared import Parser, count_int, positive_float, positive_int, share_float, weight_float
from utils.errors import InputError, run_cleanly
from utils.files import atomic_path


def build_parser() -> Parser:
    parser = Parser(prog="python -m experiments.torch_twin.train_adversarial", description=__doc__.split(":")[0])
    parser.add_argument("--pictures", required=True, nargs="+", metavar="DIR=SHARE", help="folders and their shares")
    parser.add_argument("--run", required=True, metavar="DIR", help="folder of the run; it goes on where it stands")
    parser.add_argument("--start", metavar="DIR", help="weights (model.safetensors) or a run to start from")
    parser.add_argument(
        "--sizes",
        nargs="+",
        default=["64:16=0.5", "128:6=0.5"],
        metavar="SIZE:BATCH=SHARE",
        help="side in pixels, pictures of a batch, share of the iterations",
    )
    parser.add_argument("--base_channels", type=positive_int, default=32, metavar="N")
    parser.add_argument("--depth", type=positive_int, default=6, metavar="N")
    parser.add_argument("--residual", action="store_true", help="pconv_residual_unet; --start may be without branches")
    parser.add_argument("--wide_share", type=share_float, default=0.5, metavar="X", help="of the holes")
    parser.add_argument("--large_holes", action="store_true", help="of ten irregular holes six cover more than 40 %%")
    parser.add_argument(
        "--masks", type=positive_int, default=4000, metavar="N", help="irregular holes drawn beforehand"
    )
    parser.add_argument("--guided", type=share_float, default=0.35, metavar="X", help="samples over a coarser fill")
    parser.add_argument("--adversarial", type=weight_float, default=1.0, metavar="X", help="weight of the critic")
    parser.add_argument("--features", type=weight_float, default=FEATURE_WEIGHT, metavar="X", help="of their matching")
    parser.add_argument("--style", type=weight_float, default=0.0, metavar="X", help="of features' means, deviations")
    parser.add_argument("--l1", type=weight_float, default=L1_WEIGHT, metavar="X", help="weight of L1 in the hole")
    parser.add_argument("--edge_l1", type=weight_float, default=0.0, metavar="X", help="of L1 near the hole's edge")
    parser.add_argument("--low_l1", type=weight_float, default=0.0, metavar="X", help="of L1 in means of 4x4 pixels")
    parser.add_argument(
        "--shallow",
        type=positive_int,
        default=1,
        metavar="N",
        help="without --teacher: the critic counts less in shallower holes",
    )
    parser.add_argument("--teacher", metavar="DIR", help="a network trained on L1; the fill stays near its own")
    parser.add_argument("--thin", type=weight_float, default=80.0, metavar="X", help="of L1 to it in thin holes")
    parser.add_argument("--low", type=weight_float, default=30.0, metavar="X", help="of L1 to it in 8x8 means")
    parser.add_argument("--lr", type=positive_float, default=2e-4, metavar="X", help="of the generator; critic 3 times")
    parser.add_argument("--minutes", type=positive_float, default=60.0, metavar="X", help="of this call")
    parser.add_argument("--cooldown", action="store_true", help="the learning rate falls to 0 over this call")
    parser.add_argument("--ema_decay", type=share_float, default=0.998, metavar="X", help="of the averaged weights")
    parser.add_argument("--held_out", type=positive_int, default=48, metavar="N", help="pictures of each folder")
    parser.add_argument("--measure_every", type=positive_float, default=10.0, metavar="X", help="minutes")
    parser.add_argument("--lite0", metavar="FILE", help="weights of EfficientNet-lite0; the package's when not given")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu")
    parser.add_argument(
        "--workers", type=count_int, default=0, metavar="N", help="processes that draw samples; on a GPU"
    )
    parser.add_argument("--threads", type=positive_int, default=1, metavar="N")
    parser.add_argument("--seed", type=count_int, default=0, metavar="N")
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    options = build_parser().parse_args(argv)
    options.sources = [parse_source(text) for text in options.pictures]
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    run = Path(options.run)
    run.mkdir(parents=True, exist_ok=True)
    training = Training(options, run)
    batches, held_out = make_batches(options, training.done), make_held_out(options)
    measured = 0.0

    def step() -> dict[str, float]:
        nonlocal measured
        if time.time() - measured > 60 * options.measure_every:
            training.measure(held_out)
            measured = time.time()
        return training.step(*batches.draw(training.network))

    train_for(training, options, step)
    training.measure(held_out)


class Training:
    """Networks, optimisers and the average, as they are kept in a run's folder."""

    def __init__(self, options, run: Path):
        self.options, self.run, self.done, self.pictures = options, run, 0, 0
        state = run / "state.pt"
        saved = torch.load(state, map_location=options.device) if state.exists() else None
        start = saved["network"] if saved else read_weights(Path(options.start)) if options.start else None
        self.network = make_network(options, start, options.residual)
        self.teacher = make_network(options, read_weights(Path(options.teacher))) if options.teacher else None
        self.features = LiteFeatures(options.lite0).to(options.device)
        self.critics = torch.nn.ModuleDict({text.split(":")[0]: Critic() for text in options.sizes})
        self.critics.to(options.device)
        self.optimizers = [
            torch.optim.Adam(self.network.parameters(), options.lr, betas=(0.0, 0.99), fused=True),
            torch.optim.Adam(self.critics.parameters(), LR_FACTOR * options.lr, betas=(0.0, 0.99), fused=True),
        ]
        if saved:
            self._load(saved)
        elif options.start and (critics := Path(options.start) / "critics.pt").exists():
            self.critics.load_state_dict(torch.load(critics, map_location=options.device), strict=False)
        self.average = Average(self.network, run)

    def _load(self, state: dict) -> None:
        self.done, self.pictures = state["done"], state["pictures"]
        self.critics.load_state_dict(state["critics"], strict=False)  # a size may be new
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            if len(saved["param_groups"][0]["params"]) == len(optimizer.param_groups[0]["params"]):
                optimizer.load_state_dict(saved)

    def set_rate(self, rate: float) -> None:
        for optimizer, factor in zip(self.optimizers, (1, LR_FACTOR), strict=True):
            for group in optimizer.param_groups:
                group["lr"] = rate * factor

    def step(self, size: str, batch: Batch) -> dict[str, float]:
        """The critic of that size, then the generator."""
        critic, options = self.critics[size], self.options
        alone = options.adversarial > 0 and self.done < CRITIC_ALONE
        ramp = min(1.0, max(0.0, (self.done - CRITIC_ALONE) / RAMP))
        hole = 1 - batch.mask
        with torch.autocast(options.device, torch.bfloat16), torch.set_grad_enabled(not alone):
            output = self.network(batch.truth * batch.mask, batch.mask, batch.second, batch.first)
            composite = batch.truth * batch.mask + output.float() * hole
            fake = self.features(composite.contiguous(memory_format=torch.channels_last))
        with torch.autocast(options.device, torch.bfloat16):
            with torch.no_grad():
                real = self.features(batch.truth)
            thin = thinness(hole) if self.teacher else None
            judged = Judged(real, fake, hole, self._weight(hole, thin))
            logged = {"critic": 0.0, "adversarial": 0.0}
            if options.adversarial > 0:
                loss = critic_loss(critic, judged)
                self._update(1, loss)
                logged["critic"] = loss.item()
            if not alone:
                critic.requires_grad_(False)
                if options.adversarial > 0:
                    terms = generator_terms(critic, judged)
                else:
                    terms = {"features": feature_matching(judged)}
                output = output.float()
                terms["style"] = style(judged)
                terms["l1"] = hole_l1(output, batch)
                weights = {name: getattr(options, name) for name in ("features", "style", "l1", "edge_l1", "low_l1")}
                weights["adversarial"] = ramp * options.adversarial
                if options.edge_l1:
                    terms["edge_l1"] = edge_l1(output, batch.truth, hole)
                if options.low_l1:
                    terms["low_l1"] = low_l1(output, batch.truth, hole)
                if self.teacher:
                    terms |= teacher_terms(output, self._taught(batch), hole, thin)
                    weights |= {"thin": options.thin, "low": options.low}
                self._update(0, sum(weights[name] * term for name, term in terms.items()))
                critic.requires_grad_(True)
                logged |= {name: term.item() for name, term in terms.items()}
        self.done += 1
        self.pictures += len(hole)
        self.average.update(self.network, options.ema_decay, self.done)
        names = ("critic", "adversarial", "features", "style", "l1", *(("thin", "low") if self.teacher else ()))
        return {name: logged.get(name, 0.0) for name in names}

    @torch.no_grad()
    def _taught(self, batch: Batch) -> torch.Tensor:
        """The teacher's fill, the mean of two mirrored passes."""
        inputs = batch.truth * batch.mask, batch.mask, batch.second, batch.first
        fill, mirrored = self.teacher(*(torch.cat([plane, plane.flip(3)]) for plane in inputs)).float().chunk(2)
        return (fill + mirrored.flip(3)) / 2

    def _weight(self, hole: torch.Tensor, thin: torch.Tensor | None) -> torch.Tensor | None:
        if thin is not None:
            return 1 - thin
        shallow = self.options.shallow
        return depth_of(hole, shallow) / shallow if shallow > 1 else None

    def _update(self, which: int, loss: torch.Tensor) -> None:
        if not torch.isfinite(loss):
            raise InputError(f"expected a finite loss, got {loss.item()}; lower --lr")
        self.optimizers[which].zero_grad()
        loss.backward()
        self.optimizers[which].step()

    def save(self) -> None:
        state = {
            "done": self.done,
            "pictures": self.pictures,
            "network": self.network.state_dict(),
            "critics": self.critics.state_dict(),
            "optimizers": [optimizer.state_dict() for optimizer in self.optimizers],
        }
        with atomic_path(self.run / "state.pt") as path:
            torch.save(state, path)
        torch.save(self.critics.state_dict(), self.run / "critics.pt")
        self.average.save()

    def measure(self, held_out: HeldOut) -> None:
        """A line of curve.csv and a sheet, of the averaged weights."""
        network = make_network(self.options, self.average.weights)
        figures = held_out.measure(network, self.run / f"sheet_{self.done:06d}.png")
        row = {"iteration": self.done, "pictures": self.pictures, **{k: f"{v:.4f}" for k, v in figures.items()}}
        path = self.run / "curve.csv"
        new = not path.exists()
        with path.open("a", newline="") as file:
            writer = csv.DictWriter(file, list(row))
            if new:
                writer.writeheader()
            writer.writerow(row)
        print("  ".join(f"{key} {value}" for key, value in row.items()), flush=True)


def make_network(options, weights: dict[str, torch.Tensor] | None = None, residual: bool = False) -> TwinUNet:
    """With residual branches if ``weights`` have them, or on request: those stay at zero and change nothing."""
    weights = weights or {}
    residual = residual or any(".branch." in name for name in weights)
    network = TwinUNet(options.base_channels, options.depth, residual).to(memory_format=torch.channels_last)
    if weights:
        branches = {name: value for name, value in network.state_dict().items() if ".branch." in name}
        network.load_state_dict(branches | weights)
    return network.to(options.device)


def make_batches(options, done: int):
    return BatchesOnGPU(options, done) if options.device == "cuda" else Batches(options, done)


class Batches:
    """Batches of each size in their shares; a thread of its own draws the next one meanwhile."""

    def __init__(self, options, done: int):
        self.options, self.drawn = options, Drawn(options, [options.seed, done])
        self.drawn.start()
        self.thread, self.next = ThreadPoolExecutor(1), None

    def draw(self, network: TwinUNet) -> tuple[str, Batch]:
        batch = (self.next or self.thread.submit(self._draw, network)).result()
        self.next = self.thread.submit(self._draw, network)
        return batch

    def _draw(self, network: TwinUNet) -> tuple[str, Batch]:
        size, count = self.drawn.choose()
        return str(size), self.drawn.samples[size].batch(count, network, guided_share(self.options, size))


class BatchesOnGPU:
    """The same, drawn ahead by processes of their own; surfaces and coarser fills are made on the GPU."""

    def __init__(self, options, done: int):
        self.options = options
        loader = DataLoader(Drawn(options, [options.seed, done]), batch_size=None, num_workers=options.workers)
        self.loader = iter(loader)

    def draw(self, network: TwinUNet) -> tuple[str, Batch]:
        truth, mask = next(self.loader)
        truth, mask = truth.to(self.options.device).permute(0, 3, 1, 2), mask.to(self.options.device)[:, None]
        size = truth.shape[2]
        return str(size), batch_on_gpu(truth, mask, network, guided_share(self.options, size))


class Drawn(IterableDataset):
    """Endless batches of pictures [N, H, W, 3] and masks [N, H, W]; each worker has its own random numbers."""

    def __init__(self, options, seed: list[int]):
        self.options, self.sizes, self.seed = options, list(map(parse_size, options.sizes)), seed
        shares = np.array([share for _, _, share in self.sizes])
        self.shares = shares / shares.sum()

    def start(self, *worker: int) -> None:
        self.rng = np.random.default_rng([*self.seed, *worker])
        self.samples = {size: make_samples(self.options, size, self.rng) for size, _, _ in self.sizes}

    def choose(self) -> tuple[int, int]:
        """Size and count of the next batch."""
        size, count, _ = self.sizes[self.rng.choice(len(self.sizes), p=self.shares)]
        return size, count

    def __iter__(self):
        worker = get_worker_info()
        self.start(*([worker.id] if worker else []))
        while True:
            size, count = self.choose()
            yield tuple(torch.from_numpy(np.stack(arrays)) for arrays in self.samples[size].draw(count))


def guided_share(options, size: int) -> float:
    return options.guided if size % 2 ** (options.depth + 1) == 0 else 0.0


def make_samples(options, size: int, rng: np.random.Generator) -> Samples:
    least = size if size > 128 else 0
    wide, held_out, large = options.wide_share, options.held_out, options.large_holes
    return Samples(options.sources, size, options.masks, rng, least, wide, held_out, large)


def make_held_out(options) -> HeldOut:
    """Wide and irregular holes at the second largest size or the only one, 96 pictures each."""
    sizes = sorted(size for size, _, _ in map(parse_size, options.sizes))
    size = min(sizes[-1], 128)
    batches = {}
    for name, share in (("wide", 1.0), ("irregular", 0.0)):
        samples = Samples(options.sources, size, 96, np.random.default_rng(1), 0, share, -options.held_out)
        batches[name] = [samples.batch(CHUNK) for _ in range(12)]
    return HeldOut(batches, options.device)


def parse_size(text: str) -> tuple[int, int, float]:
    """``SIZE:BATCH=SHARE``."""
    try:
        size, rest = text.split(":")
        count, share = rest.split("=")
        return int(size), int(count), float(share)
    except ValueError:
        raise InputError(f"--sizes: expected SIZE:BATCH=SHARE, such as 128:8=0.5, got {text!r}") from None


def read_weights(path: Path) -> dict[str, torch.Tensor]:
    """The averaged weights of a run, or those of a weights directory."""
    if (path / "average.pt").exists():
        return torch.load(path / "average.pt")
    from safetensors.torch import load_file

    return {name: value.float() for name, value in load_file(path / "model.safetensors").items()}


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    run_cleanly(main)
