"""Pictures that another program filled, measured in place of a method: ``eval.py --results DIR``."""

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from datasets.images import list_pictures, read_picture
from datasets.pairing import by_name, some
from metrics.manifest import Pair
from utils.errors import InputError, naming


class FinishedPictures:
    """The finished picture of each pair, found by its name in a folder.

    ``IMAGE_MASK.*`` or ``IMAGE.*``, both without suffix and IMAGE with its path below ``--images``; the second only
    where the picture comes in one pair.

    Args:
        folder: of the finished pictures.
        pairs: all that are measured.
    Raises:
        InputError: pairs without a finished picture, how many and the first ten; two files of one name.
    """

    def __init__(self, folder: str | os.PathLike, pairs: Sequence[Pair]):
        with naming("--results"):
            found = by_name(list_pictures(folder), folder)
        often = Counter(pair.image for pair in pairs)
        names = {pair: next((n for n in _names(pair, often[pair.image]) if n in found), None) for pair in pairs}
        if missing := [_names(pair, often[pair.image])[-1] for pair, name in names.items() if name is None]:
            raise InputError(
                f"--results {folder}: expected a finished picture for each pair, got none for {len(missing)} of "
                f"{len(names)}: {some(missing)}; add them, or lower --limit"
            )
        if len(set(names.values())) < len(names):
            name = Counter(names.values()).most_common(1)[0][0]
            raise InputError(f"--results: expected a name for each pair, got two pairs of the name {name}; rename one")
        if twice := next((found[name] for name in names.values() if len(found[name]) > 1), None):
            raise InputError(f"--results: expected one picture of a name, got {twice[0]} and {twice[1]}; move one away")
        self.paths = {pair: found[name][0] for pair, name in names.items()}

    def of(self, pair: Pair, picture: np.ndarray) -> np.ndarray:
        """The finished picture of a pair, uint8 [H, W, 3] as ``picture``."""
        result = read_picture(self.paths[pair])
        if result.shape != picture.shape:
            expected, got = (f"{p.shape[1]}x{p.shape[0]}" for p in (picture, result))
            raise InputError(f"expected {self.paths[pair].name} to have {expected} pixels as the picture, got {got}")
        return result


def _names(pair: Pair, pairs_of_picture: int) -> list[str]:
    image = Path(pair.image).with_suffix("").as_posix()
    both = f"{image}_{Path(pair.mask).stem}"
    return [both, image] if pairs_of_picture == 1 else [both]
