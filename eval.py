"""Measure a model or a classical method: L1, PSNR and SSIM for each mask-area bucket, the same digits every run.

python eval.py --images data/celeba/val --masks data/irregular_masks --size 256 --method telea
"""

import hashlib
import os
import sys
from argparse import Namespace
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import PIL
import skimage

from engine.classical import CLASSICAL
from engine.evaluator import PROTOCOLS, PairReader, evaluate, inspect_polarity
from errors import InputError, run_cleanly
from files import sha256_of
from metrics.buckets import Sample, bucket_rows
from metrics.image_quality import SSIM_WINDOW
from metrics.manifest import (
    Pair,
    file_names,
    generated_names,
    pair_up,
    read_manifest,
    root_of,
    sample_names,
    spread,
)
from metrics.report import markdown_table, paper_rows, write_manifest, write_report
from options import DEMO_WEIGHTS, Parser, add_device_options, count_int, positive_int, setup_device

LARGEST = 8192  # pixels
SAMPLE_SIZE = 128  # pixels: sample photos have many sizes, and the demo model was trained small
PAIRS_WORTH_A_WORKER = 50  # a worker takes a second to start


def parse_options(argv: Sequence[str] | None = None) -> Namespace:
    parser = Parser(
        description="Measure inpainting: L1, PSNR and SSIM by mask area, holes at the border apart. "
        "With no arguments the shipped demo model fills generated holes in sample photos."
    )
    parser.add_argument(
        "--images", metavar="DIR", help="pictures: folder, list file or picture; sample photos when not given"
    )
    parser.add_argument("--masks", metavar="DIR", help="masks: folder, list file or mask; generated when not given")
    parser.add_argument(
        "--hole", choices=("white", "black"), default="white", help="colour of the hole in the mask files"
    )
    method = parser.add_mutually_exclusive_group()
    method.add_argument("--weights", metavar="FILE|DIR", help="a trained model; the demo model when not given")
    method.add_argument("--method", choices=tuple(CLASSICAL), help="a classical method instead of a model")
    parser.add_argument(
        "--size",
        type=positive_int,
        metavar="N",
        help="cut and resize pictures to NxN; own size when not given, 128 for sample photos",
    )
    parser.add_argument(
        "--limit", type=positive_int, metavar="N", help="only N pairs, evenly spaced over the sorted masks"
    )
    parser.add_argument(
        "--protocol", choices=PROTOCOLS, default="composite", help="raw measures the network's whole output"
    )
    parser.add_argument("--manifest", metavar="FILE", help="CSV file of pairs: used when it exists, else written")
    parser.add_argument("--output", metavar="DIR", default="logs/eval", help="folder of the report")
    parser.add_argument("--compare", choices=("paper",), help="set the paper's figures beside ours")
    parser.add_argument("--seed", type=count_int, default=0, metavar="N", help="decides pairing and generated masks")
    parser.add_argument(
        "--num_workers",
        type=count_int,
        metavar="N",
        help="processes that read, measure and run a classical method; by cores and pairs when not given, 0: none",
    )
    add_device_options(parser, precision=True)
    options = parser.parse_args(argv)
    if options.images is None and options.size is None:
        options.size = SAMPLE_SIZE
    return options


def main(argv: Sequence[str] | None = None) -> None:
    options = parse_options(argv)
    check_options(options)
    read = PairReader(_root(options.images), _root(options.masks), options.hole, options.size)
    pairs = choose_pairs(options, read)
    warning = inspect_polarity(pairs, read)
    if warning:
        tell(f"warning: {warning}")
    inpaint, method = choose_method(options)
    samples = evaluate(pairs, read, inpaint, options.protocol, choose_workers(options, len(pairs)))
    rows = bucket_rows(samples)
    table = markdown_table(rows, paper_rows() if options.compare else None)
    write_report(options.output, describe(options, method, samples), rows, samples, table)
    if options.manifest and not os.path.exists(options.manifest):
        write_manifest(options.manifest, samples)
    tell_oddities(samples)
    print(table)
    print(f"\nreport.json, report.csv, report.md, samples.csv and manifest.csv are in {options.output}")


