"""Weights of other projects' networks, converted for the networks of this project.

Every layout here computes the same as ``pconv_unet`` or ``deepfill_v1`` after changes that are exact for a network in
evaluation mode (docs/ports.md has a line for each):

* W·(X⊙M)/sum(M) + b is W/n · (X⊙M)·n/sum(M) + b for windows of n numbers: filters of ports with the first text's
  convention are divided by n = k²·C.
* A bias before batch normalisation is subtracted from its running mean.
* Filters for pictures in blue, green, red have their channels reversed, at both ends of the network.
* Pictures in another range than [0, 1] become the network's option ``picture_range``.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from models import model_shapes
from models.contextual_attention import PYTORCH_PORT
from utils.errors import InputError, one_line

Arrays = Mapping[str, np.ndarray]

WRAPPERS = ("state_dict", "model", "generator", "netG", "net", "params")  # keys of checkpoints, under which weights are
NORM = {"weight": "weight", "bias": "bias", "_mean": "running_mean", "_variance": "running_var"}  # ours, theirs


class Layout(NamedTuple):
    """A U-Net's names and conventions.

    encoder, decoder: of a stage; {} is its number, from 1 at full resolution.   weight, bias, norm: within a stage.
    ones: endings of filters that only count valid pixels.   by_sum: divides by sum(M) alone.
    picture_range: of ``pconv_unet``; None if the names do not show it.   bgr: pictures in blue, green, red.
    """

    title: str
    encoder: str = "enc_{}"
    decoder: str = "dec_{}"
    weight: str = "conv.weight"
    bias: str = "conv.bias"
    norm: str = "bn"
    ones: str = "none"
    by_sum: bool = False
    picture_range: str | None = None
    bgr: bool = False


class Port(NamedTuple):
    """A converted network: name, options and arrays here, and the title of its layout."""

    model: str
    options: dict
    arrays: dict[str, np.ndarray]
    title: str


LAYOUTS = (
    Layout(
        "PConvUNet of naoto0804's port (enc_1.conv.input_conv.weight)",
        weight="conv.input_conv.weight",
        bias="conv.input_conv.bias",
        ones="mask_conv.weight",
        by_sum=True,
        picture_range="imagenet",
    ),
    Layout(
        "PConvUNet of naoto0804's port, an earlier one (enc_1.conv.conv2d.weight)",
        weight="conv.conv2d.weight",
        bias="conv.conv2d.bias",
        ones="mask2d.weight",
        by_sum=True,
        picture_range="imagenet",
    ),
    Layout(
        "Generator of xyfJASON's port (encoder1.conv.weight)",
        encoder="encoder{}",
        decoder="decoder{}.partial_conv",
        bias="bias",
        norm="norm",
        ones="mask_conv_weight",
        picture_range="signed",
    ),
    Layout(
        "PConvInpaintor of mmagic and mmediting (generator.encoder.enc1.conv.weight)",
        encoder="encoder.enc{}",
        decoder="decoder.dec{}",
        ones="weight_mask_updater",
        picture_range="signed",
        bgr=True,
    ),
    Layout("PConvUNet on NVIDIA's PartialConv2d (enc_1.conv.weight)"),
)

DEEPFILL = "Generator of daa233's DeepFillv1 (coarse_generator.conv1.conv.weight)"
_DOWN = ("conv1", "conv2_downsample", "conv3", "conv4_downsample", "conv5", "conv6")
_DILATED = ("conv7_atrous", "conv8_atrous", "conv9_atrous", "conv10_atrous")
DEEPFILL_PARTS = {
    "coarse": ("coarse_generator", (*_DOWN, *_DILATED, *(f"conv{i}" for i in range(11, 18)))),
    "conv_encoder": ("fine_generator", (*_DOWN, *_DILATED)),
    "attention_encoder": ("fine_generator", tuple(f"pm{name}" for name in _DOWN)),
    "attention_decoder": ("fine_generator", ("pmconv9", "pmconv10")),
    "fusion": ("fine_generator", tuple(f"allconv{i}" for i in range(11, 18))),
}


def unwrapped(path: Path, content: Mapping) -> dict[str, np.ndarray]:
    """The arrays of a checkpoint, at the top or under one of ``WRAPPERS``, without the prefix of parallel training.

    If there is a network called generator, only its arrays are taken.

    Raises:
        InputError: no arrays there.
    """
    for key in ("", *WRAPPERS):
        found = content.get(key) if key else content
        arrays = {name: a for name, a in found.items() if isinstance(a, np.ndarray)} if isinstance(found, dict) else {}
        if arrays:
            break
    else:
        raise InputError(
            f"{path}: expected a state_dict, or one under {', '.join(WRAPPERS)}, got "
            f"{one_line(', '.join(map(str, content)) or 'nothing', 80)}; save the network's state_dict alone"
        )
    for prefix in ("module.", "generator."):
        inside = {name.removeprefix(prefix): a for name, a in arrays.items() if name.startswith(prefix)}
        arrays = inside or arrays
    return arrays


def recognised(path: Path, arrays: Arrays, picture_range: str | None = None) -> Port:
    """The network of this project that computes the same.

    Args:
        picture_range: overrides the layout's.
    Raises:
        InputError: an unknown layout, or one that needs ``picture_range``.
    """
    arrays = {name: array for name, array in arrays.items() if not name.endswith("num_batches_tracked")}
    if "coarse_generator.conv1.conv.weight" in arrays:
        return _deepfill(path, arrays, picture_range)
    layout = next((one for one in LAYOUTS if f"{one.encoder.format(1)}.{one.weight}" in arrays), None)
    if layout is None:
        titles = "; ".join([*(layout.title for layout in LAYOUTS), DEEPFILL])
        got = one_line(", ".join(list(arrays)[:3]), 120)
        raise InputError(f"{path}: expected weights of {titles}; or of a VGG16, got {got} ...; see docs/ports.md")
    return _pconv(path, arrays, layout, picture_range)


def _renamed(
    path: Path, arrays: Arrays, names: Mapping[str, str], shapes: Mapping, title: str
) -> dict[str, np.ndarray]:
    """The arrays by the names here.

    Args:
        names: theirs by ours.   shapes: by our names.
    Raises:
        InputError: an array is missing, of another shape, or unknown.
    """
    expected = {names[ours]: shape for ours, shape in shapes.items()}
    got = {name: list(array.shape) for name, array in arrays.items()}
    wrong = [
        f"{name} of shape {expected.get(name, 'none')}, got {got.get(name, 'none')}"
        for name in {**expected, **got}
        if expected.get(name) != got.get(name)
    ]
    if wrong:
        raise InputError(
            f"{path}: expected {title} with {one_line(wrong[0], 200)} ({len(wrong)} such arrays); is it damaged, or "
            "another version's?"
        )
    return {ours: arrays[theirs] for ours, theirs in names.items()}


def _shapes(path: Path, model: str, **options) -> dict[str, list[int]]:
    try:
        return model_shapes(model, **options)
    except ValueError as error:
        raise InputError(f"{path}: expected a network that {model} can be, got {error}") from None


def u_net_names(layout: Layout, depth: int) -> dict[str, str]:
    """The layout's names by those here, with a bias in each stage."""
    names = {}
    for stage in range(1, depth + 1):
        for ours, theirs in ((f"encoder.{stage - 1}", layout.encoder), (f"decoder.{depth - stage}", layout.decoder)):
            theirs = theirs.format(stage)
            names |= {
                f"{ours}.conv.weight": f"{theirs}.{layout.weight}",
                f"{ours}.conv.bias": f"{theirs}.{layout.bias}",
            }
            if stage > 1:
                names |= {f"{ours}.norm.{key}": f"{theirs}.{layout.norm}.{name}" for key, name in NORM.items()}
    return names


