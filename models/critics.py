"""The critics of DeepFillv1: one for the whole picture, one for a crop around the hole.

Yu et al. 2018, *Generative Image Inpainting with Contextual Attention*, arXiv:1801.07892, section 3.2. Four 5×5
convolutions of stride 2 with LeakyReLU 0.2, then one linear unit: a Wasserstein critic's score has no bounds, and
without normalisation each picture is scored by itself, as the gradient penalty asks for. At base width 64::

    global    64, 128, 256, 256      local    64, 128, 256, 512

The local critic's patch is a crop box with the hole in its middle (``crop_boxes``). For a box it has
the critic's fixed size, as in the paper. An irregular hole may be larger: the crop is then resized to that size.
"""

import numpy as np
import paddle
import paddle.nn.functional as F
from paddle import nn
from paddle.utils import unique_name

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
        x = 2 * picture - 1
        for conv in self.convs:
            x = F.leaky_relu(conv(x), 0.2)
        return self.linear(x.reshape([x.shape[0], -1]))  # not flatten, which has no second derivative


class Critics(nn.Layer):
    """Both critics, and what each of them sees.

    Args:
        size: side of the pictures.
        local_size: side of the local critic's patches; half of ``size``, as in the paper, when not given.
        base_channels: width of their first layers.
    Raises:
        ValueError: local_size is not 1 to size.
    Example:
        >>> critics = Critics(size=32, base_channels=4)
        >>> mask = paddle.ones([2, 1, 32, 32])
        >>> [list(view.shape) for view in critics.views(paddle.rand([2, 3, 32, 32]), crop_boxes(mask, 16)).values()]
        [[2, 3, 16, 16], [2, 3, 32, 32]]
    """

    def __init__(self, size: int = 256, local_size: int | None = None, base_channels: int = 64):
        super().__init__()
        self.size, self.local_size = size, size // 2 if local_size is None else local_size
        if not 1 <= self.local_size <= size:
            raise ValueError(f"local_size: expected 1 to the pictures' size of {size}, got {self.local_size}")
        # The optimiser's state is keyed by automatic names: a guard makes them the same whatever was built before.
        with unique_name.guard():
            self.local = Critic(self.local_size, tuple(base_channels * width for width in LOCAL_WIDTHS))
            self.whole = Critic(size, tuple(base_channels * width for width in GLOBAL_WIDTHS))
        # As ``models.build_model`` notes it: what a checkpoint that does not fit is told by.
        self.model_name = "critics"
        self.model_options = {"size": size, "local_size": self.local_size, "base_channels": base_channels}

    def by_name(self) -> dict[str, Critic]:
        return {"local": self.local, "global": self.whole}

    def views(self, picture: paddle.Tensor, boxes: paddle.Tensor, mode: str = "bilinear") -> dict[str, paddle.Tensor]:
        """What each critic sees of a batch of pictures, or with ``mode="nearest"`` of masks."""
        return {"local": crop_and_resize(picture, boxes, self.local_size, mode), "global": picture}


def crop_boxes(mask: paddle.Tensor, size: int) -> paddle.Tensor:
    """For each mask the smallest window that is ``size`` or more a side and has the hole's bounding box in its middle.

    Near the border it moves inward. Of a mask without a hole, the window in the middle.

    Shape:
        mask: [N, 1, H, W], {0, 1}, 1 = valid; H and W at least ``size``.
        Returns [N, 4] int32: top, left, height, width.
    Example:
        >>> mask = paddle.ones([1, 1, 16, 16])
        >>> mask[:, :, 2:4, 5:15] = 0
        >>> crop_boxes(mask, 8).tolist()
        [[0, 5, 8, 10]]
    """
    boxes = []
    for hole in mask[:, 0].numpy() < 0.5:
        (top, height), (left, width) = _span(hole.any(axis=1), size), _span(hole.any(axis=0), size)
        boxes.append([top, left, height, width])
    return paddle.to_tensor(boxes, "int32")


def crop_and_resize(picture: paddle.Tensor, boxes: paddle.Tensor, size: int, mode: str = "bilinear") -> paddle.Tensor:
    """Each picture's crop box, resized to ``size`` × ``size`` where it is larger; differentiable.

    Done by two matrix products, whose matrices hold the weights of "bilinear" or "nearest" interpolation: a window of
    the right size comes out as it is.

    Shape:
        picture: [N, C, H, W].   boxes: as from ``crop_boxes``. Returns [N, C, size, size].
    """
    top, left, height, width = (boxes[:, i : i + 1] for i in range(4))
    rows, columns = (
        _resampling(start, length, side, size, mode).astype(picture.dtype).unsqueeze(1)
        for start, length, side in ((top, height, picture.shape[2]), (left, width, picture.shape[3]))
    )
    return paddle.matmul(paddle.matmul(rows, picture), columns, transpose_y=True)


def _span(occupied: np.ndarray, size: int) -> tuple[int, int]:
    """First row and number of rows of a window, from which rows have hole, [H] of bool."""
    rows = np.flatnonzero(occupied)
    first, end = (rows[0], rows[-1] + 1) if rows.size else (0, len(occupied))
    length = max(size, end - first) if rows.size else size
    return int(np.clip((first + end - length) // 2, 0, len(occupied) - length)), int(length)


def _resampling(start: paddle.Tensor, length: paddle.Tensor, side: int, size: int, mode: str) -> paddle.Tensor:
    """What each of ``size`` rows takes of a picture's ``side`` rows, for boxes from ``start`` on: [N, size, side]."""
    rows = paddle.arange(size, dtype="int32").unsqueeze(0)
    given = paddle.arange(side, dtype="int32").reshape([1, 1, -1])
    if mode == "nearest":
        return (given == (start + rows * length // size).unsqueeze(2)).astype("float32")
    within = (rows.astype("float32") + 0.5) * (length.astype("float32") / size) - 0.5
    within = paddle.minimum(within.clip(min=0.0), length.astype("float32") - 1)
    distance = (start.astype("float32") + within).unsqueeze(2) - given.astype("float32")
    return F.relu(1 - distance.abs())
