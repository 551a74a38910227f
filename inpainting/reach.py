"""How far into a hole a network of partial convolutions can paint.

Each layer closes a hole by the width of its filter. Of one far wider than the deepest feature's pixels the middle stays
hole to the last, and there the network puts out nothing, which is black. What stays is a matter of the masks alone,
which the network's own layers update; neither its weights nor the picture's colours take part.
"""

import numpy as np
import paddle
from paddle import nn

from inpainting.exported import StaticModel
from models import MODELS, build_model
from models.unet import UNet


def mask_network(model: nn.Layer | StaticModel) -> UNet | None:
    """A network whose masks are updated as ``model``'s are: itself, or of an exported one a twin of one channel.

    None where no mask is carried, as in ``conv_unet`` and ``deepfill_v1``: their output has no such limit.
    """
    kind = MODELS.get(getattr(model, "model_name", None), nn.Layer)
    if not (issubclass(kind, UNet) and kind.carries_mask):
        return None
    if isinstance(model, StaticModel):
        return build_model(model.model_name, **{**model.model_options, "base_channels": 1})
    return model


def reached(network: UNet | None, mask: np.ndarray) -> np.ndarray:
    """Where a network paints: bool [H, W] for a mask [H, W], 1 = valid; everywhere for None."""
    if network is None:
        return np.ones(mask.shape, bool)
    with paddle.no_grad():
        return network.reached(paddle.to_tensor(mask.astype("float32")[None, None])).numpy()[0, 0] > 0
