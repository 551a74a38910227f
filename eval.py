"""Measure a model or a classical method: L1, PSNR and SSIM for each mask-area bucket, the same digits every run.

python eval.py --images data/celeba/val --masks data/irregular_masks --size 256 --method telea

Parses the options, builds pairs and method, and hands them to ``metrics.evaluator``. Classical methods do without
Paddle, which is imported for a model only.
"""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from datasets.super_resolution import MASK, mask_name
from inpainting.classical import CLASSICAL
from inpainting.enlarging import INTERPOLATIONS, filling
from metrics.buckets import Sample
from metrics.comparison import comparison_text
from metrics.evaluator import PairReader, evaluate, inspect_masks, useful_workers
from metrics.html_report import CURVES, PAGE, write_page
from metrics.manifest import Pair, choose_pairs, read_manifest, root_of, spread
from metrics.methods import Method, limited_to, read_methods, set_beside, side_by_side
from metrics.partial import PartialSamples
from metrics.pictures import NAME as PICTURES
from metrics.pictures import Strip, choose, choose_as, strips_of, write_strips
from metrics.protocols import PROTOCOLS
from metrics.report import (
    describe_pairs,
    library_versions,
    markdown_table,
    outside_note,
    paper_rows,
    rows_with_spread,
    write_manifest,
    write_report,
)
from options import DEFAULT_WEIGHTS, flip_of, parse_evaluate, setup_device
from utils.errors import InputError, naming, run_cleanly
from utils.files import sha256_of

VGG_DISTANCE = "Σ mean |Ψ(a) − Ψ(b)| over pool1 to pool3 of the shipped VGG16, each divided by its mean; not LPIPS"


def main(argv: Sequence[str] | None = None) -> None:
    options = parse_evaluate(argv)
    if len(options.reports) > 1:
        compare(options)
        return
    read = PairReader(_root(options.images), _root(options.masks), options.hole, options.size)
    pairs = build_pairs(options, read)
    earlier = [
        limited_to(pairs, report, method, vars(options))
        for report, method in zip(options.reports, read_methods(options.reports), strict=True)
    ]
    refuse_other_masks(pairs, options.super_resolution)
    if not options.super_resolution and (warning := inspect_masks(pairs, read)):
        tell(f"warning: {warning}")
    inpaint, about, watch = build_method(options)
    distance = build_distance(options)
    with PartialSamples(Path(options.output), identify(options, about), read.stamp) as partial:
        if known := sum(pair in partial.known for pair in pairs):
            tell(f"going on: {known} of {len(pairs)} pairs were measured before ({partial.path})")
        workers = options.num_workers
        if workers is None:
            workers = useful_workers(len(pairs) - known, classical=bool(options.method) and not distance)
        samples, refused = evaluate(
            pairs, read, inpaint, options.protocol, workers, partial.known, partial.add, watch and watch.look, distance
        )
        write(
            options,
            about,
            samples,
            len(refused),
            lambda chosen: strips_of(chosen, read, inpaint, options.protocol),
            earlier,
        )
    if watch and watch.warning:
        tell(f"warning: {watch.warning}")
    if refused:
        tell(
            f"{len(refused)} of {len(pairs)} pairs could not be read or filled, named above: the report is without them"
        )
        sys.exit(1)


def compare(options: argparse.Namespace) -> None:
    """Set reports against the first of them; with --output, on a page as well."""
    methods = read_methods(options.reports)
    for report, method in zip(options.reports[1:], methods[1:], strict=True):
        print(comparison_text(methods[0].samples, method.samples, (options.reports[0], report)))
    if options.output:
        write_page(options.output, methods, paper_rows() if options.paper else None)
        write_strips(Path(options.output) / PICTURES, side_by_side(methods))
        print(f"\n{PAGE}, {CURVES} and {PICTURES} are in {options.output}")


def build_pairs(options: argparse.Namespace, read: PairReader) -> list[Pair]:
    """The pairs of the manifest when there is one, else made by the pairing rule."""
    if options.manifest and os.path.exists(options.manifest):
        tell(f"pairs from {options.manifest}")
        with naming("--manifest"):
            return spread(read_manifest(options.manifest, read.images, read.masks), options.limit)
    if options.reports:
        manifest = Path(options.reports[0]).with_name("manifest.csv")
        tell(f"pairs from {manifest}")
        with naming("--compare"):
            return spread(read_manifest(manifest, read.images, read.masks), options.limit)
    if options.images is None:
        tell(f"no --images: sample photos of scikit-image, {options.size}x{options.size}")
    if options.masks is None and not options.super_resolution:
        tell("no --masks: generated masks, all buckets evenly")
    return choose_pairs(options.images, options.masks, options.seed, options.limit, options.super_resolution)


