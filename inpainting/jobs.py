"""Which photographs are filled, where, and what their results are called; nothing is read here but first bytes."""

import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from datasets.holes import Marks, find_hole, grow_hole
from datasets.images import list_pictures, sample_face, sample_photo
from datasets.mask_generator import generate_mask
from datasets.masks import BUCKETS
from datasets.photographs import SUFFIXES, Encoding, Photograph, encoding_of, read_photograph, result_encoding
from utils.errors import InputError

SAMPLES: dict[str, Callable[[], np.ndarray]] = {
    "face": sample_face,
    "coffee": lambda: sample_photo("coffee"),
    "chelsea": lambda: sample_photo("chelsea"),
}
NOTHING = Marks()


@dataclass(frozen=True)
class Job:
    """One photograph to fill.

    Args:
        name: of what is written beside the result, with something behind it.
        file: the result's name.
        source: the photograph, as a person knows it.
        encoding: how the result is written.
        read: reads it.
        marks: where it is to be filled; where they say nothing, the hole is generated.
        seed: of a generated hole; None where there is to be none.
    """

    name: str
    file: str
    source: str
    encoding: Encoding
    read: Callable[[], Photograph]
    marks: Marks = NOTHING
    seed: tuple[int, int] | None = (0, 0)

    @property
    def is_generated(self) -> bool:
        """Whether the hole is."""
        return self.marks.is_empty and self.seed is not None

    def hole(self, photograph: Photograph) -> tuple[np.ndarray, list[str]]:
        """As ``datasets.holes.find_hole``; a generated one is irregular and covers 10 to 30 % of the picture."""
        if not self.is_generated:
            return find_hole(photograph, self.marks)
        bucket = BUCKETS[1 + self.seed[1] % 2]
        mask = generate_mask(np.random.default_rng(self.seed), *photograph.size, bucket, border=False)
        return grow_hole(mask == 0, self.marks.dilate), []


def sample_jobs(wanted: str | None = None, lossless: bool = False) -> list[Job]:
    """scikit-image's photographs, which are filled when none are given; arguments as in ``result_encoding``."""
    encoding = result_encoding(Encoding(), wanted, lossless)
    return [
        Job(name, name + encoding.suffix, name, encoding, lambda read=read: Photograph(read()))
        for name, read in SAMPLES.items()
    ]


def photograph_jobs(source: str | os.PathLike, wanted: str | None = None, lossless: bool = False) -> list[Job]:
    """The photographs of a folder, a list file, or one; ``wanted`` and ``lossless`` as in ``result_encoding``.

    A result has the photograph's path below the folder. Where its suffix is not one of the format that is written, it
    has another; and so have, behind their own, those that would then have the same name.
    """
    paths = list_pictures(source)
    jobs = []
    for path, relative, name in zip(paths, *_names(paths, source), strict=True):
        encoding = result_encoding(encoding_of(path), wanted, lossless)
        keeps = relative.suffix.lower() in SUFFIXES[encoding.format]
        file = relative.as_posix() if keeps and wanted is None else name + encoding.suffix
        jobs.append(Job(name, file, str(path), encoding, lambda path=path: read_photograph(path)))
    return jobs


def _names(paths: list[Path], source: str | os.PathLike) -> tuple[list[Path], list[str]]:
    """Paths below the folder, and names: the same without suffix unless two would be alike.

    Of a list file the pictures' names do, where these differ.
    """
    if Path(source).is_dir():
        relative = [path.relative_to(source) for path in paths]
    elif len({path.stem.casefold() for path in paths}) == len(paths):
        relative = [Path(path.name) for path in paths]
    else:
        absolute = [Path(os.path.abspath(path)) for path in paths]
        relative = [path.relative_to(os.path.commonpath([p.parent for p in absolute])) for path in absolute]
    stems = [path.with_suffix("").as_posix() for path in relative]
    count = Counter(stems)
    return relative, [stem if count[stem] == 1 else path.as_posix() for stem, path in zip(stems, relative, strict=True)]


def with_marks(jobs: list[Job], marks: Marks, seed: int | None = 0) -> list[Job]:
    """The jobs, each with where it is to be filled.

    Args:
        marks: its ``file`` may be a folder with a file of each photograph's name; where it says nothing, holes are
            generated.
        seed: of generated holes; None for none.
    Raises:
        InputError: a photograph's mask is missing.
    """
    find = _mask_finder(marks.file) if marks.file else lambda name: None
    return [
        replace(job, marks=replace(marks, file=find(job.name)), seed=None if seed is None else (seed, i))
        for i, job in enumerate(jobs)
    ]


def _mask_finder(source: Path) -> Callable[[str], Path]:
    """From a picture's name to its mask: the one file, or the file of that name in a folder."""
    masks = list_pictures(source)
    if not source.is_dir():
        if len(masks) > 1:
            raise InputError(f"--mask: expected one mask or a folder of them, got a list of {len(masks)} in {source}")
        return lambda name: masks[0]
    by_name = {path.relative_to(source).with_suffix("").as_posix(): path for path in masks}

    def find(name: str) -> Path:
        if name not in by_name:
            raise InputError(
                f"--mask: expected {source}/{name}.png, a mask with the picture's name, got none; "
                "add it, or give one mask file for all"
            )
        return by_name[name]

    return find
