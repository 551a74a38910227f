"""Train the twin of deepfill_v1 on boxes: ``python -m experiments.torch_twin.train_deepfill``.

As engine/adversarial.py and losses/wgan.py: WGAN-GP with the penalty in the hole, ``--critic_steps`` updates of the
critics to one of the generator, each from pictures of its own, Adam (0.5, 0.9). With ``--critic projected`` as
DeepFillCriticTask of engine/critic.py: the critic of ``adversarial.py`` instead, one update each from the same
pictures, Adam (0, 0.99). The generator's arithmetic is bfloat16 where autocast allows it. A run goes on from its
folder.
"""

import os
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch

from datasets.mask_generator import generate_box
from experiments.torch_twin.adversarial import (
    CRITIC_ALONE,
    FEATURE_WEIGHT,
    LR_FACTOR,
    RAMP,
    Critic,
    Judged,
    LiteFeatures,
    critic_loss,
    generator_terms,
)
from experiments.torch_twin.deepfill import TwinCritics, TwinDeepFill
from experiments.torch_twin.samples import Samples
from experiments.torch_twin.train import Average, parse_source, train_for
from options.shared import Parser, count_int, positive_float, positive_int, share_float
from utils.errors import InputError, run_cleanly
from utils.files import atomic_path

ADVERSARIAL, DISCOUNTED, KNOWN, COARSE, PENALTY, DISCOUNT = 0.001, 1.2, 1.2, 1.2, 10.0, 0.9  # see losses.wgan
SPAN = 2.0  # of a picture in [−1, 1], in units of one in [0, 1]


def build_parser() -> Parser:
    parser = Parser(prog="python -m experiments.torch_twin.train_deepfill", description=__doc__.split(":")[0])
    parser.add_argument("--pictures", required=True, nargs="+", metavar="DIR=SHARE", help="folders and their shares")
    parser.add_argument("--run", required=True, metavar="DIR", help="folder of the run; it goes on where it stands")
    parser.add_argument("--start", metavar="DIR", help="a run whose averaged weights a new one starts from")
    parser.add_argument(
        "--critic", choices=("wasserstein", "projected"), default="wasserstein", help="the paper's two, or the U-Nets'"
    )
    parser.add_argument("--size", type=positive_int, default=128, metavar="N", help="side of the pictures in pixels")
    parser.add_argument("--batch_size", type=positive_int, default=8, metavar="N")
    parser.add_argument("--base_channels", type=positive_int, default=32, metavar="N")
    parser.add_argument("--critic_channels", type=positive_int, default=64, metavar="N")
    parser.add_argument("--critic_steps", type=positive_int, default=5, metavar="N", help="to one of the generator")
    parser.add_argument("--lr", type=positive_float, default=1e-4, metavar="X", help="learning rate of Adam")
    parser.add_argument("--minutes", type=positive_float, default=60.0, metavar="X", help="of this call")
    parser.add_argument("--cooldown", action="store_true", help="the learning rate falls to 0 over this call")
    parser.add_argument("--ema_decay", type=share_float, default=0.995, metavar="X", help="of the averaged weights")
    parser.add_argument("--threads", type=positive_int, default=1, metavar="N")
    parser.add_argument("--seed", type=count_int, default=0, metavar="N")
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    options = build_parser().parse_args(argv)
    sources = [parse_source(text) for text in options.pictures]
    if options.size % 16:
        raise InputError(f"--size: expected a multiple of 16, got {options.size}")
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    run = Path(options.run)
    run.mkdir(parents=True, exist_ok=True)
    training = {"wasserstein": Training, "projected": ProjectedTraining}[options.critic](options, run)
    samples = Samples(sources, options.size, 0, np.random.default_rng([options.seed, training.done]))
    train_for(training, options, lambda: training.step(samples))


class Training:
    """Networks, optimisers and the average, as they are kept in a run's folder."""

    betas, lr_factor = (0.5, 0.9), 1  # of Adam; of the critics' learning rate

    def __init__(self, options, run: Path):
        self.options, self.path, self.done = options, run / "state.pt", 0
        self.model = TwinDeepFill(options.base_channels).to(memory_format=torch.channels_last)
        if options.start:
            self.model.load_state_dict(torch.load(Path(options.start) / "average.pt"))
        self.critics = self.make_critics()
        self.optimizers = [
            torch.optim.Adam(network.parameters(), options.lr, betas=self.betas)
            for network in (self.model, self.critics)
        ]
        if self.path.exists():
            self.done, *states = torch.load(self.path)
            for part, state in zip(self._parts, states, strict=True):
                part.load_state_dict(state)
        self.average = Average(self.model, run)

    def make_critics(self) -> torch.nn.Module:
        return TwinCritics(self.options.size, self.options.critic_channels)

    @property
    def _parts(self) -> list:
        return [self.model, self.critics, *self.optimizers]

    def set_rate(self, rate: float) -> None:
        for optimizer, factor in zip(self.optimizers, (1, self.lr_factor), strict=True):
            for group in optimizer.param_groups:
                group["lr"] = rate * factor

    def step(self, samples: Samples) -> dict[str, float]:
        """An iteration: the critics' updates and the generator's. Returns the terms."""
        size, count = self.options.size, self.options.batch_size
        for _ in range(self.options.critic_steps):
            loss, logged = criticise(self.model, self.critics, *draw(samples, size, count))
            self._update(1, loss)
        self.critics.requires_grad_(False)
        loss, terms = paint(self.model, self.critics, *draw(samples, size, count))
        self._update(0, loss)
        self.critics.requires_grad_(True)
        return self._stepped(terms | logged)

    def _stepped(self, terms: dict[str, torch.Tensor]) -> dict[str, float]:
        self.done += 1
        self.average.update(self.model, self.options.ema_decay, self.done)
        return {name: value.item() for name, value in terms.items()}

    def _update(self, which: int, loss: torch.Tensor) -> None:
        self.optimizers[which].zero_grad()
        loss.backward()
        self.optimizers[which].step()

    def save(self) -> None:
        with atomic_path(self.path) as path:
            torch.save([self.done, *(part.state_dict() for part in self._parts)], path)
        self.average.save()


