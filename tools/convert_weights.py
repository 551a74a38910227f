"""Make a weights directory from a training checkpoint, or from another project's weights.

``python -m tools.convert_weights --weights logs/Celeba --output weights/mine --dtype float16 --about "CelebA, 256 px"``
leaves out the optimiser's state, and halves the size with float16.

``python -m tools.convert_weights --weights 1000000.pth --output weights/port`` reads files of PyTorch
without PyTorch; layouts are in ``tools.ports``. A VGG16 becomes a file for ``--vgg_weights``.

``--average`` mixes the weights with those that they were fine-tuned from: a point on the line between the two networks
keeps most of the accuracy of the one and of the sharpness of the other (Wang et al. 2018, arXiv:1809.00219).
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from inpainting.meta import FILLING
from options import Parser, setup_device, share_float
from options.shared import adder
from tools.outputs import check_output
from utils.errors import InputError, naming, run_cleanly
from utils.files import atomic_path, is_file

VGG_FILE = "vgg16_pool3.npz"
KEPT = ("iter", "phase", "seed", "batch_size", "about", *FILLING)  # of the checkpoint's meta.json


def main(argv: Sequence[str] | None = None) -> None:
    options = build_parser().parse_args(argv)
    output = Path(options.output)
    check_output(output)
    setup_device("cpu")
    if _is_foreign(Path(options.weights)):
        with naming("--weights"):
            _convert_port(Path(options.weights), output, options)
        return
    if options.picture_range:
        raise InputError("--picture_range: expected with weights of another project only, got weights of this one")
    from inpainting.checkpoint import load_weights, read_meta, save_weights, weights_directory, weights_file

    with naming("--weights"):
        directory = weights_directory(options.weights)
        meta, model = read_meta(directory), load_weights(directory)
    kept = {key: meta[key] for key in KEPT if key in meta} | ({"about": options.about} if options.about else {})
    if options.average:
        with naming("--average"):
            other = load_weights(options.average)
        _mix(model, other, options.share)
    save_weights(model, output, options.dtype, f"model.{options.format}", **kept)
    print(f"{output}: {weights_file(output).stat().st_size / 1e6:.1f} MB")


def _is_foreign(path: Path) -> bool:
    """Whether a path is a file of arrays that does not belong to a weights directory."""
    from inpainting.array_files import SUFFIXES
    from inpainting.checkpoint import EMA_PARAMS, PARAMS, SAFE_PARAMS

    return is_file(path) and path.suffix in SUFFIXES and path.name not in (PARAMS, SAFE_PARAMS, EMA_PARAMS)


def _convert_port(path: Path, output: Path, options: argparse.Namespace) -> None:
    """Convert another project's network, or the first layers of a VGG16."""
    from inpainting.array_files import read_state, refuse_bad_numbers
    from inpainting.checkpoint import save_weights, weights_file
    from models import build_model
    from tools.ports import VGG, recognised, unwrapped, vgg16_taps

    if options.average:
        raise InputError("--average: expected weights of this project, got another's; convert them first")
    arrays = unwrapped(path, read_state(path))
    refuse_bad_numbers(path, arrays)
    if any(name in arrays for name in VGG):
        _write_taps(vgg16_taps(path, arrays), output, options)
        return
    port = recognised(path, arrays, options.picture_range)
    model = build_model(port.model, **port.options)
    model.set_state_dict(port.arrays)
    about = {"about": options.about} if options.about else {}
    save_weights(model, output, options.dtype, f"model.{options.format}", **about, converted_from=port.title)
    print(f"{output}: {port.title}, as {port.model} {port.options}: {weights_file(output).stat().st_size / 1e6:.1f} MB")


def _write_taps(taps: dict, output: Path, options: argparse.Namespace) -> None:
    output.mkdir(parents=True, exist_ok=True)
    file = output / VGG_FILE
    with atomic_path(file) as temporary, open(temporary, "wb") as stream:
        np.savez(stream, **{name: array.astype(options.dtype) for name, array in taps.items()})
    print(f"{file}: VGG16 up to pool3, for train.py --vgg_weights: {file.stat().st_size / 1e6:.1f} MB")


def _mix(model, other, share: float) -> None:
    """Set each of the model's arrays to share · its own + (1 − share) · the other's."""
    if (model.model_name, model.model_options) != (other.model_name, other.model_options):
        raise InputError(
            f"--average: expected weights of the same network, {model.model_name} {model.model_options}, "
            f"got {other.model_name} {other.model_options}"
        )
    others = other.state_dict()
    for name, value in model.state_dict().items():
        value.set_value(share * value + (1 - share) * others[name])


def build_parser() -> Parser:
    parser = Parser(prog="python -m tools.convert_weights", description=__doc__.splitlines()[0])
    parser.add_argument(
        "--weights",
        required=True,
        metavar="FILE|DIR",
        help="training checkpoint or weights directory; or a file of another project (.pth, .pt, .safetensors ...)",
    )
    parser.add_argument("--output", required=True, metavar="DIR", help="new folder")
    add = adder(parser)
    add("--average", "FILE|DIR", "mix with these, which --weights were fine-tuned from")
    add("--share", share_float, "of --weights in the mixture", 0.5)
    add("--dtype", ("float32", "float16"), "of the arrays on disk", "float32")
    add(
        "--format",
        ("safetensors", "pdparams"),
        "of the file with the arrays: one that other frameworks read too, or Paddle's own",
        "safetensors",
    )
    add(
        "--picture_range",
        ("unit", "signed", "imagenet"),
        "what another project's network has its pictures normalised to, where the file's names do not tell",
    )
    add("--about", "TEXT", "what the weights are good for; test.py shows it")
    return parser


if __name__ == "__main__":
    run_cleanly(main)
