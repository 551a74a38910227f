"""Batch normalisation folded into the filters, for inference.

In evaluation mode batch normalisation is y = s·x + t with constants per channel, s = γ/√(σ² + ε), t = β − s·μ. It
folds into a partial convolution exactly: the rescaling sum(1)/sum(M) stands between filter and normalisation and
commutes with s, so the filters take s, and t becomes the layer's bias, which is added after the rescaling. In holes t
would differ from the bias, which is 0 there, but every stage masks its feature after the activation.
"""

import paddle
from paddle import nn

NORMS = {"norm": "conv", "branch_norm": "branch"}  # attribute of a stage to the convolution before it


def fold_norms(model: nn.Layer) -> nn.Layer:
    """Fold each batch normalisation of a U-Net of ``models.unet`` into the convolution before it, in place.

    The result is for inference: its outputs are the same, its parameters are not those of its ``model_options``.
    Returns the model, in evaluation mode.
    """
    model.eval()
    for stage in [*model.encoder, *model.decoder]:
        for norm_name, conv_name in NORMS.items():
            norm = getattr(stage, norm_name, None)
            if isinstance(norm, nn.BatchNorm2D):
                _fold(getattr(stage, conv_name), norm)
                setattr(stage, norm_name, nn.Identity())
    return model


def _fold(conv: nn.Layer, norm: nn.BatchNorm2D) -> None:
    scale = norm.weight / paddle.sqrt(norm._variance + norm._epsilon)
    shift = norm.bias - scale * norm._mean
    if conv.bias is None:
        conv.bias = conv.create_parameter(norm.bias.shape, is_bias=True)
    conv.weight.set_value(conv.weight * scale.reshape([-1, 1, 1, 1]))
    conv.bias.set_value(conv.bias * scale + shift)
