"""Training samples for the twin: pictures cut at random, generated holes, the smooth surfaces over them."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import cv2
import numpy as np
import torch
import torch.nn.functional as F

from datasets.images import list_pictures, read_picture
from datasets.mask_generator import generate_box, generate_mask, generate_wide
from datasets.masks import BUCKETS
from datasets.transforms import random_flip
from experiments.torch_twin.network import TwinUNet
from experiments.torch_twin.surface import surfaces
from experiments.torch_twin.surface_tensors import enlarge, halve_tensors, surfaces_of
from inpainting.surface import halve
from utils.errors import InputError

BOX_SHARE = 1 / 12  # of the holes; the others are irregular, of the six buckets in turn
MORE_LARGE = (*BUCKETS, BUCKETS[4], *3 * BUCKETS[5:])  # these in turn with --large_holes
LARGE = 160  # px: pictures with a shorter side above this have more detail than training sees, so cuts of all sizes do


@dataclass
class Batch:
    """Tensors [N, C, H, W] float32 in channels-last order; see ``TwinUNet``."""

    truth: torch.Tensor
    mask: torch.Tensor
    second: torch.Tensor
    first: torch.Tensor

    def to(self, device: str) -> "Batch":
        return Batch(*(getattr(self, field.name).to(device) for field in fields(self)))


class Samples:
    """An endless source of batches.

    Args:
        sources: folders with the share of the samples that each gives.
        size: side of the training pictures in pixels.
        masks: how many holes are drawn beforehand; each is turned and flipped when it is used.
        rng: decides everything.
        least_side: of pictures in pixels; a folder counts for what it is by its first picture.
        wide_share: of the holes that are wide (``generate_wide``).
        held_out: the last N pictures of each folder are left out; −N takes them alone.
        large_holes: of ten irregular holes six cover more than 40 %, not one in three.
    """

    def __init__(
        self,
        sources: Sequence[tuple[str, float]],
        size: int,
        masks: int,
        rng: np.random.Generator,
        least_side: int = 0,
        wide_share: float = 0.0,
        held_out: int = 0,
        large_holes: bool = False,
    ):
        cv2.setNumThreads(1)
        self.size, self.rng, self.wide_share = size, rng, wide_share
        self.buckets = MORE_LARGE if large_holes else BUCKETS
        listed = [(list_pictures(folder), share) for folder, share in sources]
        listed = [(split(files, held_out), share) for files, share in listed]
        listed = [(files, share) for files, share in listed if min(read_picture(files[0]).shape[:2]) >= least_side]
        if not listed:
            raise InputError(f"--pictures: expected a folder of pictures of {least_side} pixels or more, got none")
        self.folders = [files for files, _ in listed]
        shares = np.array([share for _, share in listed])
        self.shares = shares / shares.sum()
        self.holes = [np.packbits(self._draw_hole(i), axis=1) for i in range(masks)]

    def batch(self, count: int, network: TwinUNet | None = None, guided: float = 0.0) -> Batch:
        """``count`` samples; of the share ``guided`` the surfaces lie over the network's own fill at half the size."""
        truths, masks = self.draw(count)
        guides = [0.0] * count
        if network is not None and (n := round(guided * count)):
            guides[:n] = coarse_fill(network, truths[:n], masks[:n])
        second, first = zip(*map(_surfaces_over, guides, truths, masks), strict=True)
        return Batch(_stack(truths), torch.from_numpy(np.stack(masks))[:, None], _stack(second), _stack(first))

    def draw(self, count: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
        """Pictures float32 [size, size, 3] in [0, 1] and masks float32 [size, size], 1 = valid."""
        return [self.picture() for _ in range(count)], [self._mask() for _ in range(count)]

    def picture(self) -> np.ndarray:
        """A cut, float32 [size, size, 3] in [0, 1]."""
        folder = self.folders[self.rng.choice(len(self.folders), p=self.shares)]
        picture = read_picture(folder[self.rng.integers(len(folder))])
        shorter = min(picture.shape[:2])
        least = max(self.size, round(shorter * (0.35 if shorter > LARGE else 0.75)))
        side = int(self.rng.integers(min(least, shorter), shorter, endpoint=True))
        top, left = self.rng.integers(np.array(picture.shape[:2]) - side, endpoint=True)
        cut = np.ascontiguousarray(picture[top : top + side, left : left + side])
        how = cv2.INTER_AREA if side > self.size else cv2.INTER_CUBIC
        cut = cut if side == self.size else cv2.resize(cut, (self.size, self.size), interpolation=how)
        return random_flip(cut, self.rng).astype(np.float32) / 255

    def _mask(self) -> np.ndarray:
        if self.rng.random() < self.wide_share:
            return generate_wide(self.rng, self.size, self.size)
        hole = np.unpackbits(self.holes[self.rng.integers(len(self.holes))], axis=1, count=self.size)
        return 1 - random_flip(np.rot90(hole, self.rng.integers(4)), self.rng).astype(np.float32)

    def _draw_hole(self, index: int) -> np.ndarray:
        if self.rng.random() < BOX_SHARE:
            return generate_box(self.rng, self.size, self.size) == 0
        bucket, border = self.buckets[index % len(self.buckets)], bool(self.rng.random() < 0.5)
        return generate_mask(self.rng, self.size, self.size, bucket, border) == 0


def split(files: list, held_out: int) -> list:
    """All but the last N files; with −N these alone. Files are sorted by name."""
    return files[:-held_out] if held_out > 0 else files[held_out:]


@torch.no_grad()
def batch_on_gpu(truth: torch.Tensor, mask: torch.Tensor, network: TwinUNet, guided: float) -> Batch:
    """As ``Samples.batch``, with surfaces in tensors. truth: [N, 3, H, W] float32; mask: [N, 1, H, W]."""
    guide = torch.zeros_like(truth)
    if n := round(guided * len(truth)):
        known, small = halve_tensors(truth[:n], mask[:n])
        second, first = (surface.clamp(0, 1) for surface in surfaces_of(known, small))
        with torch.autocast(truth.device.type, torch.bfloat16):
            output = network(known * small, small, second, first).float().clamp(0, 1)
        guide[:n] = enlarge(small * known + (1 - small) * output).clamp(0, 1)
    surfaces = [(guide + surface).clamp(0, 1) for surface in surfaces_of(truth - guide, mask)]
    arrays = (t.contiguous(memory_format=torch.channels_last) for t in (truth, *surfaces))
    truth, second, first = arrays
    return Batch(truth, mask, second, first)


def coarse_fill(network: TwinUNet, truths: list[np.ndarray], masks: list[np.ndarray]) -> list[np.ndarray]:
    """The network's fill at half the size, enlarged: a guide for the full size, float32 [H, W, 3] in [0, 1] each."""
    halves = [halve(truth * mask[..., None], mask) for truth, mask in zip(truths, masks, strict=True)]
    known, mask = _stack([k for k, _ in halves]), torch.from_numpy(np.stack([m for _, m in halves]))[:, None]
    second, first = (_stack(s) for s in zip(*(_surfaces_over(0.0, k, m) for k, m in halves), strict=True))
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        output = network(known * mask, mask, second, first).clamp(0, 1)
    filled = mask * known + (1 - mask) * output
    filled = F.interpolate(filled, scale_factor=2, mode="bicubic", align_corners=False).clamp(0, 1)
    return list(filled.permute(0, 2, 3, 1).contiguous().numpy())


def _surfaces_over(guide, picture, mask) -> list[np.ndarray]:
    """As ``models.unet.smooth_surfaces``."""
    return [np.clip(guide + surface, 0, 1) for surface in surfaces(picture - guide, mask)]


def _stack(pictures: Sequence[np.ndarray]) -> torch.Tensor:
    stacked = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2)
    return stacked.contiguous(memory_format=torch.channels_last)
