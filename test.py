"""Fill the holes of a picture or a folder of pictures: ``python test.py --help``.

Pictures keep their size, format, transparency, profile and metadata; in lossless formats pixels outside the hole come
back bit for bit. A failure is one line; in a folder the other pictures are still filled.
"""

import argparse
import errno
import sys
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from datasets.holes import Marks
from datasets.images import SUFFIXES, list_pictures, write_picture
from datasets.masks import polarity_warning, write_mask
from datasets.photographs import refuse_what_does_not_fit, write_photograph
from inpainting.jobs import Job, photograph_jobs, sample_jobs, with_marks
from inpainting.results import Results
from options import check_folder, detail_of, flip_of, parse_fill, setup_device
from utils.errors import InputError, describe_os_error, naming, one_line, run_cleanly


def main(argv: Sequence[str] | None = None) -> None:
    options = parse_fill(argv)
    output = Path(options.output)
    if output.suffix.lower() in SUFFIXES and not output.is_dir():
        raise InputError(f"--output: expected a folder, got a picture's name, {output}")
    check_folder("--output", output)
    everything = list_jobs(options)
    jobs = [job for job in everything if not (options.skip_existing and (output / job.file).is_file())]
    results = Results(output, options.overwrite)
    results.plan(((file, job.source) for job in jobs for file in result_files(job, options)), files_read(options))
    if jobs:
        fill_all(jobs, load(options), results, options)
    skipped = f", {len(everything) - len(jobs)} there already" if options.skip_existing else ""
    print(f"{len(jobs)} filled{skipped}: {output}")


def list_jobs(options: argparse.Namespace) -> list[Job]:
    """The pictures to fill and where, without reading them."""
    marks = Marks(
        file=options.mask and Path(options.mask),
        white=options.hole == "white",
        alpha=options.mask_alpha,
        colour=options.mask_colour,
        boxes=options.box or (),
        polygons=options.polygon or (),
        dilate=options.dilate,
    )
    how = options.format, options.lossless
    with naming("--input"):
        if options.input is None:
            jobs = sample_jobs(*how)
        else:
            jobs = photograph_jobs(options.input, *how, [options.mask, options.output], options.list_root)
    with naming("--mask"):
        return with_marks(jobs, marks, None if options.extend else options.seed)


def load(options: argparse.Namespace):
    """The inpainter on the chosen device."""
    setup_device(options.device, options.threads)
    from inpainting import Inpainter
    from inpainting.checkpoint import read_meta, weights_directory

    with naming("--weights"):
        about = read_meta(weights_directory(options.weights, exported=True)).get("about")
        inpainter = Inpainter.from_checkpoint(options.weights, options.scales, detail_of(options), flip_of(options))
    if about:
        print(f"{options.weights}: {about}")
    return inpainter


def fill_all(jobs: list[Job], inpainter, results: Results, options: argparse.Namespace) -> None:
    """Fill one picture after another; failures are listed at the end, also after Ctrl-C."""
    failures = []
    try:
        for job in tqdm(jobs, unit="picture", desc="fill"):
            if line := attempt(job, inpainter, results, options):
                failures.append(line)
    finally:
        if len(jobs) > 1:
            print("".join(f"failed: {one_line(line)}\n" for line in failures), end="", file=sys.stderr)
    if any(not job.encoding.lossless for job in jobs):
        print("note: JPEG and lossy WebP change known pixels a little, too; --lossless writes PNG", file=sys.stderr)
    if failures and len(jobs) > 1:
        raise InputError(
            f"{len(failures)} of {len(jobs)} pictures could not be filled, named above; the others are in "
            f"{results.folder}"
        )
    if failures:
        raise InputError(failures[0])


def attempt(job: Job, inpainter, results: Results, options: argparse.Namespace) -> str | None:
    """Fill one picture and write the results; returns an error message, or None."""
    try:
        if options.super_resolution:
            enlarge(job, inpainter, results, options.super_resolution)
        else:
            fill(job, inpainter, results, options)
    except InputError as error:
        return str(error) if job.source in str(error) else f"{job.source}: {error}"
    except OSError as error:  # for instance a name that is too long, or a folder without permission
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EPIPE):
            raise
        return f"{job.source}: {describe_os_error(error)}"


def fill(job: Job, inpainter, results: Results, options: argparse.Namespace) -> None:
    from inpainting.photographs import extend_photograph, fill_photograph
    from inpainting.views import for_viewing, sample_row

    photograph = job.read()
    hole, notes = job.hole(photograph)
    if job.marks.opens_transparency:
        photograph = photograph.opaque()
    if options.extend:
        photograph, hole = extend_photograph(photograph, hole, options.extend)
    refuse_what_does_not_fit(job.source, photograph, job.encoding)
    tell(job, "note", *photograph.notes, *notes)
    tell(job, "warning", *warnings(job, inpainter, photograph, hole))
    result = fill_photograph(inpainter, photograph, hole)
    if job.is_generated:
        with results.new(f"{job.name}_mask.png") as path:
            write_mask(path, ~hole)
    if options.grid:
        seen, seen_hole, seen_result = for_viewing(photograph.pixels, hole, result.pixels)
        with results.new(f"{job.name}_grid.png") as path:
            write_picture(path, sample_row(seen, ~seen_hole, inpainter.views(seen, seen_hole), seen_result))
    with results.new(job.file) as path:  # last, so that --skip_existing finds complete results only
        tell(job, "note", *write_photograph(path, result, job.encoding))


def enlarge(job: Job, inpainter, results: Results, factor: int) -> None:
    """``fill`` for super-resolution: the pixels are placed on a larger grid, and those between are filled."""
    from inpainting.enlarging import spread_photograph
    from inpainting.photographs import fill_photograph

    photograph = job.read()
    large, hole = spread_photograph(photograph, factor)
    refuse_what_does_not_fit(job.source, large, job.encoding)
    tell(job, "note", *photograph.notes)
    result = fill_photograph(inpainter.in_one_pass, large, hole)
    with results.new(job.file) as path:
        tell(job, "note", *write_photograph(path, result, job.encoding))


def warnings(job: Job, inpainter, photograph, hole) -> list[str]:
    """Warnings about a hole that may not be meant so."""
    found = [polarity_warning(float(hole.mean())) if job.marks.is_mask_file else None]
    if not hole.any():
        found.append("the mask has no hole, the picture comes back as it is")
    elif photograph.alpha is not None and not photograph.alpha[hole].any():
        found.append("the hole is where the picture is fully transparent: nothing visible changes; see --mask_alpha")
    if inpainter.scales == 1 and not inpainter.reaches(hole):
        found.append("the hole is too wide for the network, its middle comes back black: take --scales auto")
    return [line for line in found if line]


def tell(job: Job, kind: str, *lines: str) -> None:
    for line in lines:
        tqdm.write(one_line(f"{kind}: {job.name}: {line}"), file=sys.stderr)


def result_files(job: Job, options: argparse.Namespace) -> list[str]:
    """The names of all files that ``fill`` writes for a picture."""
    is_drawn = job.is_generated and not options.super_resolution
    kinds = {"_mask": is_drawn, "_grid": options.grid}
    return [job.file, *(f"{job.name}{kind}.png" for kind, is_written in kinds.items() if is_written)]


def files_read(options: argparse.Namespace) -> list[Path]:
    """All pictures and masks that are given, which no result may replace."""
    others, source = [options.mask, options.output], options.input
    pictures = list_pictures(source, others, options.list_root) if source is not None else []
    return pictures + (list_pictures(options.mask) if options.mask is not None else [])


if __name__ == "__main__":
    run_cleanly(main)
