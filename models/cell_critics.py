"""The critic of ``--critic projected``: it judges each cell of a grid, and sees which share of it is hole.

It judges features of a frozen network at several sizes, a head for each (Sauer et al. 2021, arXiv:2111.01007, without
the random projections). Filters are divided by their spectral norm (Miyato et al. 2018, arXiv:1802.05957). It is not
part of the networks' papers.
"""

from collections.abc import Sequence

import paddle
import paddle.nn.functional as F
from paddle import nn
from paddle.utils import unique_name

from losses.hinge import share_of_hole

HEAD_CHANNELS = 40
FIRST_ITERATIONS = 15  # of the power method, when a layer is made


class ProjectedCritic(nn.Layer):
    """A head for each feature: 3×3; 4×4, stride 2; 3×3.

    Args:
        channels: of each feature.
    Shape:
        features: [N, C_i, h_i, w_i] each.   hole: [N, 1, H, W], 1 = hole.
        Returns logits [N, 1, h_i/2, w_i/2] of each head.
    """

    def __init__(self, channels: Sequence[int]):
        super().__init__()
        with unique_name.guard():  # the optimiser's state is keyed by automatic names
            self.heads = nn.LayerList([_head(count) for count in channels])
        self.model_name, self.model_options = "projected critic", {"channels": list(channels)}

    def forward(self, features: Sequence[paddle.Tensor], hole: paddle.Tensor):
        inputs = [paddle.concat([x, share_of_hole(hole, x).astype(x.dtype)], axis=1) for x in features]
        return [head(x) for head, x in zip(self.heads, inputs, strict=True)]


class SpectralConv2D(nn.Conv2D):
    """Convolution by a filter over its largest singular value, which is followed by the power method.

    The vectors ``u`` and ``v`` are part of the state: one iteration at each call in training.
    """

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        rows, columns = self.weight.shape[0], self.weight[0].size
        self.register_buffer("u", F.normalize(paddle.randn([rows]), axis=0))
        self.register_buffer("v", F.normalize(paddle.randn([columns]), axis=0))
        self._iterate(FIRST_ITERATIONS)

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        if self.training:
            self._iterate(1)
        matrix = self.weight.reshape([self.weight.shape[0], -1])
        norm = (self.u * paddle.matmul(matrix, self.v)).sum()
        return F.conv2d(x, self.weight / norm, self.bias, self._stride, self._padding)

    def _iterate(self, times: int) -> None:
        u, v = self.u, self.v
        with paddle.no_grad():
            matrix = self.weight.detach().reshape([self.weight.shape[0], -1])
            for _ in range(times):
                u = F.normalize(paddle.matmul(matrix, v), axis=0)
                v = F.normalize(paddle.matmul(matrix, u, transpose_x=True), axis=0)
        self._buffers |= {"u": u, "v": v}  # new tensors: a backward pass may still need the old ones


def _head(channels: int) -> nn.Layer:
    return nn.Sequential(
        SpectralConv2D(channels + 1, HEAD_CHANNELS, 3, padding=1),
        nn.LeakyReLU(0.2),
        SpectralConv2D(HEAD_CHANNELS, HEAD_CHANNELS, 4, stride=2, padding=1),
        nn.LeakyReLU(0.2),
        SpectralConv2D(HEAD_CHANNELS, 1, 3, padding=1),
    )
