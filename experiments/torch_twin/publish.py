"""A run of the twin made into weights: ``python -m experiments.torch_twin.publish --run DIR --output DIR``."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from inpainting.meta import FILLING
from options import Parser, positive_float, setup_device
from utils.errors import InputError, run_cleanly


def build_parser() -> Parser:
    parser = Parser(prog="python -m experiments.torch_twin.publish", description=__doc__.split(":")[0])
    parser.add_argument("--run", required=True, metavar="DIR", help="a run of experiments.torch_twin.train")
    parser.add_argument("--output", required=True, metavar="DIR", help="new folder")
    parser.add_argument("--dtype", choices=("float32", "float16"), default="float16", help="of the arrays on disk")
    parser.add_argument(
        "--start_depth", type=positive_float, metavar="X", help="pixels: deeper holes from coarse to fine"
    )
    parser.add_argument("--flip", choices=("on", "first", "off"), help="the mean of two mirrored passes")
    parser.add_argument("--detail", choices=("on", "off"), help="whether texture of the picture is copied on top")
    parser.add_argument("--about", metavar="TEXT", help="what the weights are good for; test.py shows it")
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    options = build_parser().parse_args(argv)
    source, output = Path(options.run) / "weights.npz", Path(options.output)
    if not source.is_file():
        raise InputError(
            f"--run: expected a run that has saved once, got no {source}; wait for it, or correct the path"
        )
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        raise InputError(f"--output: expected a new or empty folder, got {output}; choose another or remove it")
    setup_device("cpu")
    from inpainting.checkpoint import save_weights

    with np.load(source, allow_pickle=False) as arrays:
        model = as_project({name: arrays[name] for name in arrays.files})
    meta = {name: getattr(options, name) for name in ("about", *FILLING)}
    save_weights(model, output, options.dtype, **{name: value for name, value in meta.items() if value is not None})


def as_project(arrays: dict[str, np.ndarray]):
    """The project's network with a twin's arrays; its options are told by their names and shapes."""
    from models import build_model, present_name

    arrays = {present_name(name): array for name, array in arrays.items()}
    if "coarse.0.weight" in arrays:
        model = build_model("deepfill_v1", base_channels=len(arrays["coarse.0.weight"]))
    else:
        depth = sum(name.startswith("encoder.") and name.endswith(".conv.weight") for name in arrays)
        base = len(arrays["encoder.0.conv.weight"])
        name = "pconv_residual_unet" if "encoder.0.branch.weight" in arrays else "pconv_unet"
        model = build_model(name, base_channels=base, depth=depth, prior="smooth", norm="none")
    missing, unexpected = model.set_state_dict(arrays)
    if missing or unexpected:
        raise InputError(f"expected the arrays of a twin, got none of {missing}, and {unexpected} besides")
    return model


if __name__ == "__main__":
    run_cleanly(main)
