"""Measure a model or a classical method: L1, PSNR, SSIM and realism by mask area, the same digits every run.

python eval.py --images data/celeba/val.txt --masks data/irregular_masks --size 256 --method telea

Classical methods do without Paddle, which is imported for a model or for --realism only.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from datasets.masks import emptiness_warning, polarity_warning
from datasets.super_resolution import MASK, mask_name
from inpainting.classical import CLASSICAL, patchmatch_library
from inpainting.enlarging import INTERPOLATIONS, fill_between
from inpainting.results import Results
from metrics.buckets import Sample
from metrics.comparison import Method, check_alike, comparison_text, names_of, read_methods
from metrics.evaluator import Evaluation, PairReader, evaluate
from metrics.manifest import (
    Pair,
    file_names,
    finished_pictures,
    generated_names,
    names_match,
    pair_by_name,
    pair_up,
    read_manifest,
    root_of,
    sample_names,
    spread,
)
from metrics.page import CURVES, PAGE, page_files
from metrics.partial import PartialSamples, stamp_of
from metrics.pictures import NAME as PICTURES
from metrics.pictures import choose, strips_of, strips_png
from metrics.protocols import PROTOCOLS
from metrics.report import (
    REALISM_ABOUT,
    describe_pairs,
    library_versions,
    manifest_csv,
    markdown_table,
    pairs_digest,
    papers_figures,
    report_files,
    rows_with_spread,
)
from options import DEFAULT_WEIGHTS, flip_of, parse_evaluate, setup_device
from options.evaluate import size_text
from utils.errors import InputError, naming, run_cleanly
from utils.files import atomic_path, sha256_of

REPORTS = ("report.json", "report.csv", "report.md", "samples.csv", "manifest.csv")
SHOWN = (PAGE, CURVES, PICTURES)


def main(argv: Sequence[str] | None = None) -> None:
    options = parse_evaluate(argv)
    if len(options.reports) > 1:
        compare(options)
        return
    results = results_folder(options, (*REPORTS, *SHOWN))
    images = options.images and root_of(options.images, options.list_root)
    read = PairReader(images, options.masks and root_of(options.masks), options.hole, options.size)
    pairs = build_pairs(options, read)
    earlier = earlier_method(options, pairs)
    evaluation, about = build_evaluation(options, read, pairs)
    with PartialSamples(results.folder, identify(options, about, pairs, evaluation)) as before:
        if known := len(before.known):
            tell(f"going on: {known} of {len(pairs)} pairs were measured before ({before.path})")
        samples, refused = evaluate(pairs, evaluation, options.num_workers, before.known, before.add)
        write(options, results, about, samples, len(refused), evaluation, earlier)
    if refused:
        tell(f"{len(refused)} of {len(pairs)} pairs could not be read or filled, named above: the report lacks them")
        sys.exit(1)


def compare(options: argparse.Namespace) -> None:
    """Set reports against the first of them; with --output, on a page as well."""
    results = results_folder(options, (PAGE, CURVES)) if options.output else None
    first, *others = read_methods(options.reports)
    print("\n\n".join(comparison_text(first, method) for method in others))
    if results:
        write_files(results, page_files([first, *others], *(papers_figures() if options.paper else ())))
        print(f"\n{PAGE} and {CURVES} are in {options.output}")


def results_folder(options: argparse.Namespace, names: Sequence[str]) -> Results:
    """The folder of the report, in which no file of others is replaced."""
    results = Results(options.output, options.overwrite)
    results.plan([(name, "the report") for name in names], [])
    return results


def build_pairs(options: argparse.Namespace, read: PairReader) -> list[Pair]:
    """The pairs of a manifest or an earlier report where there is one, else made by the pairing rule."""
    manifest = None
    if options.manifest and os.path.exists(options.manifest):
        manifest, option = options.manifest, "--manifest"
    elif options.reports:
        manifest, option = Path(options.reports[0]).with_name("manifest.csv"), "--compare"
    if manifest:
        tell(f"pairs from {manifest}")
        with naming(option):
            pairs = spread(read_manifest(manifest, read.images, read.masks), options.limit)
        factor = options.super_resolution
        other = [p.mask for p in pairs if (p.mask != mask_name(factor) if factor else p.mask.startswith(MASK))]
        if other:
            given = f"--super_resolution {factor}" if factor else "no --super_resolution"
            raise InputError(f"{option}: expected pairs made with {given}, got the mask {other[0]}; change one of them")
        return pairs
    return make_pairs(options)


def make_pairs(options: argparse.Namespace) -> list[Pair]:
    """Pairs of files, sample photos and generated masks; what one option names is not taken for another's."""
    others = (options.images, options.masks, options.results, options.output)
    if options.images is None:
        tell(f"no --images: sample photos of scikit-image, {size_text(options.size)} pixels")
    with naming("--images"):
        pictures = file_names(options.images, others, options.list_root) if options.images else sample_names()
    if options.super_resolution:
        return spread([Pair(picture, mask_name(options.super_resolution)) for picture in pictures], options.limit)
    if options.masks is None:
        tell("no --masks: generated masks, all buckets evenly")
    with naming("--masks"):
        masks = file_names(options.masks, others) if options.masks else generated_names(len(pictures), options.seed)
    if options.pairing == "seeded" or not (options.pairing or names_match(pictures, masks)):
        return pair_up(pictures, masks, options.seed, options.limit)
    pairs = pair_by_name(pictures, masks)
    tell(f"each mask lies over the picture of its name, {len(pictures) - len(pairs)} pictures have none")
    return spread(pairs, options.limit)


