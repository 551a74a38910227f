"""The critics of DeepFillv1: one judges the whole picture, one a patch around the hole.

Yu et al. 2018, *Generative Image Inpainting with Contextual Attention*, arXiv:1801.07892, section 3.2. Four 5×5
convolutions of stride 2 with LeakyReLU 0.2, then one linear unit: a Wasserstein critic's score has no bounds, and
without normalisation each picture is scored by itself, as the gradient penalty asks for. At base width 64::

    global    64, 128, 256, 256      local    64, 128, 256, 512
"""

import paddle
import paddle.nn.functional as F
from paddle import nn

GLOBAL_WIDTHS = (1, 2, 4, 4)
LOCAL_WIDTHS = (1, 2, 4, 8)


class Critic(nn.Layer):
    """Scores of pictures of one size: high for real ones, low for painted ones.

    Every operator has a second derivative in Paddle, which the gradient penalty needs.

    Args:
        size: height and width of the pictures, or one number for both.
        channels: width of each layer.
    Shape:
        picture: [N, 3, H, W] in [0, 1], RGB, of that size. Returns [N, 1], unbounded.
    Raises:
        ValueError: a picture of another size.
    Example:
        >>> list(Critic(size=(32, 48), channels=(8, 16))(paddle.rand([2, 3, 32, 48])).shape)
        [2, 1]
    """

    def __init__(self, size: int | tuple[int, int], channels: tuple[int, ...]):
        super().__init__()
        self.size = [size, size] if isinstance(size, int) else list(size)
        attributes = {"weight_attr": nn.initializer.XavierUniform()}
        self.convs = nn.LayerList(
            nn.Conv2D(c_in, c_out, 5, stride=2, padding=2, **attributes)
            for c_in, c_out in zip((3, *channels), channels, strict=False)
        )
        h, w = (-(-side // 2 ** len(channels)) for side in self.size)
        self.linear = nn.Linear(channels[-1] * h * w, 1, **attributes)

    def forward(self, picture: paddle.Tensor) -> paddle.Tensor:
        if list(picture.shape[1:]) != [3, *self.size]:
            raise ValueError(f"picture: expected [N, 3, {self.size[0]}, {self.size[1]}], got {list(picture.shape)}")
        x = 2 * picture - 1
        for conv in self.convs:
            x = F.leaky_relu(conv(x), 0.2)
        return self.linear(x.reshape([x.shape[0], -1]))  # not flatten, which has no second derivative


def global_critic(size: int | tuple[int, int] = 256, base_channels: int = 64) -> Critic:
    """The critic of whole pictures."""
    return _critic(size, base_channels, GLOBAL_WIDTHS)


def local_critic(size: int | tuple[int, int] = 128, base_channels: int = 64) -> Critic:
    """The critic of patches around the hole."""
    return _critic(size, base_channels, LOCAL_WIDTHS)


def _critic(size: int | tuple[int, int], base_channels: int, widths: tuple[int, ...]) -> Critic:
    if base_channels < 1:
        raise ValueError(f"base_channels: expected 1 or more, got {base_channels}")
    return Critic(size, tuple(base_channels * width for width in widths))
