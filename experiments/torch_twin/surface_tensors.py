"""The smooth surfaces of ``surface.py`` in tensors, for whole batches on a GPU: the same pyramid and descent."""

import torch
import torch.nn.functional as F

from experiments.torch_twin.surface import STEPS
from inpainting.surface import COARSEST, MOMENTUM, STEP


@torch.no_grad()
def surfaces_of(known: torch.Tensor, mask: torch.Tensor) -> list[torch.Tensor]:
    """The surfaces of order 2 and 1, not clipped: [N, C, H, W] float32 each.

    known: [N, C, H, W] float32; hole pixels do not matter.   mask: [N, 1, H, W], 1 = valid.
    """
    return [_surface(known * mask, mask, order, steps) for order, steps in STEPS.items()]


def _surface(known: torch.Tensor, mask: torch.Tensor, order: int, steps: int) -> torch.Tensor:
    levels = [(known, mask)]
    while min(levels[-1][1].shape[2:]) > COARSEST:
        levels.append(halve_tensors(*levels[-1]))
    known, mask = levels[-1]
    u = known.sum((2, 3), keepdim=True) / mask.sum((2, 3), keepdim=True).clamp(min=1)
    u = u.expand_as(known)
    for level, (known, mask) in reversed(list(enumerate(levels))):
        if level < len(levels) - 1:
            u = enlarge(u)[:, :, : known.shape[2], : known.shape[3]]
        u = _relax(torch.where(mask > 0, known, u), 1 - mask, order, steps)
    return u


def halve_tensors(known: torch.Tensor, mask: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The mean of the known pixels of each 2×2; a pixel is known if any of the four is. Sides may be odd."""
    padding = (0, known.shape[3] % 2, 0, known.shape[2] % 2)
    total, count = (4 * F.avg_pool2d(F.pad(t, padding), 2) for t in (known * mask, mask))
    return total / count.clamp(min=1), (count > 0).to(mask.dtype)


def enlarge(u: torch.Tensor) -> torch.Tensor:
    """Bicubic ×2, a = −0.75, the border repeated."""
    return F.interpolate(u, scale_factor=2, mode="bicubic", align_corners=False)


def _relax(u: torch.Tensor, hole: torch.Tensor, order: int, steps: int) -> torch.Tensor:
    speed = torch.zeros_like(u)
    rate = (STEP / 8 if order == 1 else -STEP / 64) * hole
    for _ in range(steps):
        force = _laplace(u) if order == 1 else _laplace(_laplace(u))
        speed = MOMENTUM * speed * hole + rate * force
        u = u + speed
    return u


def _laplace(u: torch.Tensor) -> torch.Tensor:
    """The five-point stencil; the border repeats."""
    padded = F.pad(u, (1, 1, 1, 1), mode="replicate")
    return padded[:, :, :-2, 1:-1] + padded[:, :, 2:, 1:-1] + padded[:, :, 1:-1, :-2] + padded[:, :, 1:-1, 2:] - 4 * u