def earlier_method(options: argparse.Namespace, pairs: Sequence[Pair]) -> Method | None:
    """The evaluation that this one is set against, if there is one, with the pairs that are measured now."""
    if not options.reports:
        return None
    [earlier] = read_methods(options.reports)
    measured = {"protocol": options.protocol, "size": size_text(options.size), "hole": options.hole}
    check_alike(earlier, "this evaluation", measured)
    return earlier.of(pairs)


def build_evaluation(options: argparse.Namespace, read: PairReader, pairs: Sequence[Pair]):
    """How pairs are measured, and what the report says of the method."""
    versions, realism = library_versions(), None
    about = {"method": options.method, "weights_sha256": None, "versions": versions}
    if options.results:
        inpaint = finished_pictures(options.results, pairs)
        about["method"] = Path(options.results).resolve().name
    elif options.method in INTERPOLATIONS:
        inpaint = partial(fill_between, name=options.method, factor=options.super_resolution)
    elif options.method:
        if options.method == "patchmatch":
            with naming("--method"):
                patchmatch_library()
        inpaint = CLASSICAL[options.method]
    else:
        inpaint, about = build_network(options, versions)
    if options.realism:
        setup_device(options.device, options.threads)
        from metrics.realism import Realism

        realism = Realism()
    fills_here = options.realism or not (options.method or options.results)
    return Evaluation(read, inpaint, options.protocol, realism, fills_here), about


def build_network(options: argparse.Namespace, versions: dict):
    """The function that fills holes by a network, and what the report says of it."""
    setup_device(options.device, options.threads)
    import paddle

    from inpainting import Inpainter
    from inpainting.checkpoint import weights_directory, weights_file

    with naming("--weights"):
        directory = weights_directory(options.weights or DEFAULT_WEIGHTS, exported=True)
        inpainter = Inpainter.from_checkpoint(directory, options.scales, options.detail, flip_of(options))
    about = {
        "method": inpainter.model.model_name,
        "weights_sha256": sha256_of(weights_file(directory)),
        "flip": options.protocol != "raw" and inpainter.flip,
        "device": paddle.get_device(),
        "versions": {"paddle": paddle.__version__, **versions},
    }
    fill = inpainter.in_one_pass if options.super_resolution else inpainter
    return inpainter.raw if options.protocol == "raw" else fill, about