def _pconv(path: Path, arrays: Arrays, layout: Layout, picture_range: str | None) -> Port:
    picture_range = picture_range or layout.picture_range
    if picture_range is None:
        raise InputError(
            f"{path}: expected --picture_range with {layout.title}, got none, and the names do not tell; give what its "
            "pictures are normalised to: unit, signed or imagenet"
        )
    depth = 1
    while f"{layout.encoder.format(depth + 1)}.{layout.weight}" in arrays:
        depth += 1
    names = u_net_names(layout, depth)
    base = len(np.atleast_1d(arrays[names["encoder.0.conv.weight"]]))
    options = {"base_channels": base, "depth": depth, "picture_range": picture_range}
    shapes = _shapes(path, "pconv_unet", **options)
    shapes |= {ours: shapes[ours.replace(".bias", ".weight")][:1] for ours in names if ours.endswith("conv.bias")}
    zeros = {names[ours]: np.zeros(shapes[ours]) for ours in names if ours.endswith("conv.bias")}
    made = _renamed(path, zeros | _without_counts(path, arrays, layout), names, shapes, layout.title)
    made = {ours: array.astype("float64") for ours, array in made.items()}
    for stage in {ours.rpartition(".conv.")[0] for ours in made if ".conv." in ours}:
        if layout.by_sum:
            made[f"{stage}.conv.weight"] /= np.prod(shapes[f"{stage}.conv.weight"][1:])
        if f"{stage}.norm._mean" in made:
            made[f"{stage}.norm._mean"] -= made.pop(f"{stage}.conv.bias")
    if layout.bgr:
        _reverse_colours(made, depth)
    return Port("pconv_unet", options, {name: a.astype("float32") for name, a in made.items()}, layout.title)


