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
FILTERS = (None,) * 4  # sides of a convolution's filters, of any length
NORM = {"weight": "weight", "bias": "bias", "running_mean": "_mean", "running_var": "_variance"}  # theirs, ours


class Names(NamedTuple):
    """Names of a stage's arrays; {} is the stage's number, from 1 at full resolution."""

    weight: str
    bias: str
    norm: str


class Layout(NamedTuple):
    """A port's names and conventions.

    ones: endings of filters that only count valid pixels.   by_sum: divides by sum(M) alone.
    picture_range: of ``pconv_unet``; None if the names do not show it.   bgr: pictures in blue, green, red.
    """

    title: str
    down: Names
    up: Names
    ones: tuple[str, ...] = ()
    by_sum: bool = False
    picture_range: str | None = None
    bgr: bool = False


class Port(NamedTuple):
    """A converted network: name, options and arrays here, and the title of its layout."""

    model: str
    options: dict
    arrays: dict[str, np.ndarray]
    title: str


def _u_net(conv: str) -> dict[str, Names]:
    return {
        side: Names(f"{short}_{{}}.{conv}.weight", f"{short}_{{}}.{conv}.bias", f"{short}_{{}}.bn")
        for side, short in (("down", "enc"), ("up", "dec"))
    }


LAYOUTS = (
    Layout(
        "PConvUNet of naoto0804's port (enc_1.conv.input_conv.weight)",
        **_u_net("conv.input_conv"),
        ones=("mask_conv.weight",),
        by_sum=True,
        picture_range="imagenet",
    ),
    Layout(
        "PConvUNet of naoto0804's port, an earlier one (enc_1.conv.conv2d.weight)",
        **_u_net("conv.conv2d"),
        ones=("mask2d.weight",),
        by_sum=True,
        picture_range="imagenet",
    ),
    Layout(
        "Generator of xyfJASON's port (encoder1.conv.weight)",
        Names("encoder{}.conv.weight", "encoder{}.bias", "encoder{}.norm"),
        Names("decoder{}.partial_conv.conv.weight", "decoder{}.partial_conv.bias", "decoder{}.partial_conv.norm"),
        ones=("mask_conv_weight",),
        picture_range="signed",
    ),
    Layout(
        "PConvInpaintor of mmagic and mmediting (generator.encoder.enc1.conv.weight)",
        Names("encoder.enc{}.conv.weight", "encoder.enc{}.conv.bias", "encoder.enc{}.bn"),
        Names("decoder.dec{}.conv.weight", "decoder.dec{}.conv.bias", "decoder.dec{}.bn"),
        ones=("weight_mask_updater",),
        picture_range="signed",
        bgr=True,
    ),
    Layout("PConvUNet on NVIDIA's PartialConv2d (enc_1.conv.weight)", **_u_net("conv")),
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
    if "coarse_generator.conv1.conv.weight" in arrays:
        port = _deepfill(path, arrays, picture_range)
    else:
        found = [layout for layout in LAYOUTS if layout.down.weight.format(1) in arrays]
        if not found:
            raise InputError(f"{path}: {_expected()}, got {_some(arrays)}; docs/ports.md tells of each")
        port = _pconv(path, arrays, found[0], picture_range)
    got = {name: list(array.shape) for name, array in port.arrays.items()}
    shapes = model_shapes(port.model, **port.options)
    if wrong := [name for name in {**shapes, **got} if shapes.get(name) != got.get(name)]:
        raise InputError(
            f"{path}: expected {port.title} of base width {port.options['base_channels']}, got {len(wrong)} arrays "
            f"of another shape, first what is {wrong[0]} here: expected {shapes.get(wrong[0], 'none')}, "
            f"got {got.get(wrong[0], 'none')}"
        )
    return port


def _expected() -> str:
    return f"expected weights of {'; '.join([*(layout.title for layout in LAYOUTS), DEEPFILL])}; or of a VGG16"


def _some(names) -> str:
    names = list(names)
    shown = one_line(", ".join(names[:3]), 120) or "nothing"
    return shown + (f" and {len(names) - 3} others" if len(names) > 3 else "")


class _Taker:
    """Arrays of a port, each taken once; any that are left at the end are unknown."""

    def __init__(self, path: Path, arrays: Arrays, title: str):
        self.path, self.title, self.left = path, title, dict(arrays)

    def take(self, name: str, *shape: int | None) -> np.ndarray:
        """An array of a shape, of which None leaves a side open."""
        array = self.left.pop(name, None)
        sides = [] if array is None else list(array.shape)
        if len(sides) != len(shape) or 0 in sides or any(w not in (n, None) for n, w in zip(sides, shape, strict=True)):
            expected, got = "×".join(str(n or "any") for n in shape), sides if array is not None else "none"
            raise InputError(
                f"{self.path}: expected {self.title} with {expected} numbers in {name}, got {got}; is it damaged, or "
                "another version's?"
            )
        return array.astype("float64")

    def finish(self) -> None:
        left = [name for name in self.left if not name.endswith("num_batches_tracked")]
        if left:
            raise InputError(f"{self.path}: expected {self.title}, got arrays beside it, {_some(left)}")


def _pconv(path: Path, arrays: Arrays, layout: Layout, picture_range: str | None) -> Port:
    picture_range = picture_range or layout.picture_range
    if picture_range is None:
        raise InputError(
            f"{path}: expected --picture_range with {layout.title}, got none, and the names do not tell; give what its "
            "pictures are normalised to: unit, signed or imagenet"
        )
    taker, depth = _Taker(path, arrays, layout.title), _depth(arrays, layout.down.weight)
    made = {}
    for stage in range(1, depth + 1):
        for ours, names in ((f"encoder.{stage - 1}", layout.down), (f"decoder.{depth - stage}", layout.up)):
            made |= {f"{ours}.{name}": a for name, a in _stage(taker, names, stage, layout.by_sum).items()}
    if layout.bgr:
        _reverse_colours(made, depth)
    _refuse_other_counts(taker, layout)
    taker.finish()
    base = int(made["encoder.0.conv.weight"].shape[0])
    options = {"base_channels": base, "depth": depth, "picture_range": picture_range}
    return Port("pconv_unet", options, {name: a.astype("float32") for name, a in made.items()}, layout.title)


def _depth(arrays: Arrays, pattern: str) -> int:
    depth = 1
    while pattern.format(depth + 1) in arrays:
        depth += 1
    return depth


def _stage(taker: _Taker, names: Names, stage: int, by_sum: bool) -> dict[str, np.ndarray]:
    """A stage's arrays by the names they have within it here: the first has no normalisation, and a bias."""
    weight = taker.take(names.weight.format(stage), *FILTERS)
    bias_name = names.bias.format(stage)
    bias = taker.take(bias_name, len(weight)) if bias_name in taker.left else np.zeros(len(weight))
    if by_sum:
        weight = weight / np.prod(weight.shape[1:])
    if stage == 1:
        return {"conv.weight": weight, "conv.bias": bias}
    norm = {ours: taker.take(f"{names.norm.format(stage)}.{theirs}", len(weight)) for theirs, ours in NORM.items()}
    norm["_mean"] = norm["_mean"] - bias
    return {"conv.weight": weight} | {f"norm.{name}": array for name, array in norm.items()}


def _reverse_colours(made: dict[str, np.ndarray], depth: int) -> None:
    """Red, green, blue in, and out; the last stage sees the picture behind the feature that it enlarges."""
    first, last = "encoder.0.conv.weight", f"decoder.{depth - 1}.conv"
    made[first] = made[first][:, ::-1]
    weight = made[f"{last}.weight"][::-1].copy()
    weight[:, -3:] = weight[:, -3:][:, ::-1]
    made[f"{last}.weight"], made[f"{last}.bias"] = weight, made[f"{last}.bias"][::-1]


def _refuse_other_counts(taker: _Taker, layout: Layout) -> None:
    """Filters that count valid pixels must be ones; they are left out."""
    for name in list(taker.left):
        ending = re.sub(r"bias$", "weight", name)
        if layout.ones and ending.endswith(layout.ones):
            array = taker.left.pop(name)
            if (array != (1.0 if ending == name else 0.0)).any():
                raise InputError(
                    f"{taker.path}: expected {layout.title}, got a mask filter that does not count: {name}"
                )


def _deepfill(path: Path, arrays: Arrays, picture_range: str | None) -> Port:
    if picture_range not in (None, "signed"):
        raise InputError(f"--picture_range: expected signed with {DEEPFILL}, got {picture_range}")
    taker, made = _Taker(path, arrays, DEEPFILL), {}
    for ours, (net, names) in DEEPFILL_PARTS.items():
        for i, name in enumerate(names):
            for kind, shape in (("weight", FILTERS), ("bias", FILTERS[:1])):
                made[f"{ours}.{i}.{kind}"] = taker.take(f"{net}.{name}.conv.{kind}", *shape).astype("float32")
    taker.finish()
    options = {"base_channels": int(made["coarse.0.weight"].shape[0]), "attention": PYTORCH_PORT}
    return Port("deepfill_v1", options, made, DEEPFILL)


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