def identify(options: argparse.Namespace, about: dict, pairs: Sequence[Pair], evaluation: Evaluation) -> dict:
    """All that decides the figures, as JSON can hold it: the options, the pairs and the state of their files."""
    finished = evaluation.inpaint.values() if options.results else ()
    files = [*evaluation.read.paths(pairs), *finished]
    pairs = {"pairs": pairs_digest(pairs), "files": stamp_of(files)}
    return {**describe(options, about, pairs), "device": about.get("device"), "threads": options.threads}


def write(
    options: argparse.Namespace,
    results: Results,
    about: dict,
    samples: list[Sample],
    refused: int,
    evaluation: Evaluation,
    earlier: Method | None,
) -> None:
    """Write the report, and print its table.

    Args:
        refused: how many pairs could not be read or filled.
        earlier: what the report is set against.
    """
    rows, pairs = rows_with_spread(samples), describe_pairs(samples, refused)
    paper = papers_figures("PM" if options.method == "patchmatch" else "PConv") if options.paper else ()
    table, protocol = markdown_table(rows, *paper), describe(options, about, pairs)
    strips = strips_of(chosen(samples, earlier), evaluation)
    methods = [Method(about["method"], protocol, samples, rows, strips)]
    if earlier:
        names = names_of([options.reports[0], Path(options.output) / "report.json"])
        methods.insert(0, earlier.of([Pair(sample.image, sample.mask) for sample in samples]))
        methods = [replace(method, name=name) for method, name in zip(methods, names, strict=True)]
    files = report_files(protocol, rows, samples, table) | page_files(methods, *paper)
    write_files(results, files | ({PICTURES: strips_png(strips)} if strips else {}))
    if options.manifest and not os.path.exists(options.manifest):
        with atomic_path(options.manifest) as temporary:
            temporary.write_bytes(manifest_csv(samples))
    ratio = sum(sample.hole_ratio for sample in samples) / len(samples)
    if not options.super_resolution and (warning := polarity_warning(ratio) or emptiness_warning(ratio)):
        tell(f"warning: {warning}")
    if outside := pairs["outside_buckets"]:
        tell(f"{outside} of {len(samples)} pairs lie outside the buckets: only the row over all pairs counts them")
    print(table)
    if earlier:
        print("\n" + comparison_text(*methods))
    print(f"\n{', '.join((*SHOWN, *REPORTS))} are in {options.output}")


def chosen(samples: Sequence[Sample], earlier: Method | None) -> list[tuple[str, Sample]]:
    """Rank and sample of the pairs to show: those that the earlier evaluation shows, where there is one."""
    if not earlier or not earlier.strips:
        return choose(samples)
    ranks = {(strip.image, strip.mask): strip.rank for strip in earlier.strips}
    by_pair = {(sample.image, sample.mask): sample for sample in samples}
    return [(rank, by_pair[pair]) for pair, rank in ranks.items() if pair in by_pair]


def write_files(results: Results, files: dict[str, bytes]) -> None:
    for name, content in files.items():
        with results.new(name) as temporary:
            temporary.write_bytes(content)


def describe(options: argparse.Namespace, about: dict, pairs: dict) -> dict:
    """The protocol block of the report: all that decides the figures, and nothing that changes between two runs."""
    network = not (options.method or options.results)
    return {
        "method": about["method"],
        "weights_sha256": about["weights_sha256"],
        "protocol": options.protocol,
        "measures": PROTOCOLS[options.protocol].about | (REALISM_ABOUT if options.realism else {}),
        "scales": options.scales if network else None,
        "detail": options.detail if network else None,
        "flip": about.get("flip"),
        "size": size_text(options.size),
        "hole": options.hole,
        "super_resolution": options.super_resolution,
        "seed": options.seed,
        "limit": options.limit,
        **pairs,
        "versions": about["versions"],
    }


def tell(line: str) -> None:
    print(line, file=sys.stderr)


if __name__ == "__main__":
    run_cleanly(main)
