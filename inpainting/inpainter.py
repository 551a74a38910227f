"""Filling the holes of one picture with a trained network: what test.py, eval.py and the web page share."""

import contextlib
import functools
import importlib.util
import os
import sys
from collections.abc import Iterator

import numpy as np
import paddle
from paddle import nn

from datasets.images import to_float, to_uint8
from inpainting.checkpoint import is_exported, load_weights, weights_directory
from inpainting.exported import StaticModel
from inpainting.flat import fill_flat
from inpainting.meta import FLIPS, read_meta
from inpainting.scales import Network, fill_by_scales, fill_in_one_pass
from inpainting.surface import surfaces_over
from models import MODELS, build_model
from models.contextual_attention import offsets_to_picture
from models.deepfill import OFFSETS_STEP, DeepFillV1
from models.unet import UNet
from utils.errors import LITTLE_MEMORY, InputError, is_out_of_memory

AUTO = "auto"
LEAST_SIDE = 256  # pixels: smaller pictures, the size of training, hold too few patches to copy from
LARGEST_OUTPUT = 1e4  # where [0, 1] is expected; untrained networks stay far below


class Inpainter:
    """A picture and its hole in, the filled picture out.

    Args:
        model: a network called as ``model(image, mask)`` (see ``models.build_model``), or an exported one.
        scales: "auto" fills each hole from coarse to fine, beginning at the size at which it is about as deep as the
            holes in training, at a cost that follows the hole (see ``inpainting.scales``); 1 is the paper's single
            pass over the whole picture at its own size; N starts at 1/2^(N - 1) of the size.
        detail: paint the hole with texture and structure of the known picture, guided by the network's fill (see
            ``inpainting.exemplars``), and holes in flat colour with that colour.
        flip: paint each hole twice, once mirrored from left to right, and take the mean (the self-ensemble of Timofte
            et al. 2016), at twice the network's cost; when None, for a network on a smooth prior filling by scales.
            "first" does so only in the first pass of each hole: passes over a coarser fill sharpen it again.
        start_depth: with scales "auto", deeper holes (pixels) are filled from coarse to fine; None is as in
            ``inpainting.scales``.
    Shape:
        picture: uint8 [H, W, 3] RGB, any H and W.   hole: [H, W], bool or {0, 1}; True = to be filled.
        Returns uint8 [H, W, 3]; pixels outside the hole come back bit for bit.
    Raises:
        InputError: another type or shape, or a hole that leaves no pixel to go by.
    Example:
        >>> from models import build_model
        >>> picture = np.zeros([20, 30, 3], np.uint8)
        >>> hole = np.zeros([20, 30], bool)
        >>> hole[5:9, 5:9] = True
        >>> Inpainter(build_model("pconv_unet", base_channels=4, depth=2))(picture, hole).shape
        (20, 30, 3)
    """

    def __init__(
        self,
        model: nn.Layer | StaticModel,
        scales: str | int = AUTO,
        detail: bool = False,
        flip: bool | str | None = None,
        start_depth: float | None = None,
    ):
        if scales != AUTO and not (isinstance(scales, int) and scales > 0):
            raise InputError(f"scales: expected {AUTO} or a whole number above 0, got {scales!r}")
        self.model, self.scales, self.detail, self.start_depth = model, scales, detail, start_depth
        self.flip = self._has_prior and scales != 1 if flip is None else flip
        if isinstance(model, nn.Layer):
            model.eval()

    @classmethod
    def from_checkpoint(
        cls,
        path: str | os.PathLike,
        scales: str | int = AUTO,
        detail: bool | None = False,
        flip: bool | str | None = None,
    ) -> "Inpainter":
        """From a weights directory or file (see ``inpainting.checkpoint``), or from a directory that export.py wrote.

        Args:
            detail, flip: None is what the weights' meta.json says; ``detail`` is True where it says nothing.
        """
        directory = weights_directory(path, exported=True)
        meta = read_meta(directory)
        detail = meta.get("detail") != "off" if detail is None else detail
        if flip is None and "flip" in meta:
            flip = scales != 1 and FLIPS.get(meta["flip"], False)
        filling = scales, detail, flip, meta.get("start_depth")
        if is_exported(directory):
            return cls(StaticModel(directory), *filling)
        return cls(load_weights(directory), *filling)

    def __call__(self, picture: np.ndarray, hole: np.ndarray) -> np.ndarray:
        filled = self._filled(picture, hole)
        return self._with_detail(filled, hole.astype(bool)) if self.detail else filled

    def _with_detail(self, filled: np.ndarray, hole: np.ndarray) -> np.ndarray:
        flat = fill_flat(filled, hole)
        if min(hole.shape) < LEAST_SIDE or not can_add_exemplars():
            return filled
        from inpainting.exemplars import add_exemplars

        return add_exemplars(filled, hole & ~flat, beside=flat)

    def _filled(self, picture: np.ndarray, hole: np.ndarray) -> np.ndarray:
        if self.scales == 1:
            return np.where(hole.astype(bool)[..., None], self._output(picture, hole, self.flip), picture)
        _check(picture, hole)
        scales = None if self.scales == AUTO else int(self.scales)
        with _telling_of_memory(picture):
            return fill_by_scales(self._network(self.flip), picture, hole.astype(bool), scales)

    def in_one_pass(self, picture: np.ndarray, hole: np.ndarray) -> np.ndarray:
        """As calling it, but by a single pass at the picture's own size, in tiles where it is large; without detail."""
        _check(picture, hole)
        with _telling_of_memory(picture):
            return fill_in_one_pass(self._network(self.flip), picture, hole.astype(bool))

    def raw(self, picture: np.ndarray, hole: np.ndarray) -> np.ndarray:
        """The network's own output over the whole picture in a single pass, clipped and rounded: uint8 [H, W, 3]."""
        return self._output(picture, hole, flip=False)

    def _output(self, picture: np.ndarray, hole: np.ndarray, flip: bool | str) -> np.ndarray:
        image, mask = _arrays(picture, hole)
        with _telling_of_memory(picture):
            # Over a prior sizes that do not fit are mirrored further: no training has seen a border of hole.
            multiple = self._multiple if self._has_prior else 1
            output = self._network(flip, multiple).run(image[0].transpose(1, 2, 0), mask[0, 0], None)
            return to_uint8(output.transpose(2, 0, 1))

    def views(self, picture: np.ndarray, hole: np.ndarray) -> dict[str, np.ndarray]:
        """What the network makes of the whole picture in a single pass, for viewing: uint8 [H, W, 3] each, by name.

        ``output`` of any; before it ``coarse`` and behind it ``attention`` of one with contextual attention (see
        ``attention_picture``) that is not exported.
        """
        if not isinstance(self.model, DeepFillV1):
            return {"output": self.raw(picture, hole)}
        image, mask = _arrays(picture, hole)
        with paddle.no_grad(), _telling_of_memory(picture):
            stages = self.model(paddle.to_tensor(image), paddle.to_tensor(mask), stages=True)
        coarse, output = (to_uint8(t.numpy()[0]) for t in (stages.coarse, stages.refined))
        shown = attention_picture(picture, hole, stages.offsets.numpy()[0])
        return {"coarse": coarse, "output": output, "attention": shown}

    def reaches(self, hole: np.ndarray) -> bool:
        """Whether the network can paint all of the hole in a single pass: bool [H, W], True = to be filled.

        Each partial convolution closes a hole by the width of its filter. The middle of a far wider one stays hole to
        the last, and there the network puts out nothing, which is black.
        """
        return bool((self._reached(~hole) | ~hole).all())

    def _reached(self, mask: np.ndarray) -> np.ndarray:
        """Where the network paints: bool [H, W] for a mask [H, W], 1 = valid."""
        if self._mask_network is None:
            return np.ones(mask.shape, bool)
        with paddle.no_grad():
            return self._mask_network.reached(paddle.to_tensor(mask.astype("float32")[None, None])).numpy()[0, 0] > 0

    @functools.cached_property
    def _mask_network(self) -> UNet | None:
        """A network whose masks are updated as the model's: itself, or of an exported one a twin of one channel; None
        where no mask is carried, as in ``conv_unet`` and ``deepfill_v1``."""
        kind = MODELS.get(getattr(self.model, "model_name", None), nn.Layer)
        if not (issubclass(kind, UNet) and kind.carries_mask):
            return None
        if isinstance(self.model, StaticModel):
            return build_model(self.model.model_name, **{**self.model.model_options, "base_channels": 1})
        return self.model

    def _paint(self, image: np.ndarray, mask: np.ndarray, coarse: np.ndarray | None) -> np.ndarray:
        planes, network = [image, mask[..., None]], self.model
        if isinstance(network, UNet) and network.has_prior:  # OpenCV makes its surfaces in a fifth of its own time
            planes.append(surfaces_over(image, mask, coarse))
            network = network.paint
        elif coarse is not None:
            planes.append(coarse)
        planes = [plane.transpose(2, 0, 1)[None] for plane in planes]
        if isinstance(network, StaticModel):
            output = network(*planes)
        else:
            with paddle.no_grad():
                output = network(*map(paddle.to_tensor, planes)).numpy()
        return _refuse_absurd(output[0].transpose(1, 2, 0))

    @property
    def _has_prior(self) -> bool:
        return getattr(self.model, "has_prior", False)

    @property
    def _multiple(self) -> int:
        """Input sides must be multiples of this; 8 for deepfill_v1."""
        return 2 ** getattr(self.model, "model_options", {}).get("depth", 3)

    def _network(self, flip: bool | str, multiple: int | None = None) -> Network:
        """The model as filling by scales asks for it, its inputs' sides brought to multiples."""
        multiple = multiple or self._multiple

        def paint(image, mask, coarse):
            h, w = mask.shape
            image, mask, coarse = (_mirrored(a, multiple) for a in (image, mask.astype(np.float32), coarse))
            return self._paint(image, mask, coarse)[:h, :w]

        def paint_twice(image, mask, coarse):
            straight = paint(image, mask, coarse)
            if flip == "first" and coarse is not None:
                return straight
            flipped = paint(*(None if a is None else a[:, ::-1] for a in (image, mask, coarse)))
            return (straight + flipped[:, ::-1]) / 2

        return Network(paint_twice if flip else paint, self._has_prior, self._reached, self.start_depth)


