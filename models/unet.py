"""The inpainting U-Nets: of partial convolutions, with residuals too, and of ordinary ones (the baseline).

Liu et al. 2018, arXiv:1804.07723, Table 2. The encoder halves the size ``depth`` times (7×7, 5×5, 5×5, then 3×3
kernels; batch normalisation on all but the first; ReLU); the decoder doubles it as often, each time joining the
encoder's feature of that size (3×3 kernels; batch normalisation and LeakyReLU 0.2), the last time joining the picture
itself; the last layer is linear.

All three networks share one skeleton over two kinds of layers: ``down(x, mask)`` and ``up(x, mask, skip, skip_mask)``,
each returning a feature and its mask. A layer masks its output once, for all layers that read it. Ordinary layers
return no mask.
"""

import numpy as np
import paddle
import paddle.nn.functional as F
from paddle import nn

from .partial_conv import PartialConv2D, PartialUpConv2D, _spatial_size, apply_mask
from .smooth_prior import smooth_prior

OUTPUTS = ("linear", "tanh")
PRIORS = ("none", "smooth")
NORMALISATIONS = ("batch", "none")
PICTURE_RANGES = {  # mean and std of each channel, by which pictures are normalised inside
    "unit": ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
    "signed": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
}
PRIOR_STEPS = {2: 30, 1: 20}  # steps of descent by order of the surface; weights are trained with these
PRIOR_CHANNELS = 10  # picture, surfaces of both orders, mask
NORMS = (nn.BatchNorm2D, nn.SyncBatchNorm)
HOLE_GREY = 127.5 / 255  # the value in holes for the paper's baseline of ordinary convolutions