def check_options(options: Namespace) -> None:
    """Refuse before the long work what would fail after it."""
    if options.size is not None and not SSIM_WINDOW <= options.size <= LARGEST:
        raise InputError(f"--size: expected {SSIM_WINDOW} to {LARGEST} pixels, got {options.size}")
    if options.method and options.protocol == "raw":
        raise InputError(
            f"--protocol raw measures a network's whole output, which {options.method} has not: leave it out"
        )
    if options.method and options.precision != "fp32":
        raise InputError(
            f"--precision {options.precision}: expected an exported model, got --method {options.method}; "
            "leave one of them out"
        )
    _check_folder("--output", Path(options.output))
    if options.manifest:
        if Path(options.manifest).is_dir():
            raise InputError(f"--manifest: expected a CSV file, got the folder {options.manifest}: add a file name")
        _check_folder("--manifest", Path(options.manifest).parent)


def _check_folder(option: str, folder: Path) -> None:
    existing = next(path for path in (folder, *folder.parents) if path.exists())
    if not existing.is_dir():
        raise InputError(f"{option}: {existing} is a file, not a folder: choose another place")
    if not os.access(existing, os.W_OK):
        raise InputError(f"{option}: no permission to write in {existing}: choose another place")


def choose_pairs(options: Namespace, read: PairReader) -> list[Pair]:
    """The pairs of the manifest when there is one, else made by the pairing rule."""
    if options.manifest and os.path.exists(options.manifest):
        tell(f"pairs from {options.manifest}")
        return spread(read_manifest(options.manifest, read.images, read.masks), options.limit)
    if options.images is None:
        tell(f"no --images: sample photos of scikit-image, {options.size}x{options.size}")
    if options.masks is None:
        tell("no --masks: generated masks, all buckets evenly")
    pictures = sample_names() if options.images is None else file_names(options.images)
    masks = generated_names(len(pictures), options.seed) if options.masks is None else file_names(options.masks)
    return pair_up(pictures, masks, options.seed, options.limit)


def choose_method(options: Namespace) -> tuple[Callable, dict]:
    """The function that fills holes, and what the report says of it."""
    versions = {
        "numpy": np.__version__,
        "opencv": cv2.__version__,
        "pillow": PIL.__version__,
        "scikit-image": skimage.__version__,
    }
    if options.method:
        return CLASSICAL[options.method], {"method": options.method, "weights_sha256": None, "versions": versions}
    setup_device(options.device, options.threads)
    import paddle  # after setup_device: threads are settled when paddle is imported; classical methods do without

    from engine.checkpoint import weights_directory, weights_file
    from engine.inpainter import Inpainter

    directory = weights_directory(options.weights or DEMO_WEIGHTS, exported=True)
    inpainter = Inpainter.from_checkpoint(directory, options.precision)
    about = {
        "method": inpainter.model.model_name,
        "weights_sha256": sha256_of(weights_file(directory)),
        "versions": {"paddle": paddle.__version__, **versions},
    }
    return inpainter.raw if options.protocol == "raw" else inpainter, about


def choose_workers(options: Namespace, pairs: int) -> int:
    """How many processes beside this one: every core for a classical method, else one is left to the network."""
    if options.num_workers is not None:
        return options.num_workers
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    useful = cores if options.method and cores > 1 else cores - 1
    return min(useful, pairs // PAIRS_WORTH_A_WORKER)


def describe(options: Namespace, method: dict, samples: Sequence[Sample]) -> dict:
    """The protocol block of the report: all that decides the figures, and nothing that changes between two runs."""
    names = "".join(f"{sample.image}\t{sample.mask}\n" for sample in samples)
    return {
        "method": method["method"],
        "weights_sha256": method["weights_sha256"],
        "protocol": options.protocol,
        "precision": None if options.method else options.precision,
        "size": options.size,
        "hole": options.hole,
        "seed": options.seed,
        "limit": options.limit,
        "pairs": len(samples),
        "pictures": len({sample.image for sample in samples}),
        "masks": len({sample.mask for sample in samples}),
        "outside_buckets": sum(sample.bucket is None for sample in samples),
        "without_hole": sum(sample.hole_ratio == 0 for sample in samples),
        "pairs_sha256": hashlib.sha256(names.encode("utf-8", "surrogateescape")).hexdigest(),
        "versions": method["versions"],
    }


def tell_oddities(samples: Sequence[Sample]) -> None:
    outside = sum(sample.bucket is None for sample in samples)
    empty = sum(sample.hole_ratio == 0 for sample in samples)
    if outside:
        tell(
            f"{outside} of {len(samples)} pairs lie outside the buckets (hole of 1 % or less, or above 60 %)"
            f"{f', {empty} of them have no hole at all' if empty else ''}: they are in samples.csv only"
        )


def tell(line: str) -> None:
    print(line, file=sys.stderr)


def _root(source: str | None) -> Path | None:
    return None if source is None else root_of(source)


if __name__ == "__main__":
    run_cleanly(main)
