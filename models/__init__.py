"""Layers and networks of inpainting; they know nothing of files, options or logging.

``build_model(name, **options)`` makes a network of ``MODELS`` by name and records on it what it was made of
(``model_name``, ``model_options``), which is what a checkpoint needs to make it again.
"""

import inspect
import zlib  # noqa: F401  Paddle 2.6 brings a zlib of its own, which crashes Python's unless that was loaded before

import paddle
from paddle import nn
from paddle.utils import unique_name

from .deepfill import FORMER_NAMES, DeepFillV1
from .partial_conv import PartialConv2D, PartialUpConv2D
from .unet import ConvUNet, PConvResidualUNet, PConvUNet

MODELS: dict[str, type[nn.Layer]] = {
    "pconv_unet": PConvUNet,
    "conv_unet": ConvUNet,
    "pconv_residual_unet": PConvResidualUNet,
    "deepfill_v1": DeepFillV1,
}

__all__ = ["MODELS", "PartialConv2D", "PartialUpConv2D", "build_model", "model_shapes", "present_name"]


def build_model(name: str, **options) -> nn.Layer:
    """Make the network ``name`` with its options (``base_channels``, ``depth``, ``output`` ...; see its class).

    Returns a layer called as ``output = model(image, mask)``, with ``model_name`` and ``model_options`` (defaults
    filled in) set.
    Raises:
        ValueError: an unknown name or option, with the known ones listed; or an option of another type or out of its
            range.
    Example:
        >>> build_model("deepfill_v1", base_channels=8).model_options
        {'base_channels': 8, 'attention': None}
    """
    if name not in MODELS:
        raise ValueError(f"model: expected one of {', '.join(MODELS)}, got {name!r}")
    signature = inspect.signature(MODELS[name].__init__)
    known = {key: p.default for key, p in signature.parameters.items() if key != "self"}
    if unknown := sorted(set(options) - set(known)):
        raise ValueError(f"model {name}: expected options among {', '.join(known)}, got {', '.join(unknown)}")
    for key, value in options.items():
        if known[key] is not None and type(value) is not type(known[key]):
            raise ValueError(f"{key}: expected {type(known[key]).__name__}, as {known[key]!r} is, got {value!r}")
    # The optimiser's state is keyed by automatic names: a guard makes them the same whatever was built before.
    with unique_name.guard():
        model = MODELS[name](**options)
    model.model_name, model.model_options = name, {**known, **options}
    return model


def present_name(name: str) -> str:
    """An array's name today, for one in a weights file of any version.

    Example:
        >>> present_name("joining.0.weight"), present_name("encoder.0.conv.weight")
        ('fusion.0.weight', 'encoder.0.conv.weight')
    """
    part, dot, rest = name.partition(".")
    return FORMER_NAMES.get(part, part) + dot + rest


def model_shapes(name: str, **options) -> dict[str, list[int]]:
    """The shape of each array of the network that ``build_model`` would make, by name, without the memory or the time.

    Raises:
        ValueError: as ``build_model``.
    Example:
        >>> model_shapes("pconv_unet", base_channels=20_000)["encoder.0.conv.weight"]
        [20000, 3, 7, 7]
    """
    with paddle.LazyGuard():
        return {key: list(t.shape) for key, t in build_model(name, **options).state_dict().items()}