class UNet(nn.Layer):
    """Encoder and decoder with skip connections; the base of every network here.

    Args:
        base_channels: width of the first encoder stage; stage i has min(2^i, 8) times as many channels.
        depth: number of levels, each half the size: 7 for 256×256 (default), 8 for the paper's 512×512.
        output: "linear" as in the paper, or "tanh", which bounds the output to [0, 1] as (tanh + 1) / 2.
        prior: "none" as in the paper, or "smooth" (this project's own): the first layer sees the smooth prior
            (surfaces through the known pixels) and the mask beside the picture, and in the hole the network's output
            is added to the surface of order 2. The last layer starts at zero, so training starts from that surface.
        norm: "batch" as in the paper, or "none": a bias in each layer instead of batch normalisation.
        picture_range: range of pictures inside the network, [0, 1] outside: "unit", the same;
            "signed", [-1, 1]; "imagenet", normalised by ImageNet's mean and std. Weights of other projects expect it.
    Shape:
        image: [N, 3, H, W] in [0, 1], RGB; its values in holes do not matter.   mask: [N, 1, H, W], {0, 1}, 1 = valid.
        guide: [N, 3, H, W] in [0, 1], for a network with a prior: a coarse prediction of the picture (the fill of a
            coarser level, enlarged) that the surfaces correct; 0 when not given.
        Any H and W: the picture is padded with hole to a multiple of 2^depth, the output cropped back.
        Returns [N, 3, H, W] in [0, 1] scale, not clipped.
    Raises:
        ValueError: an option is out of its range, or the inputs' shapes do not fit.
    """

    down: type[nn.Layer]  # encoder stage: (index from the picture's size down, channels in, out, has_norm)
    up: type[nn.Layer]  # decoder stage: (index of the encoder stage beside it, channels in, of the skip, out, has_norm)
    picture_channels = 3
    carries_mask = True

    def __init__(
        self,
        base_channels: int = 64,
        depth: int = 7,
        output: str = "linear",
        prior: str = "none",
        norm: str = "batch",
        picture_range: str = "unit",
    ):
        super().__init__()
        _check_options(base_channels, depth, output, prior, norm, picture_range)
        self.depth, self.output, self.picture_range = depth, output, picture_range
        if picture_range != "unit":
            for name, numbers in zip(("mean", "std"), PICTURE_RANGES[picture_range], strict=True):
                numbers = np.array(numbers, "float32").reshape([1, 3, 1, 1])
                self.register_buffer(name, paddle.to_tensor(numbers), persistable=False)
        self.has_prior, self.has_norm = prior == "smooth", norm == "batch"
        self.norm_is_frozen = False
        first = PRIOR_CHANNELS if self.has_prior else self.picture_channels
        widths = [first, *(base_channels * min(2**i, 8) for i in range(depth))]
        self.encoder = nn.LayerList([self.down(i, widths[i], widths[i + 1], self.has_norm) for i in range(depth)])
        self.decoder = nn.LayerList(
            self.up(i, widths[i + 1], widths[i], 3 if i == 0 else widths[i], self.has_norm)
            for i in reversed(range(depth))
        )
        if self.has_prior:
            nn.initializer.Constant(0.0)(self.decoder[-1].conv.weight)

    def prepare(self, image: paddle.Tensor, mask: paddle.Tensor) -> paddle.Tensor:
        """The network's first feature: the picture with its holes set to 0, also where they hold NaN."""
        if self.picture_range != "unit":
            image = (image - self.mean) / self.std
        return paddle.where(mask.tile([1, 3, 1, 1]) > 0, image, paddle.zeros_like(image))

    def forward(self, image: paddle.Tensor, mask: paddle.Tensor, guide: paddle.Tensor | None = None) -> paddle.Tensor:
        _check_inputs(image, mask)
        if guide is not None and not self.has_prior:
            raise ValueError("guide: expected none, since this network has no prior; build it with prior='smooth'")
        return self.paint(image, mask, smooth_surfaces(image, mask, guide) if self.has_prior else None)

    def paint(self, image: paddle.Tensor, mask: paddle.Tensor, surfaces: paddle.Tensor | None) -> paddle.Tensor:
        """``forward`` with given surfaces, those of ``smooth_surfaces``; None without a prior."""
        h, w = _spatial_size(image)
        x, x_mask = self._first_feature(image, mask, surfaces)
        skips = []
        for down in self.encoder:
            skips.append((x, x_mask))
            x, x_mask = down(x, x_mask)
        for up in self.decoder:
            x, x_mask = up(x, x_mask, *skips.pop())
        if self.output == "tanh":
            x = (paddle.tanh(x) + 1) / 2
        elif self.picture_range != "unit":
            x = x * self.std + self.mean
        x = x[:, :, :h, :w]
        return x if surfaces is None else surfaces[:, :3] + x * (1 - mask).tile([1, 3, 1, 1])

    def _first_feature(
        self, image: paddle.Tensor, mask: paddle.Tensor, surfaces: paddle.Tensor | None
    ) -> tuple[paddle.Tensor, paddle.Tensor]:
        """The encoder's input and its mask, padded with hole; with surfaces, a mask for each channel."""
        padded = [_pad_to_multiple(t, 2**self.depth) for t in (image, mask)]
        if surfaces is None:
            return self.prepare(*padded), padded[1]
        surfaces = _pad_to_multiple(surfaces, 2**self.depth)
        x = paddle.concat([self.prepare(*padded), surfaces, padded[1].astype(surfaces.dtype)], axis=1)
        return x, self._first_mask(mask)

    def _first_mask(self, mask: paddle.Tensor) -> paddle.Tensor:
        """Of the first feature, padded: surfaces and mask are known all over the picture."""
        padded = _pad_to_multiple(mask, 2**self.depth)
        if not self.has_prior:
            return padded
        inside = _pad_to_multiple(paddle.ones_like(mask), 2**self.depth)
        return paddle.concat([padded.tile([1, 3, 1, 1]), inside.tile([1, PRIOR_CHANNELS - 3, 1, 1])], axis=1)

    def mask_coverage(self, mask: paddle.Tensor) -> list[float]:
        """The valid share of the mask after each encoder stage, 0 to 1; empty for a network that carries no mask."""
        return [float(m.mean()) for m in self._encoder_masks(mask)[1:]] if self.carries_mask else []

    def reached(self, mask: paddle.Tensor) -> paddle.Tensor:
        """Where the output depends on known pixels: the mask of the last layer, [N, 1, H, W] {0, 1}, as the given one.

        Elsewhere that layer gives 0. All ones for a network that carries no mask, or that has a prior.
        """
        if not self.carries_mask:
            return paddle.ones_like(mask)
        *skips, deepest = self._encoder_masks(mask)
        if bool(deepest.all()):  # what closes here is closed in all that follows
            return paddle.ones_like(mask)
        for up in self.decoder:
            deepest = up.updated_mask(deepest, skips.pop())
        h, w = _spatial_size(mask)
        return deepest[:, :, :h, :w]

    def _encoder_masks(self, mask: paddle.Tensor) -> list[paddle.Tensor]:
        """The mask of the first feature, then that after each stage."""
        masks = [self._first_mask(mask)]
        for down in self.encoder:
            masks.append(down.updated_mask(masks[-1]))
        return masks

    def running_statistics(self) -> list[str]:
        """Names, in ``state_dict``, of batch normalisation's running means and variances."""
        norms = [name for name, layer in self.named_sublayers() if isinstance(layer, NORMS)]
        return [f"{name}.{statistic}" for name in norms for statistic in ("_mean", "_variance")]

    def freeze_encoder_norm(self) -> None:
        """Fix running statistics and affine of the encoder's batch normalisation, for fine-tuning.

        Hole pixels disturb the statistics (paper, section 3.3). Later calls of ``train()`` do not change that.
        """
        self.norm_is_frozen = True
        for norm in self._encoder_norms():
            norm.eval()
            for parameter in norm.parameters():
                parameter.stop_gradient = True

    def train(self):
        super().train()
        if self.norm_is_frozen:
            for norm in self._encoder_norms():
                norm.eval()

    def _encoder_norms(self) -> list[nn.Layer]:
        return [layer for layer in self.encoder.sublayers() if isinstance(layer, NORMS)]


