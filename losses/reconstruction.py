"""The terms of the loss that compare pixels: valid, hole and total variation.

Liu et al. 2018, arXiv:1804.07723, section 3.3. Each L1 is averaged over the whole picture (N = C·H·W, not the hole's
size), as its authors confirm, and over the batch. Pictures are [N, 3, H, W] in [0, 1], masks [N, 1, H, W] with 1 =
valid.
"""

import paddle
import paddle.nn.functional as F


def masked_l1(output: paddle.Tensor, gt: paddle.Tensor, where: paddle.Tensor) -> paddle.Tensor:
    """|where ⊙ (output − gt)|₁ / N: the mask gives L_valid, 1 − mask gives L_hole. Returns a scalar."""
    return ((output - gt).abs() * where.expand_as(gt)).mean()


def composite(output: paddle.Tensor, gt: paddle.Tensor, mask: paddle.Tensor) -> paddle.Tensor:
    """mask·gt + (1 − mask)·output: the truth where it is known, the network's painting in the hole."""
    mask = mask.expand_as(gt)
    return mask * gt + (1 - mask) * output


def total_variation(comp: paddle.Tensor, mask: paddle.Tensor) -> paddle.Tensor:
    """Sum of |differences| of neighbours, both inside the hole dilated by one pixel (3×3), over N. Returns a scalar."""
    region = F.max_pool2d(1 - mask, 3, stride=1, padding=1)
    across = (comp[:, :, :, 1:] - comp[:, :, :, :-1]).abs() * (region[:, :, :, 1:] * region[:, :, :, :-1])
    down = (comp[:, :, 1:] - comp[:, :, :-1]).abs() * (region[:, :, 1:] * region[:, :, :-1])
    return (across.sum() + down.sum()) / comp.size
