"""The samples measured so far, on disk, so that an interrupted evaluation can go on.

The first line of the file identifies the evaluation, each line after it is one pair as JSON; the file of another
evaluation is not used. Numbers are restored bit for bit, so the report equals that of an uninterrupted run. A line that
a kill cut off is passed over, and its pair measured again.
"""

import contextlib
import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from metrics.buckets import Sample
from metrics.manifest import Pair
from metrics.realism import FeatureSums
from utils.errors import InputError
from utils.files import open_regular

NAME = "samples.partial.jsonl"


class PartialSamples:
    """The samples measured so far of one evaluation; a context that removes the file when it ends without an error.

    Args:
        folder: that of the report; made with the first sample.
        evaluation: all that decides the figures, as JSON can hold it.
    """

    def __init__(self, folder: Path, evaluation: dict):
        self.path, self._file = Path(folder) / NAME, None
        self._header = json.dumps(evaluation) + "\n"
        self.known = {Pair(sample.image, sample.mask): sample for sample in self._read()}

    def add(self, sample: Sample) -> None:
        """Keep one that was measured now."""
        if self._file is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = open(self.path, "a" if self.known else "w", encoding="utf-8", errors="surrogateescape")  # noqa: SIM115  __exit__ closes it
            self._file.write("\n" if self.known else self._header)  # ends a line that was cut off
        features = sample.features and sample.features.text()
        self._file.write(json.dumps({**vars(sample), "features": features}) + "\n")
        self._file.flush()

    def __enter__(self) -> "PartialSamples":
        return self

    def __exit__(self, error_type: type | None, *_) -> None:
        if self._file:
            self._file.close()
        if error_type is None:
            self.path.unlink(missing_ok=True)

    def _read(self) -> Iterator[Sample]:
        with contextlib.suppress(InputError), open_regular(self.path) as file:
            for line in file if file.readline() == self._header.encode() else ():
                with contextlib.suppress(ValueError):
                    entry = json.loads(line)
                    yield Sample(
                        **{**entry, "features": entry["features"] and FeatureSums.from_text(entry["features"])}
                    )


def stamp_of(paths: Iterable[Path]) -> str:
    """A digest of the files' sizes and modification times, to detect that one changed."""
    states = [(state.st_size, state.st_mtime_ns) for state in map(os.stat, paths)]
    return hashlib.sha256(repr(states).encode()).hexdigest()
