"""Training checkpoints: everything that a run needs to continue as if it had never stopped.

``iter_N/`` is a weights directory (``inpainting.checkpoint``) with the other states beside it (optimisers', averaged
weights, whatever the task names) and the SHA-256 of each in ``meta.json``. The sample stream, the schedules and the
random numbers of an iteration are functions of seed and iteration, and need no state.
"""

import itertools
import logging
import math
import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import paddle
from paddle import nn

from inpainting.array_files import read_state, refuse_bad_numbers
from inpainting.checkpoint import LATEST, PARAMS, read_meta, write_arrays, write_meta
from utils.errors import InputError
from utils.files import replace_folder, sha256_of, temporary_beside

log = logging.getLogger("paddle_pconv")

OPTIMIZER = "model.pdopt"
BEST = "best"

# What Adam keeps for each parameter: two moments, and two powers of its decay rates.
_ACCUMULATORS = ("moment1", "moment2", "beta1_pow_acc", "beta2_pow_acc")
_ITERATION = re.compile("iter_[0-9]{1,15}")


class CheckpointFolder:
    """The ``checkpoints/`` of a run: ``iter_N/`` for each state, with the links ``latest`` and ``best``.

    The best has the highest validation PSNR. Each meta.json holds its own, so that a run that was killed finds the best
    one when it is resumed.

    Args:
        keep: how many of the newest stay, the best beside them; 0 keeps all.
    """

    def __init__(self, directory: str | os.PathLike, keep: int = 0):
        self.directory, self.keep = Path(directory), keep

    def save(self, model: nn.Layer, iteration: int, states: Mapping[str, dict], **meta) -> Path:
        """Write ``iter_N`` whole or not at all, update the links, then remove those too old to be kept.

        Args:
            states: file name to arrays or tensors by name.
            meta: further entries of meta.json; ``validation``, where the state was measured: ``psnr`` in dB, and
                ``pictures``, by which one validation set is told from another.
        """
        final = self.directory / f"iter_{iteration}"
        temporary = temporary_beside(final)
        try:
            for name, state in {PARAMS: model.state_dict(), **states}.items():
                write_arrays(state, temporary / name)
            files = {path.name: sha256_of(path) for path in temporary.iterdir()}
            write_meta(model, temporary, iter=iteration, **meta, files=files)
            _flush_to_disk(temporary)
            replace_folder(temporary, final)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        self._point(LATEST, final.name)
        best = self._best()
        self._point(BEST, best)
        for old in self._by_age()[self.keep :] if self.keep else []:
            if old.name != best:
                shutil.rmtree(old, ignore_errors=True)
        return final

    def best_psnr(self, pictures: str) -> float:
        """The highest validation PSNR on these pictures so far, in dB; below all others where there is none."""
        return max((v["psnr"] for v, _ in self._measured() if v["pictures"] == pictures), default=-math.inf)

    def newest(self) -> Path | None:
        """The newest checkpoint that is whole; damaged ones are reported to the logger. None where there is none."""
        for directory in self._by_age():
            if not (problem := damage(directory)):
                return directory
            log.warning(f"checkpoint passed over: {problem}")
        return None

    def _by_age(self) -> list[Path]:
        """Newest first. Those beyond the latest are of a run that was given up to go back, and count as the oldest."""
        found = {int(path.name[5:]): path for path in self.directory.glob("iter_*") if _ITERATION.fullmatch(path.name)}
        link = self.directory / LATEST
        name = link.readlink().name if link.is_symlink() else ""
        latest = int(name[5:]) if _ITERATION.fullmatch(name) else math.inf
        return [found[i] for i in sorted(found, key=lambda i: (i <= latest, i), reverse=True)]

    def _measured(self) -> list[tuple[dict, str]]:
        """Validation and name of each checkpoint that has one, oldest first."""
        found = [(_validation(directory), directory.name) for directory in reversed(self._by_age())]
        return [(validation, name) for validation, name in found if validation]

    def _best(self) -> str | None:
        """Of those that were measured on the same pictures as the last one; of equals the oldest."""
        measured = self._measured()
        rivals = [(v["psnr"], name) for v, name in measured if v["pictures"] == measured[-1][0]["pictures"]]
        return max(rivals, key=lambda entry: entry[0])[1] if rivals else None

    def _point(self, name: str, target: str | None) -> None:
        if target is None:
            (self.directory / name).unlink(missing_ok=True)
            return
        link = temporary_beside(self.directory / name)
        link.symlink_to(target, target_is_directory=True)
        os.replace(link, self.directory / name)


def _validation(directory: Path) -> dict:
    """What a checkpoint says of its validation; nothing where it was not measured."""
    try:
        return read_meta(directory).get("validation", {})
    except InputError:
        return {}


def damage(directory: Path) -> str | None:
    """What is wrong with a checkpoint's files, in a few words; None if they are unchanged."""
    try:
        files = read_meta(directory).get("files", {})
        for name in {PARAMS: None, **files}:
            if not (directory / name).is_file():
                return f"{directory / name} is missing"
            if name in files and sha256_of(directory / name) != files[name]:
                return f"{directory / name} is truncated or damaged"
    except InputError as error:
        return str(error)
    return None


def load_optimizer(
    optimizer: paddle.optimizer.Optimizer, directory: Path, names: Mapping[str, object], file_name: str = OPTIMIZER
) -> None:
    """Set the optimiser's state from a training checkpoint.

    Args:
        names: the network's state by name; the file must hold moments for parameters of just these names.
    Raises:
        InputError: as ``read_state``; a part is missing, not finite, or of another shape than its parameter.
    """
    path = Path(directory) / file_name
    state = read_state(path)
    arrays = {name: value for name, value in state.items() if isinstance(value, np.ndarray)}
    refuse_bad_numbers(path, arrays)
    trained = {p.name: list(p.shape) for p in names.values() if isinstance(p, paddle.Tensor) and not p.stop_gradient}
    for (name, shape), kind in itertools.product(trained.items(), _ACCUMULATORS):
        key, expected = f"{name}_{kind}_0", shape if "moment" in kind else [1]
        array = arrays.get(key)
        if array is None or array.dtype.kind != "f" or list(array.shape) != expected:
            got = "none" if array is None else f"{array.dtype} {list(array.shape)}"
            raise InputError(
                f"{path}: expected the optimiser's state {key}, float32 {expected}, got {got}; it is damaged or of "
                f"another network: start anew with --weights {directory}"
            )
        state[key] = array.astype("float32")
    optimizer.set_state_dict(state)


def _flush_to_disk(directory: Path) -> None:
    """Else a power cut may leave a renamed folder with empty files."""
    for path in directory.iterdir():
        with open(path, "rb") as file:
            os.fsync(file.fileno())
