"""A network prepared for inference: constants are computed once.

Batch normalisation in evaluation mode is y = s·x + t with constants per channel, s = γ/√(σ² + ε), t = β − s·μ. It
folds into a partial convolution exactly: the rescaling sum(1)/sum(M) stands between filter and normalisation and
commutes with s, so the filters take s, and t becomes the layer's bias, which is added after the rescaling and only
where the updated mask is 1. The feature is then masked after its activation already (0 stays 0), and the stages of
``models.unet`` skip their last multiplication.

The decoder's two filters are stored as they are used: the transposed one over the low-resolution feature, and the
skip's.

``deepfill_v1`` has no normalisation, and upsampling filters to be kept. The ordinary ``conv_unet`` is left alone:
Paddle Inference folds its normalisation by itself.
"""

import paddle
import paddle.nn.functional as F
from paddle import nn

from .deepfill import UpConv
from .partial_conv import PartialUpConv2D
from .unet import PartialResidualDown, PartialStage, PartialUp


def fold_for_inference(model: nn.Layer) -> nn.Layer:
    """Replace layers by ones whose constants are folded.

    Args:
        model: made by ``models.build_model``; changed in place; it cannot be trained or saved any more.
    Returns the model, in evaluation mode; its outputs are the same.
    """
    model.eval()
    for layers in model.children():
        for i, layer in enumerate(layers if isinstance(layers, (nn.LayerList, nn.Sequential)) else ()):
            if isinstance(layer, PartialStage):
                layers[i] = _fold_stage(layer)
            elif isinstance(layer, UpConv):
                layers[i] = FixedUpConv(layer)
    model.eval()
    return model


def _fold_stage(stage: PartialStage) -> PartialStage:
    stage.conv, stage.norm = _fold_norm(stage.conv, stage.norm)
    if isinstance(stage, PartialResidualDown):
        stage.branch, stage.branch_norm = _fold_norm(stage.branch, stage.branch_norm)
    if isinstance(stage, PartialUp):
        stage.conv = FixedPartialUpConv2D(stage.conv)
    stage.is_folded = True
    return stage


class FixedUpConv(nn.Layer):
    """An ``UpConv`` with a stored filter."""

    def __init__(self, layer: UpConv):
        super().__init__()
        self.filter, self.bias, self.activation = _fixed(self, layer.filter()), layer.bias, layer.activation

    def forward(self, x):
        return self.activation(F.conv2d_transpose(x, self.filter, self.bias, stride=2, padding=1))


class FixedPartialUpConv2D(PartialUpConv2D):
    """A ``PartialUpConv2D`` with stored filters."""

    def __init__(self, layer: PartialUpConv2D):
        super().__init__(layer.up_channels, layer.skip_channels, layer.weight.shape[0])
        self.up_filter, self.skip_filter = (_fixed(self, f) for f in layer.filters())
        self.bias, self.weight, self.taps = layer.bias, None, None

    def filters(self):
        return self.up_filter, self.skip_filter


def _fixed(layer: nn.Layer, value: paddle.Tensor) -> paddle.Tensor:
    """A parameter of the layer with that value."""
    return layer.create_parameter(value.shape, default_initializer=nn.initializer.Assign(value))


def _fold_norm(conv: nn.Layer, norm: nn.Layer | None) -> tuple[nn.Layer, nn.Layer | None]:
    """The normalisation's scale into the filters of a partial convolution, its shift into the bias."""
    if not isinstance(norm, nn.BatchNorm2D):
        return conv, norm
    scale = norm.weight / paddle.sqrt(norm._variance + norm._epsilon)
    shift = norm.bias - scale * norm._mean
    if conv.bias is None:
        conv.bias = conv.create_parameter(norm.bias.shape, is_bias=True)
    conv.weight.set_value(conv.weight * scale.reshape([-1, 1, 1, 1]))
    conv.bias.set_value(conv.bias * scale + shift)
    return conv, nn.Identity()
