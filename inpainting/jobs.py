"""Which photographs are filled, where, and the names of the results; only first bytes of files are read here."""

import os
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from datasets.holes import Marks, find_hole, grow_hole
from datasets.images import list_pictures, sample_face, sample_photo
from datasets.mask_generator import generate_mask
from datasets.masks import BUCKETS
from datasets.pairing import pair_by_name
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
        name: stem of further files beside the result (``NAME_grid.png``).
        file: the result's name.
        source: the photograph's path or name, for messages.
        encoding: how the result is written.
        read: reads it.
        marks: where it is to be filled; if empty, the hole is generated.
        seed: of a generated hole; None for none.
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
        """Whether the hole is generated."""
        return self.marks.is_empty and self.seed is not None

    def hole(self, photograph: Photograph) -> tuple[np.ndarray, list[str]]:
        """As ``datasets.holes.find_hole``; a generated one is irregular and covers 10 to 30 % of the picture."""
        if not self.is_generated:
            return find_hole(photograph, self.marks)
        bucket = BUCKETS[1 + self.seed[1] % 2]
        mask = generate_mask(np.random.default_rng(self.seed), *photograph.size, bucket, border=False)
        return grow_hole(mask == 0, self.marks.dilate), []


def sample_jobs(wanted: str | None = None, lossless: bool = False) -> list[Job]:
    """scikit-image's photographs, the default input; arguments as in ``result_encoding``."""
    encoding = result_encoding(Encoding(), wanted, lossless)
    return [
        Job(name, name + encoding.suffix, name, encoding, lambda read=read: Photograph(read()))
        for name, read in SAMPLES.items()
    ]


def photograph_jobs(
    source: str | os.PathLike,
    wanted: str | None = None,
    lossless: bool = False,
    leave_out: Iterable[str | os.PathLike | None] = (),
    list_root: str | os.PathLike | None = None,
) -> list[Job]:
    """The photographs of a folder, a list file, or one.

    Args:
        wanted, lossless: as in ``result_encoding``.
        leave_out, list_root: as in ``list_pictures``.

    A result has the photograph's path below the folder, with the suffix of the written format. If two results would
    have the same name, the new suffix is appended to the old one.
    """
    paths = list_pictures(source, leave_out, list_root)
    jobs = []
    for path, relative, name in zip(paths, *_names(paths, source), strict=True):
        encoding = result_encoding(encoding_of(path), wanted, lossless)
        keeps = relative.suffix.lower() in SUFFIXES[encoding.format]
        file = relative.as_posix() if keeps and wanted is None else name + encoding.suffix
        jobs.append(Job(name, file, str(path), encoding, lambda path=path: read_photograph(path)))
    return jobs


def _names(paths: list[Path], source: str | os.PathLike) -> tuple[list[Path], list[str]]:
    """Paths below the folder, and names: the paths without suffix, unless two would be equal.

    For a list file, the file names if they differ.
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
    """The jobs with their marks.

    Args:
        marks: its ``file`` may be a folder with a mask of each photograph's name; if empty, holes are generated.
        seed: of generated holes; None for none.
    """
    files = _mask_files(jobs, marks.file) if marks.file else [None] * len(jobs)
    return [
        replace(job, marks=replace(marks, file=file), seed=None if seed is None else (seed, i))
        for i, (job, file) in enumerate(zip(jobs, files, strict=True))
    ]


def _mask_files(jobs: list[Job], source: Path) -> list[Path]:
    """The mask of each photograph: the one file, or the file of its name in a folder."""
    masks = list_pictures(source, [job.source for job in jobs])
    if source.is_dir():
        return pair_by_name([job.name for job in jobs], masks, source)
    if len(masks) > 1:
        raise InputError(f"expected one mask or a folder of them, got a list of {len(masks)} in {source}")
    return masks * len(jobs)
