"""A short training on another machine's GPU: pack here, train there, bring back weights and sheets.

    python -m experiments.torch_twin.gpu pack --pictures data/faces144_train=0.8 ... --output pack
    python -m experiments.torch_twin.gpu train --pack pack --start weights/faces --run OUT --minutes 8

``pack`` writes pictures as small JPEGs, the critic's feature weights in float16 and the package that builds them, so
that nothing needs to be installed there but PyTorch, Pillow and OpenCV. ``train`` leaves ``model.safetensors``
(float16), ``critics.pt``, the curve and the sheets, from which a later call goes on with ``--start``.
"""

import argparse
import json
import shutil
import sys
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np

from datasets.images import list_pictures, read_picture
from utils.errors import run_cleanly

SIDE, QUALITY = 144, 85  # of the packed pictures: shorter side in pixels, JPEG quality
KEPT = ("curve.csv", "critics.pt")


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m experiments.torch_twin.gpu", description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(dest="command", required=True)
    pack = commands.add_parser("pack", help="write what travels")
    pack.add_argument("--pictures", required=True, nargs="+", metavar="DIR=SHARE")
    pack.add_argument("--output", required=True, metavar="DIR")
    pack.add_argument("--megabytes", type=float, default=18, metavar="X", help="of pictures")
    train = commands.add_parser("train", help="train on what was packed; further options go to train_adversarial")
    train.add_argument("--pack", required=True, metavar="DIR")
    train.add_argument("--run", required=True, metavar="DIR")
    return parser


def main(argv: Sequence[str] | None = None) -> None:
    options, rest = build_parser().parse_known_args(argv)
    if options.command == "pack":
        write_pack(options)
    else:
        train_on(Path(options.pack), Path(options.run), rest)


def write_pack(options) -> None:
    import torch

    from experiments.torch_twin.adversarial import TAPS, package_weights
    from experiments.torch_twin.train import parse_source

    output, shares = Path(options.output), {}
    for folder, share in map(parse_source, options.pictures):
        name = Path(folder).name
        write_pictures(folder, output / name, share * options.megabytes * 1e6)
        shares[name] = share
    (output / "shares.json").write_text(json.dumps(shares))
    state = torch.load(package_weights(), map_location="cpu", weights_only=True)
    wanted = ("_conv_stem", "_bn0", *(f"_blocks.{i}." for i in range(max(TAPS) + 1)))
    kept = {
        name: value.half() for name, value in state.items() if name.startswith(wanted) and value.is_floating_point()
    }
    torch.save({name: value.half() for name, value in kept.items()}, output / "lite0.pt")
    package = Path(find_spec("efficientnet_lite_pytorch").origin).parent
    shutil.copytree(package, output / "site" / package.name, ignore=shutil.ignore_patterns("__pycache__"))


def write_pictures(folder: str, output: Path, budget: float) -> None:
    """Pictures in random order, shrunk, until the bytes are used up."""
    output.mkdir(parents=True)
    files = list_pictures(folder)
    for number in np.random.default_rng(0).permutation(len(files)):
        picture = read_picture(files[number])
        scale = SIDE / min(picture.shape[:2])
        if scale < 1:
            picture = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        _, data = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
        budget -= len(data)
        if budget < 0:
            return
        (output / f"{number:06d}.jpg").write_bytes(data.tobytes())


def train_on(pack: Path, run: Path, rest: list[str]) -> None:
    sys.path.insert(0, str(pack / "site"))
    from experiments.torch_twin import train_adversarial

    shares = json.loads((pack / "shares.json").read_text())
    pictures = [f"{pack / name}={share}" for name, share in shares.items()]
    work = run / "work"
    train_adversarial.main(
        ["--pictures", *pictures, "--run", str(work), "--lite0", str(pack / "lite0.pt"), "--cooldown", *rest]
    )
    keep(work, run)


def keep(work: Path, run: Path) -> None:
    """What comes back: averaged weights in float16, critics, curve, the last two sheets."""
    import torch
    from safetensors.torch import save_file

    averaged = torch.load(work / "average.pt", map_location="cpu")
    save_file({name: value.half().contiguous() for name, value in averaged.items()}, run / "model.safetensors")
    for path in (*(work / name for name in KEPT), *sorted(work.glob("sheet_*.png"))[-2:]):
        shutil.copy(path, run / path.name)
    shutil.rmtree(work)


if __name__ == "__main__":
    run_cleanly(main)
