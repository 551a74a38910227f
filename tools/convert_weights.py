"""Make a weights directory to publish out of a training checkpoint: no optimiser's state, half the size if wanted.

``python -m tools.convert_weights --weights logs/Celeba --output weights/mine --dtype float16 --about "CelebA, 256 px"``

``--average`` mixes the weights with those that they were fine-tuned from: a point on the line between the two networks
keeps most of the accuracy of the one and of the sharpness of the other (Wang et al. 2018, arXiv:1809.00219).
"""

from collections.abc import Sequence
from pathlib import Path

from errors import InputError, naming, run_cleanly
from options import Parser, check_folder, setup_device, share_float

KEPT = ("iter", "phase", "seed", "batch_size")  # of the checkpoint's meta.json


def main(argv: Sequence[str] | None = None) -> None:
    options = build_parser().parse_args(argv)
    output = Path(options.output)
    check_folder("--output", output)
    if output.exists() and any(output.iterdir()):
        raise InputError(f"--output: expected a new or empty folder, got {output}; choose another or remove it")
    setup_device("cpu")
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
    parser.add_argument("--weights", required=True, metavar="FILE|DIR", help="training checkpoint or weights directory")
    parser.add_argument("--output", required=True, metavar="DIR", help="new folder")
    parser.add_argument("--average", metavar="FILE|DIR", help="mix with these, which --weights were fine-tuned from")
    parser.add_argument("--share", type=share_float, default=0.5, metavar="X", help="of --weights in the mixture")
    parser.add_argument("--dtype", choices=("float32", "float16"), default="float32", help="of the arrays on disk")
    parser.add_argument(
        "--format",
        choices=("pdparams", "safetensors"),
        default="pdparams",
        help="of the file with the arrays: Paddle's own, or one that other frameworks read too",
    )
    parser.add_argument("--about", metavar="TEXT", help="what the weights are good for; test.py shows it")
    return parser


if __name__ == "__main__":
    run_cleanly(main)
