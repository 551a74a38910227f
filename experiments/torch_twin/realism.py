"""Held-out pictures filled by the twin and measured by fidelity and realism, and a sheet of them to look at.

The measures are those of metrics/realism.py, in PyTorch: style (relative Gram difference), sharpness (Laplacian energy
in the hole over the truth's), Fréchet distance over hole positions of the whole set, by the truth's variance.
"""

from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F

from experiments.torch_twin.full_loss import Features
from experiments.torch_twin.network import TwinUNet
from experiments.torch_twin.samples import Batch

SHOWN, CHUNK = 16, 8


class HeldOut:
    """Batches that are measured again and again.

    Args:
        batches: by the name under which they are measured.
    """

    def __init__(self, batches: dict[str, list[Batch]], device: str = "cpu"):
        self.batches = {name: [batch.to(device) for batch in some] for name, some in batches.items()}
        self.vgg = Features().to(device)

    @torch.no_grad()
    def measure(self, network: TwinUNet, sheet: Path | None = None) -> dict[str, float]:
        """Means over the pictures by ``name_measure``; the sheet has truth, input and fill of some of each name."""
        figures = {}
        rows = []
        for name, batches in self.batches.items():
            fills = [fill(network, batch) for batch in batches]
            rows += [view(batch, filled) for batch, filled in zip(batches[: SHOWN // CHUNK], fills, strict=False)]
            figures |= {f"{name}_{key}": value for key, value in self._measured(batches, fills).items()}
        if sheet is not None:
            cv2.imwrite(str(sheet), np.concatenate(rows)[..., ::-1])
        return figures

    def _measured(self, batches: list[Batch], fills: list[torch.Tensor]) -> dict[str, float]:
        psnr, style, sharp, cells = [], [], [], {1: ([], []), 2: ([], [])}
        for batch, filled in zip(batches, fills, strict=True):
            hole = 1 - batch.mask
            square = ((filled - batch.truth).square() * hole).sum((1, 2, 3)) / (3 * hole.sum((1, 2, 3)))
            psnr.append(-10 * square.clamp(min=1e-8).log10())
            sharp.append(laplacian_energy(filled, hole) / laplacian_energy(batch.truth, hole).clamp(min=1e-8))
            ours, theirs = self.vgg(filled), self.vgg(batch.truth)
            style.append(sum(gram_difference(a, b, hole) for a, b in zip(ours, theirs, strict=True)) / len(ours))
            for tap, (a, b) in cells.items():
                touched = touches(hole, ours[tap])[:, 0] > 0
                a.append(ours[tap].permute(0, 2, 3, 1)[touched])
                b.append(theirs[tap].permute(0, 2, 3, 1)[touched])
        frechet = {f"fd{tap + 1}": frechet_distance(torch.cat(a), torch.cat(b)) for tap, (a, b) in cells.items()}
        means = {"psnr": torch.cat(psnr).mean(), "style": torch.cat(style).mean(), "sharp": torch.cat(sharp).median()}
        return {key: float(value) for key, value in (means | frechet).items()}


def fill(network: TwinUNet, batch: Batch) -> torch.Tensor:
    with torch.autocast(batch.truth.device.type, torch.bfloat16):
        output = network(batch.truth * batch.mask, batch.mask, batch.second, batch.first)
    return batch.truth * batch.mask + output.float().clamp(0, 1) * (1 - batch.mask)


def touches(hole: torch.Tensor, cells: torch.Tensor) -> torch.Tensor:
    return F.max_pool2d(hole, hole.shape[2] // cells.shape[2])


def laplacian_energy(picture: torch.Tensor, hole: torch.Tensor) -> torch.Tensor:
    """[N]: the mean square of the Laplacian over hole pixels."""
    kernel = torch.tensor([[0.0, 1, 0], [1, -4, 1], [0, 1, 0]], device=picture.device).expand(3, 1, 3, 3)
    edges = F.conv2d(F.pad(picture, [1] * 4, mode="replicate"), kernel, groups=3)
    return (edges.square() * hole).sum((1, 2, 3)) / hole.sum((1, 2, 3))


def gram_difference(ours: torch.Tensor, theirs: torch.Tensor, hole: torch.Tensor) -> torch.Tensor:
    """[N]: |G − G'| / |G'| of the features over cells that touch the hole."""
    touched = touches(hole, ours)
    a, b = ((tap * touched).flatten(2) for tap in (ours, theirs))
    a, b = a @ a.transpose(1, 2), b @ b.transpose(1, 2)
    return (a - b).flatten(1).norm(dim=1) / b.flatten(1).norm(dim=1).clamp(min=1e-8)


def frechet_distance(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    """Between normal distributions fitted to features [n, C] each, over the trace of the truth's covariance."""
    (m, s), (t, u) = ((x.double().mean(0), torch.cov(x.double().T)) for x in (ours, theirs))
    values, vectors = torch.linalg.eigh(u)
    root = vectors * values.clamp(min=0).sqrt() @ vectors.T
    cross = torch.linalg.eigvalsh(root @ s @ root).clamp(min=0).sqrt().sum()
    return float(((m - t).square().sum() + s.trace() + u.trace() - 2 * cross) / u.trace())


def view(batch: Batch, filled: torch.Tensor) -> np.ndarray:
    """Input, fill and truth of a batch in three rows, uint8."""
    rows = [batch.truth * batch.mask, filled, batch.truth]
    rows = [torch.cat(list(row), 2).permute(1, 2, 0) for row in rows]
    return (torch.cat(rows).cpu().numpy() * 255).round().astype(np.uint8)