def _reverse_colours(made: dict[str, np.ndarray], depth: int) -> None:
    """Red, green, blue in, and out; the last stage sees the picture behind the feature that it enlarges."""
    first, last = "encoder.0.conv.weight", f"decoder.{depth - 1}.conv"
    made[first] = made[first][:, ::-1]
    weight = made[f"{last}.weight"][::-1].copy()
    weight[:, -3:] = weight[:, -3:][:, ::-1]
    made[f"{last}.weight"], made[f"{last}.bias"] = weight, made[f"{last}.bias"][::-1]


def _without_counts(path: Path, arrays: Arrays, layout: Layout) -> dict[str, np.ndarray]:
    """The arrays without the filters that count valid pixels; these must be ones, with biases of zero."""
    kept = dict(arrays)
    for ending, expected in ((layout.ones, 1), (re.sub("weight$", "bias", layout.ones), 0)):
        for name in [name for name in kept if name.endswith(ending)]:
            if (kept.pop(name) != expected).any():
                raise InputError(f"{path}: expected {layout.title}, got a mask filter that does not count: {name}")
    return kept


def _deepfill(path: Path, arrays: Arrays, picture_range: str | None) -> Port:
    if picture_range not in (None, "signed"):
        raise InputError(f"--picture_range: expected signed with {DEEPFILL}, got {picture_range}")
    names = {
        f"{ours}.{i}.{kind}": f"{net}.{name}.conv.{kind}"
        for ours, (net, layers) in DEEPFILL_PARTS.items()
        for i, name in enumerate(layers)
        for kind in ("weight", "bias")
    }
    base = len(np.atleast_1d(arrays[names["coarse.0.weight"]]))
    options = {"base_channels": base, "attention": PYTORCH_PORT}
    made = _renamed(path, arrays, names, _shapes(path, "deepfill_v1", **options), DEEPFILL)
    return Port("deepfill_v1", options, {name: a.astype("float32") for name, a in made.items()}, DEEPFILL)


VGG = ("features.0.weight", "conv1_1.weight")


def vgg16_taps(path: Path, arrays: Arrays) -> dict[str, np.ndarray]:
    """The convolutions up to pool3 of a VGG16, in torchvision's, Paddle's or Oxford's naming.

    Raises:
        InputError: some are missing, or it is another network.
    """
    from losses.vgg import CHANNELS, TORCHVISION_INDEX, VGG16Features

    try:
        VGG16Features(arrays)
    except ValueError as error:
        raise InputError(f"{path}: {error}") from None
    stems = CHANNELS if "conv1_1.weight" in arrays else [f"features.{i}" for i in TORCHVISION_INDEX.values()]
    return {name: arrays[name] for stem in stems for name in (f"{stem}.weight", f"{stem}.bias")}