@functools.cache
def can_add_exemplars() -> bool:
    """Whether numba is there, which compiles the search; prints a note where it is not."""
    if importlib.util.find_spec("numba"):
        return True
    print("note: numba is not installed, holes keep the network's smooth fill; pip install numba", file=sys.stderr)
    return False


def attention_picture(picture: np.ndarray, hole: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Where the hole was filled from, as ``offsets_to_picture`` colours it, on the picture in pale grey.

    Shape:
        picture: uint8 [H, W, 3].   hole: [H, W].   offsets: [2, ⌈H/8⌉, ⌈W/8⌉]. Returns uint8 [H, W, 3].
    """
    h, w = hole.shape
    colours = offsets_to_picture(offsets, enlarge=OFFSETS_STEP, longest=float(np.hypot(*offsets.shape[1:])))
    grey = np.repeat(picture.mean(axis=2, keepdims=True) / 2 + 127, 3, axis=2).astype(np.uint8)
    return np.where(hole.astype(bool)[..., None], colours[:h, :w], grey)


def _mirrored(array: np.ndarray | None, multiple: int) -> np.ndarray | None:
    """Sides brought to multiples by mirroring what is there: a border of hole, which the network would add itself, is
    what it has not seen in training, and shows in all of a small picture.
    """
    if array is None:
        return None
    below, right = (-side % multiple for side in array.shape[:2])
    return np.pad(array, [(0, below), (0, right)] + [(0, 0)] * (array.ndim - 2), mode="symmetric")


@contextlib.contextmanager
def _telling_of_memory(picture: np.ndarray) -> Iterator[None]:
    """Where memory runs out inside the block, an InputError names the picture's size."""
    try:
        yield
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        height, width = picture.shape[:2]
        raise InputError(
            f"a picture of {width}x{height} pixels: {LITTLE_MEMORY}; filling by --scales auto takes least"
        ) from None


def _arrays(picture: np.ndarray, hole: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A network's inputs, image and mask, checked."""
    _check(picture, hole)
    mask = 1 - hole.astype("float32")[None]  # [1, H, W]
    return (to_float(picture) * mask)[None], mask[None]


def _refuse_absurd(output: np.ndarray) -> np.ndarray:
    """The output, unless no picture can look like it."""
    if not np.abs(output).max() <= LARGEST_OUTPUT:  # also NaN
        raise InputError(
            f"expected a network whose output lies near [0, 1], got {np.abs(output).max():.3g}: its weights are "
            "damaged, or its training failed; take other weights"
        )
    return output


def _check(picture: np.ndarray, hole: np.ndarray) -> None:
    if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
        raise InputError(f"picture: expected uint8 [H, W, 3], got {picture.dtype} {list(picture.shape)}")
    if hole.shape != picture.shape[:2]:
        h, w = picture.shape[:2]
        raise InputError(
            f"hole: expected {h}x{w} as the picture, got {'x'.join(map(str, hole.shape))}; "
            "give a mask of the picture's size"
        )
    if hole.dtype != bool and not np.isin(hole, (0, 1)).all():
        raise InputError("hole: expected a boolean array (True = to be filled), got other values; threshold it first")
    if hole.all():
        raise InputError("expected some known pixels, got a hole over all that is visible; mark a smaller hole")