def refuse_other_masks(pairs: Sequence[Pair], factor: int | None) -> None:
    """Pairs from a file are filled as they are meant to be, or not at all."""
    expected = mask_name(factor) if factor else None
    if other := next((p.mask for p in pairs if p.mask != expected and (factor or p.mask.startswith(MASK))), None):
        wanted = f"of {other.removeprefix(MASK)}" if other.startswith(MASK) else "of none"
        got = f"--super_resolution {factor}" if factor else "none"
        raise InputError(f"expected --super_resolution {wanted}, of which the pairs are, got {got}; change one of them")


def build_method(options: argparse.Namespace):
    """The function that fills holes, what the report says of it, and what watches the reach of single passes."""
    versions = library_versions()
    if options.method:
        about = {"method": options.method, "weights_sha256": None, "versions": versions}
        if options.method in INTERPOLATIONS:
            return filling(options.method, options.super_resolution), about, None
        return CLASSICAL[options.method], about, None
    setup_device(options.device, options.threads)
    import paddle

    from inpainting import Inpainter
    from inpainting.checkpoint import weights_directory, weights_file
    from inpainting.reach import ReachWatch

    with naming("--weights"):
        directory = weights_directory(options.weights or DEFAULT_WEIGHTS, exported=True)
        inpainter = Inpainter.from_checkpoint(
            directory, options.precision, options.scales, options.detail, flip_of(options)
        )
    about = {
        "method": inpainter.model.model_name,
        "weights_sha256": sha256_of(weights_file(directory)),
        "flip": inpainter.flip and options.protocol != "raw",
        "device": paddle.get_device(),
        "versions": {"paddle": paddle.__version__, **versions},
    }
    watch = ReachWatch(inpainter) if options.scales == 1 else None
    fill = inpainter.in_one_pass if options.super_resolution else inpainter
    return inpainter.raw if options.protocol == "raw" else fill, about, watch


def build_distance(options: argparse.Namespace):
    """What --vgg_distance measures with, if it is given."""
    if not options.vgg_distance:
        return None
    setup_device(options.device, options.threads)
    from metrics.perceptual import VGGDistance

    return VGGDistance()


def identify(options: argparse.Namespace, about: dict) -> dict:
    """All that decides the figures of a pair; which pairs there are is left open."""
    chosen = ("protocol", "scales", "detail", "precision", "size", "hole", "threads", "vgg_distance")
    roots = {key: str(Path(value).resolve()) for key in ("images", "masks") if (value := getattr(options, key))}
    return {**about, **{key: getattr(options, key) for key in chosen}, **roots}


def write(
    options: argparse.Namespace,
    about: dict,
    samples: list[Sample],
    unreadable: int,
    show: Callable[[list[tuple[str, Sample]]], list[Strip]],
    earlier: list[Method],
) -> None:
    """Write the report, and print its table.

    Args:
        show: makes of ranks and samples what is to be seen of them.
        earlier: an evaluation that this one is set against, if there is one.
    """
    rows, pairs = rows_with_spread(samples), describe_pairs(samples, unreadable)
    paper = paper_rows() if options.paper else None
    table, protocol = markdown_table(rows, paper), describe(options, about, pairs)
    write_report(options.output, protocol, rows, samples, table)
    strips = show(choose_as(earlier[0].strips, samples) if earlier and earlier[0].strips else choose(samples))
    write_strips(Path(options.output) / PICTURES, strips)
    if options.manifest and not os.path.exists(options.manifest):
        write_manifest(options.manifest, samples)
    if note := outside_note(pairs):
        tell(note)
    print(table)
    this = Method(about["method"], protocol, samples, strips, rows)
    methods = [this]
    if earlier:
        methods = set_beside(earlier[0], options.reports[0], this, options.output)
        print("\n" + comparison_text(*(method.samples for method in methods), tuple(method.name for method in methods)))
    write_page(options.output, methods, paper)
    print(f"\n{PAGE}, {PICTURES}, {CURVES}, report.json, .csv, .md, samples.csv, manifest.csv are in {options.output}")


def describe(options: argparse.Namespace, about: dict, pairs: dict) -> dict:
    """The protocol block of the report: all that decides the figures, and nothing that changes between two runs."""
    return {
        "method": about["method"],
        "weights_sha256": about["weights_sha256"],
        "protocol": options.protocol,
        "measures": {
            **PROTOCOLS[options.protocol].about,
            **({"vgg_distance": VGG_DISTANCE} if options.vgg_distance else {}),
        },
        "scales": None if options.method else options.scales,
        "detail": None if options.method else options.detail,
        "flip": about.get("flip"),
        "precision": None if options.method else options.precision,
        "size": options.size,
        "hole": options.hole,
        "super_resolution": options.super_resolution,
        "seed": options.seed,
        "limit": options.limit,
        **pairs,
        "versions": about["versions"],
    }


def tell(line: str) -> None:
    print(line, file=sys.stderr)


def _root(source: str | None) -> Path | None:
    return None if source is None else root_of(source)


if __name__ == "__main__":
    run_cleanly(main)