class PartialStage(nn.Layer):
    """A stage that masks its output, unless it is folded: a partial convolution's own output is masked already."""

    is_folded = False

    def masked(self, x, mask):
        return (x if self.is_folded else apply_mask(x, mask)), mask


class PartialDown(PartialStage):
    """Strided partial convolution, batch normalisation except in the first stage, ReLU."""

    def __init__(self, index: int, in_channels: int, out_channels: int, has_norm: bool):
        super().__init__()
        self.conv, self.norm = conv_and_norm(PartialConv2D, index, in_channels, out_channels, has_norm)

    def forward(self, x, mask):
        x, mask = self.conv.forward_premasked(x, mask)
        return self.masked(F.relu(self.norm(x)), mask)

    def updated_mask(self, mask):
        return self.conv.updated_mask(mask)


class PartialResidualDown(PartialDown):
    """A ``PartialDown``, then ReLU(x + BN(PConv(x))) at its size, so that the stage's own result is kept."""

    def __init__(self, index: int, in_channels: int, out_channels: int, has_norm: bool):
        super().__init__(index, in_channels, out_channels, has_norm)
        self.branch = PartialConv2D(out_channels, out_channels, 3, padding=1, bias_attr=False if has_norm else None)
        self.branch_norm = nn.BatchNorm2D(out_channels) if has_norm else nn.Identity()

    def forward(self, x, mask):
        x, mask = super().forward(x, mask)
        branch, mask = self.branch.forward_premasked(x, mask)
        return self.masked(F.relu(x + self.branch_norm(branch)), mask)

    def updated_mask(self, mask):
        return self.branch.updated_mask(super().updated_mask(mask))