class ProjectedTraining(Training):
    """Against the critic of ``adversarial.py``, which learns alone at first; then its weight rises."""

    betas, lr_factor = (0.0, 0.99), LR_FACTOR

    def __init__(self, options, run: Path):
        self.features = LiteFeatures()
        super().__init__(options, run)

    def make_critics(self) -> torch.nn.Module:
        return Critic()

    def step(self, samples: Samples) -> dict[str, float]:
        truth, mask = draw(samples, self.options.size, self.options.batch_size)
        hole = 1 - mask
        coarse, refined = _painted(self.model, truth, mask)
        with torch.autocast("cpu", torch.bfloat16):
            with torch.no_grad():
                real = self.features(truth)
            comp = (truth * mask + refined * hole).contiguous(memory_format=torch.channels_last)
            judged = Judged(real, self.features(comp), hole)
            loss = critic_loss(self.critics, judged)
            self._update(1, loss)
            self.critics.requires_grad_(False)
            terms = generator_terms(self.critics, judged) | reconstruction(coarse, refined, truth, mask)
        if self.done >= CRITIC_ALONE:
            ramp = min(1.0, (self.done - CRITIC_ALONE) / RAMP)
            weights = {"adversarial": ramp, "features": FEATURE_WEIGHT, "discounted": DISCOUNTED, "known": KNOWN}
            self._update(0, sum(weights[name] * term for name, term in terms.items()))
        self.critics.requires_grad_(True)
        return self._stepped(terms | {"critic": loss})


def draw(samples: Samples, size: int, count: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Pictures [N, 3, size, size] in [0, 1] and masks [N, 1, size, size] with one box each."""
    truth = np.stack([samples.picture() for _ in range(count)]).transpose(0, 3, 1, 2)
    masks = np.stack([generate_box(samples.rng, size, size) for _ in range(count)])[:, None]
    return torch.from_numpy(truth).contiguous(memory_format=torch.channels_last), torch.from_numpy(masks)


def criticise(model, critics: TwinCritics, truth: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, dict]:
    """The critics' loss, and what it is made of."""
    with torch.no_grad():
        completed = truth * mask + _painted(model, truth, mask)[1] * (1 - mask)
    real, fake, masks = (critics.views(t, mask) for t in (truth, completed, mask))
    loss, terms = 0.0, {}
    for name, critic in critics.by_name().items():
        distance = critic(real[name]).mean() - critic(fake[name]).mean()
        penalty = gradient_penalty(critic, real[name], fake[name], masks[name], torch.rand(len(truth), 1, 1, 1))
        loss = loss - distance + PENALTY * penalty
        terms |= {f"wasserstein_{name}": distance, f"penalty_{name}": penalty}
    return loss, terms


def gradient_penalty(critic, real, fake, mask, at: torch.Tensor) -> torch.Tensor:
    between = (real + at * (fake - real)).detach().requires_grad_()
    [gradient] = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
    norm = (gradient / SPAN * (1 - mask)).square().sum((1, 2, 3)).clamp(min=1e-12).sqrt()
    return (norm - 1).square().mean()


def paint(model, critics: TwinCritics, truth: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, dict]:
    """The generator's loss, and its terms."""
    coarse, refined = _painted(model, truth, mask)
    views = critics.views(truth * mask + refined * (1 - mask), mask)
    terms = {f"adversarial_{name}": -critic(views[name]).mean() for name, critic in critics.by_name().items()}
    terms |= reconstruction(coarse, refined, truth, mask)
    adversarial = ADVERSARIAL * (terms["adversarial_local"] + terms["adversarial_global"])
    return adversarial + DISCOUNTED * terms["discounted"] + KNOWN * terms["known"], terms


def reconstruction(coarse: torch.Tensor, refined: torch.Tensor, truth: torch.Tensor, mask: torch.Tensor) -> dict:
    """The L1 terms, each of both stages."""
    discounts = torch.from_numpy(np.stack([discount_map(m[0].numpy()) for m in mask])[:, None])
    return {
        name: COARSE * weighted_l1(coarse, truth, weight) + weighted_l1(refined, truth, weight)
        for name, weight in (("discounted", discounts), ("known", mask))
    }


def weighted_l1(output: torch.Tensor, truth: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    count = 3 * (weight != 0).sum().clamp(min=1)
    return SPAN * ((output - truth).abs() * weight).sum() / count


def discount_map(mask: np.ndarray) -> np.ndarray:
    """0.9^distance to the nearest known pixel inside a hole, 0 outside: float32 [H, W]."""
    hole = (mask < 0.5).astype(np.uint8)
    distance = cv2.distanceTransform(hole, cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return (DISCOUNT**distance * hole).astype(np.float32)


def _painted(model, truth: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    with torch.autocast("cpu", torch.bfloat16):
        return model(truth * mask, mask)


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    run_cleanly(main)
