"""The samples measured so far, on disk, so that an interrupted evaluation can go on.

The first line of the file identifies the evaluation, each line after it is one pair as JSON; lines of another
evaluation are ignored. Numbers are restored bit for bit, so the report equals that of an uninterrupted run. A line that
a kill cut off is measured again, and so is a pair whose files changed.
"""

import contextlib
import itertools
import json
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path

from metrics.buckets import Sample
from metrics.manifest import Pair
from metrics.realism import FeatureSums
from utils.errors import InputError
from utils.files import atomic_path, open_regular

NAME = "samples.partial.jsonl"
MAX_LINE = 1 << 20  # bytes


class PartialSamples:
    """The samples measured so far of one evaluation; a context that removes the file when it ends without an error.

    Args:
        folder: that of the report; made with the first sample.
        evaluation: all that decides a pair's figures, as JSON can hold it.
        stamp: sizes and times of a pair's files, to see whether they changed.
    """

    def __init__(self, folder: Path, evaluation: dict, stamp: Callable[[Pair], list]):
        self.path, self.stamp = Path(folder) / NAME, stamp
        self._header, self._file = {"evaluation": _plain(evaluation)}, None
        self._taken = list(self._read())
        self.known = {Pair(entry["image"], entry["mask"]): _sample(entry) for entry in self._taken}

    def add(self, sample: Sample) -> None:
        """Keep one that was measured now."""
        if self._file is None:
            self._begin()
        features = sample.features and sample.features.text()
        stamp = self.stamp(Pair(sample.image, sample.mask))
        self._file.write(_line({**vars(sample), "features": features, "stamp": stamp}))
        self._file.flush()

    def __enter__(self) -> "PartialSamples":
        return self

    def __exit__(self, error_type: type | None, *_) -> None:
        if self._file:
            self._file.close()
        if error_type is None:
            self.path.unlink(missing_ok=True)

    def _begin(self) -> None:
        """Write the file again with the lines that were taken, and open it to add more."""
        with atomic_path(self.path) as temporary:
            temporary.write_text("".join(map(_line, [self._header, *self._taken])), encoding="utf-8")
        self._file = open(self.path, "a", encoding="utf-8")  # noqa: SIM115  it is closed where the context ends

    def _read(self) -> Iterator[dict]:
        entries = _entries(self.path)
        if next(entries, None) == self._header:
            taken = itertools.takewhile(_is_measured, entries)
            yield from (e for e in taken if e["stamp"] == _plain(self.stamp(Pair(e["image"], e["mask"]))))


def _is_measured(entry: object) -> bool:
    """Whether a line has the fields that ``add`` writes."""
    return isinstance(entry, dict) and entry.keys() == {field.name for field in fields(Sample)} | {"stamp"}


def _sample(entry: dict) -> Sample:
    features = entry["features"] and FeatureSums.from_text(entry["features"])
    return Sample(**{**{key: value for key, value in entry.items() if key != "stamp"}, "features": features})


def _line(entry: dict) -> str:
    return json.dumps(entry) + "\n"


def _entries(path: Path) -> Iterator[dict]:
    """The whole lines; reading ends at the first that is not valid."""
    with contextlib.suppress(InputError, ValueError, RecursionError), open_regular(path) as file:
        while line := file.readline(MAX_LINE):
            yield json.loads(line)


def _plain(value: object) -> object:
    """As it comes back from a file."""
    return json.loads(json.dumps(value))