class PartialUp(PartialStage):
    """×2, join the skip, 3×3 partial convolution, batch normalisation, LeakyReLU 0.2; the last: convolution alone."""

    def __init__(self, index: int, up_channels: int, skip_channels: int, out_channels: int, has_norm: bool):
        super().__init__()
        bias = False if index and has_norm else None
        self.conv = PartialUpConv2D(up_channels, skip_channels, out_channels, bias_attr=bias)
        self.norm = _up_norm(index, out_channels, has_norm)

    def forward(self, x, mask, skip, skip_mask):
        x, mask = self.conv.forward_premasked(x, mask, skip, skip_mask)
        return (x, mask) if self.norm is None else self.masked(leaky_relu(self.norm(x)), mask)

    def updated_mask(self, mask, skip_mask):
        return self.conv.updated_mask(mask, skip_mask)


class ConvDown(nn.Layer):
    """``PartialDown`` with an ordinary convolution; the mask stops here."""

    def __init__(self, index: int, in_channels: int, out_channels: int, has_norm: bool):
        super().__init__()
        self.conv, self.norm = conv_and_norm(nn.Conv2D, index, in_channels, out_channels, has_norm)

    def forward(self, x, mask):
        return F.relu(self.norm(self.conv(x))), None


class ConvUp(nn.Layer):
    """``PartialUp`` with an ordinary convolution over the upsampled and concatenated features."""

    def __init__(self, index: int, up_channels: int, skip_channels: int, out_channels: int, has_norm: bool):
        super().__init__()
        self.conv = nn.Conv2D(
            up_channels + skip_channels,
            out_channels,
            3,
            padding=1,
            weight_attr=nn.initializer.KaimingNormal(),
            bias_attr=False if index and has_norm else None,
        )
        self.norm = _up_norm(index, out_channels, has_norm)

    def forward(self, x, mask, skip, skip_mask):
        x = self.conv(paddle.concat([_upsample(x), skip], axis=1))
        return (x if self.norm is None else leaky_relu(self.norm(x))), None


class PConvUNet(UNet):
    """``pconv_unet``: the paper's network."""

    down, up = PartialDown, PartialUp


class PConvResidualUNet(PConvUNet):
    """``pconv_residual_unet``: each encoder stage ends in a partial convolution as a residual branch."""

    down = PartialResidualDown


class ConvUNet(UNet):
    """``conv_unet``: the same network with ordinary convolutions, holes set to mid-grey (the paper's Conv row).

    Args:
        mask_channel: give the mask to the network as a fourth input channel; off in the paper.
    """

    down, up = ConvDown, ConvUp
    carries_mask = False

    def __init__(
        self,
        base_channels: int = 64,
        depth: int = 7,
        output: str = "linear",
        prior: str = "none",
        norm: str = "batch",
        mask_channel: bool = False,
    ):
        if mask_channel and prior != "none":
            raise ValueError(f"mask_channel: expected off with prior {prior!r}, which brings the mask along, got on")
        self.picture_channels = 4 if mask_channel else 3
        super().__init__(base_channels, depth, output, prior, norm)

    def prepare(self, image, mask):
        filled = paddle.where(mask.tile([1, 3, 1, 1]) > 0, image, paddle.full_like(image, HOLE_GREY))
        return filled if self.picture_channels == 3 else paddle.concat([filled, mask.astype(image.dtype)], axis=1)


def smooth_surfaces(image: paddle.Tensor, mask: paddle.Tensor, guide: paddle.Tensor | None) -> paddle.Tensor:
    """The smooth prior: the picture with its holes filled by surfaces of order 2 and then of order 1: [N, 6, H, W].

    With a guide, the guide's error at the known pixels is continued smoothly into the hole and subtracted, so that the
    guide joins the picture without an edge. A guide of 0 changes nothing.

    Shape:
        image, guide: [N, 3, H, W] in [0, 1].   mask: [N, 1, H, W].   Returns values in [0, 1].
    """
    guide = paddle.zeros_like(image) if guide is None else guide
    orders = (smooth_prior(image - guide, mask, order, steps) for order, steps in PRIOR_STEPS.items())
    return paddle.concat([(guide + surface).clip(0, 1) for surface in orders], axis=1)


