"""Fill the holes of a picture or a folder of pictures: ``python test.py --help``.

Pictures keep their size, and pixels outside the hole come back bit for bit (results are PNG). A failure is told in
one line; in a folder the other pictures are still filled.
"""

import argparse
import os
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from datasets.images import list_pictures, read_picture, sample_face, sample_photo, write_picture
from datasets.mask_generator import generate_mask
from datasets.masks import BUCKETS, hole_ratio, polarity_warning, read_mask, write_mask
from errors import InputError, run_cleanly
from inpainting.results import Results
from options import fill_parser, setup_device


@dataclass(frozen=True)
class Job:
    """One picture to fill: where it and its mask come from, and the result's name without suffix."""

    name: str
    source: str
    picture: Callable[[], np.ndarray]
    mask: Callable[[np.ndarray], np.ndarray]
    mask_is_generated: bool


def main(argv: Sequence[str] | None = None) -> None:
    options = fill_parser().parse_args(argv)
    output = Path(options.output)
    if output.exists() and not output.is_dir():
        raise InputError(f"--output: expected a folder, got the file {output}; choose another name")
    jobs, results = list_jobs(options), Results(output, options.overwrite)
    results.plan(((file, job.source) for job in jobs for file in result_files(job, options)), files_read(options))
    setup_device(options.device, options.threads)
    from inpainting import Inpainter
    from inpainting.checkpoint import read_meta, weights_directory

    about = read_meta(weights_directory(options.weights, exported=True)).get("about")
    inpainter = Inpainter.from_checkpoint(options.weights, options.precision, options.scales)
    if options.show_attention and not inpainter.has_attention:
        raise InputError(
            f"--show_attention: expected weights of deepfill_v1, not exported, got {options.weights}, which have no "
            "attention to show"
        )
    if about:
        print(f"{options.weights}: {about}")
    progress = tqdm(jobs, unit="picture", desc="fill")
    failures = [line for job in progress if (line := attempt(job, inpainter, results, options))]
    if failures and len(jobs) > 1:
        print("\n".join(f"failed: {line}" for line in failures), file=sys.stderr)
        raise InputError(
            f"{len(failures)} of {len(jobs)} pictures could not be filled, named above; the others are in {output}"
        )
    if failures:
        raise InputError(failures[0])
    print(f"{len(jobs)} filled: {output}")


def attempt(job: Job, inpainter, results: Results, options: argparse.Namespace) -> str | None:
    """Fill one picture and write the results; the line that says why not, if not."""
    try:
        fill(job, inpainter, results, options.grid, options.show_attention)
    except InputError as error:
        return str(error)


def fill(job: Job, inpainter, results: Results, grid: bool, show_attention: bool) -> None:
    from inpainting.reach import reach_warning
    from inpainting.views import sample_row

    picture = job.picture()
    mask = job.mask(picture)
    if mask.shape != picture.shape[:2]:
        (h, w), (mask_h, mask_w) = picture.shape[:2], mask.shape
        raise InputError(
            f"{job.name}: expected a mask of the picture's size {w}x{h}, got {mask_w}x{mask_h}; resize it (nearest)"
        )
    if warning := polarity_warning(hole_ratio(mask)):
        tqdm.write(f"warning: {job.name}: {warning}", file=sys.stderr)
    if mask.all():
        tqdm.write(f"warning: {job.name}: the mask has no hole, the picture comes back as it is", file=sys.stderr)
    if inpainter.scales == 1 and (warning := reach_warning(inpainter.unreached(mask == 0))):
        tqdm.write(f"warning: {job.name}: {warning}", file=sys.stderr)
    result = inpainter(picture, mask == 0)
    with results.new(f"{job.name}.png") as path:
        write_picture(path, result)
    if job.mask_is_generated:
        with results.new(f"{job.name}_mask.png") as path:
            write_mask(path, mask)
    if not (grid or show_attention):
        return
    views = inpainter.views(picture, mask == 0)
    if grid:
        with results.new(f"{job.name}_grid.png") as path:
            write_picture(path, sample_row(picture, mask, views, result))
    if show_attention:
        with results.new(f"{job.name}_attention.png") as path:
            write_picture(path, views["attention"])


def result_files(job: Job, options: argparse.Namespace) -> list[str]:
    """The names of all that ``fill`` writes for a picture."""
    kinds = {"": True, "_mask": job.mask_is_generated, "_grid": options.grid, "_attention": options.show_attention}
    return [f"{job.name}{kind}.png" for kind, is_written in kinds.items() if is_written]


def files_read(options: argparse.Namespace) -> list[Path]:
    """All pictures and masks that are given, also masks of other pictures."""
    return [path for source in (options.input, options.mask) if source is not None for path in list_pictures(source)]


def list_jobs(options: argparse.Namespace) -> list[Job]:
    """The pictures to fill, each with its mask, as far as that can be told without reading them."""
    if options.input is None:
        sources = {
            "face": sample_face,
            "coffee": lambda: sample_photo("coffee"),
            "chelsea": lambda: sample_photo("chelsea"),
        }
        found = [(name, name, read) for name, read in sources.items()]
    else:
        paths = list_pictures(options.input)
        names = result_names(paths, options.input)
        found = [
            (name, str(path), lambda path=path: read_picture(path)) for name, path in zip(names, paths, strict=True)
        ]
    if options.mask is None:
        return [Job(*given, generated_mask(options.seed, i), True) for i, given in enumerate(found)]
    find = mask_finder(Path(options.mask))
    return [Job(*given, file_mask(find(given[0]), options.hole), False) for given in found]


def result_names(paths: list[Path], root: str) -> list[str]:
    """Name of each result: the picture's path below the folder, without its suffix unless two would be the same.

    Of a list file the pictures' names do, where these differ.
    """
    if Path(root).is_dir():
        relative = [path.relative_to(root) for path in paths]
    elif len({path.stem.casefold() for path in paths}) == len(paths):
        relative = [Path(path.name) for path in paths]
    else:
        absolute = [Path(os.path.abspath(path)) for path in paths]
        relative = [path.relative_to(os.path.commonpath([p.parent for p in absolute])) for path in absolute]
    stems = [path.with_suffix("").as_posix() for path in relative]
    count = Counter(stems)
    return [stem if count[stem] == 1 else path.as_posix() for stem, path in zip(stems, relative, strict=True)]


def mask_finder(source: Path) -> Callable[[str], Path]:
    """From a picture's name to its mask: the one file, or the file of that name in a folder."""
    if not source.is_dir():
        [single] = list_pictures(source)
        return lambda name: single
    by_name = {path.relative_to(source).with_suffix("").as_posix(): path for path in list_pictures(source)}

    def find(name: str) -> Path:
        if name not in by_name:
            raise InputError(
                f"--mask: expected {source}/{name}.png, a mask with the picture's name, got none; "
                "add it, or give one mask file for all"
            )
        return by_name[name]

    return find


def file_mask(path: Path, hole: str) -> Callable[[np.ndarray], np.ndarray]:
    return lambda picture: read_mask(path, hole)


def generated_mask(seed: int, index: int) -> Callable[[np.ndarray], np.ndarray]:
    """An irregular hole over 10 to 30 % of the picture."""

    def generate(picture: np.ndarray) -> np.ndarray:
        height, width = picture.shape[:2]
        return generate_mask(np.random.default_rng([seed, index]), height, width, BUCKETS[1 + index % 2], border=False)

    return generate


if __name__ == "__main__":
    run_cleanly(main)