def conv_and_norm(
    conv: type, index: int, in_channels: int, out_channels: int, has_norm: bool = True
) -> tuple[nn.Layer, nn.Layer]:
    """Stage ``index``'s strided convolution and its normalisation, or a bias where there is none."""
    has_norm = has_norm and index > 0
    kernel = {0: 7, 1: 5, 2: 5}.get(index, 3)
    layer = conv(
        in_channels,
        out_channels,
        kernel,
        stride=2,
        padding=kernel // 2,
        weight_attr=nn.initializer.KaimingNormal(),
        bias_attr=False if has_norm else None,
    )
    return layer, nn.BatchNorm2D(out_channels) if has_norm else nn.Identity()


def _up_norm(index: int, channels: int, has_norm: bool) -> nn.Layer | None:
    """Of decoder stage ``index``; the last has none, and no activation either."""
    if index == 0:
        return None
    return nn.BatchNorm2D(channels) if has_norm else nn.Identity()


def _upsample(x: paddle.Tensor) -> paddle.Tensor:
    """Nearest ×2. Its own operator only while training: neither oneDNN nor paddle2onnx takes that."""
    if paddle.in_dynamic_mode():
        return F.interpolate(x, scale_factor=2, mode="nearest")
    return F.pixel_shuffle(paddle.stack([x] * 4, axis=2).flatten(1, 2), 2)


def leaky_relu(x: paddle.Tensor) -> paddle.Tensor:
    """The decoder's activation, slope 0.2."""
    # Two ReLUs in an exported graph: oneDNN and paddle2onnx misread the slope of Paddle 3.3's leaky_relu.
    return F.leaky_relu(x, 0.2) if paddle.in_dynamic_mode() else F.relu(x) - F.relu(-0.2 * x)


def _pad_to_multiple(x: paddle.Tensor, multiple: int) -> paddle.Tensor:
    """Zeros below and to the right until both sides are multiples; in a mask zero is hole."""
    height, width = _spatial_size(x)
    below, right = -height % multiple, -width % multiple
    if paddle.in_dynamic_mode():
        return F.pad(x, [0, right, 0, below]) if below or right else x
    # An exported graph pads by the most there can be, then crops: paddle2onnx misreads the value that F.pad pads with.
    x = paddle.concat([x, paddle.zeros_like(x[:, :, :1]).tile([1, 1, multiple - 1, 1])], axis=2)
    x = paddle.concat([x, paddle.zeros_like(x[..., :1]).tile([1, 1, 1, multiple - 1])], axis=3)
    return x[:, :, : height + below, : width + right]


def _check_options(base_channels: int, depth: int, output: str, prior: str, norm: str, picture_range: str) -> None:
    if base_channels < 1:
        raise ValueError(f"base_channels: expected 1 or more, got {base_channels}")
    if not 1 <= depth <= 10:
        raise ValueError(f"depth: expected 1 to 10, got {depth}")
    for name, value, known in (
        ("output", output, OUTPUTS),
        ("prior", prior, PRIORS),
        ("norm", norm, NORMALISATIONS),
        ("picture_range", picture_range, PICTURE_RANGES),
    ):
        if value not in known:
            raise ValueError(f"{name}: expected one of {', '.join(known)}, got {value!r}")
    if prior != "none" and output != "linear":
        raise ValueError(f"output: expected linear with prior {prior!r}, to which it is added, got {output!r}")
    if prior != "none" and picture_range != "unit":
        raise ValueError(f"picture_range: expected unit with prior {prior!r}, got {picture_range!r}")


def _check_inputs(image: paddle.Tensor, mask: paddle.Tensor) -> None:
    if len(image.shape) != 4 or image.shape[1] != 3:
        raise ValueError(f"image: expected [N, 3, H, W], got {list(image.shape)}")
    n, _, h, w = image.shape
    if list(mask.shape) != [n, 1, h, w]:
        raise ValueError(f"mask: expected {[n, 1, h, w]} to go with the image, got {list(mask.shape)}")
