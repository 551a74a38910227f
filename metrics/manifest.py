"""Which mask goes over which picture: the pairing rule, the manifest that keeps it, and finished pictures of the pairs.

A pair names its picture and its mask in posix form, relative to the folders they were found in, so that a manifest
made on one machine holds on another. Three kinds of names need no file: ``sample:NAME``, one of scikit-image's packaged
photos, ``generated:SEED:BUCKET:BORDER``, from which ``generate`` makes the very same mask again at any size, and
``super_resolution:K``, the mask of every K-th pixel.

A manifest is a CSV file with the columns image and mask; further columns (bucket, border, hole_ratio) are information
for the reader and are not read back.
"""

import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from datasets import pairing
from datasets.images import SAMPLE_PHOTOS, is_picture, list_pictures
from datasets.mask_generator import generate_mask
from datasets.masks import BUCKET_NAMES, BUCKETS
from datasets.super_resolution import MASK, factor_of
from utils.errors import InputError, naming, one_line
from utils.files import is_file, kind_of, read_table

SAMPLE = "sample:"
GENERATED = "generated:"
BORDERS = ("N", "B")  # N: the hole keeps off the border, B: it may touch it

_GENERATED = re.compile(f"{GENERATED}([0-9]{{1,18}}):({'|'.join(map(re.escape, BUCKET_NAMES))}):({'|'.join(BORDERS)})")

Item = TypeVar("Item")


@dataclass(frozen=True)
class Pair:
    """A picture's name and the name of the mask that goes over it."""

    image: str
    mask: str


def root_of(source: str | os.PathLike, list_root: str | os.PathLike | None = None) -> Path:
    """The folder that the names of ``source`` (a folder, a list file or one picture) are relative to.

    Args:
        list_root: that of a list file; the list's own folder if not given.
    """
    source = Path(source)
    if kind_of(source) == "folder":
        return source
    return source.parent if list_root is None or is_picture(source) else Path(list_root)


def file_names(
    source: str | os.PathLike,
    leave_out: Iterable[str | os.PathLike | None] = (),
    list_root: str | os.PathLike | None = None,
) -> list[str]:
    """The names of all pictures (or masks) of ``source``, sorted; an absolute path where it lies outside the root.

    Args:
        leave_out, list_root: as ``datasets.images.list_pictures`` takes them.
    """
    root = root_of(source, list_root)
    paths = list_pictures(source, leave_out, list_root)
    return sorted(p.relative_to(root).as_posix() if p.is_relative_to(root) else p.as_posix() for p in paths)


def sample_names() -> list[str]:
    """The names of the photos that come with scikit-image."""
    return [SAMPLE + name for photos in SAMPLE_PHOTOS.values() for name in photos]


def generated_names(count: int, seed: int) -> list[str]:
    """Names of at least ``count`` masks to be generated, the six buckets times N and B evenly, sorted by bucket."""
    kinds = [(bucket, border) for bucket in BUCKET_NAMES for border in BORDERS]
    rounds = -(-count // len(kinds))
    seeds = np.random.default_rng(seed).integers(2**31, size=rounds * len(kinds)).tolist()
    drawn = zip(seeds, sorted(kinds * rounds, key=kinds.index), strict=True)
    return [f"{GENERATED}{seed}:{bucket}:{border}" for seed, (bucket, border) in drawn]


def parse_generated(name: str) -> tuple[int, tuple[float, float], bool]:
    """Seed, bucket and whether the hole may touch the border, from ``generated:SEED:BUCKET:BORDER``."""
    parts = _GENERATED.fullmatch(name)
    if not parts:
        raise InputError(f"expected a mask name such as generated:7:{BUCKET_NAMES[1]}:N, got {one_line(name, 80)!r}")
    seed, bucket, border = parts.groups()
    return int(seed), BUCKETS[BUCKET_NAMES.index(bucket)], border == "B"


def generate(name: str, height: int, width: int) -> np.ndarray:
    """The mask of a ``generated:`` name: float32 [height, width], 1 = valid, 0 = hole."""
    seed, bucket, border = parse_generated(name)
    return generate_mask(np.random.default_rng(seed), height, width, bucket=bucket, border=border)


def spread(items: Sequence[Item], limit: int | None) -> list[Item]:
    """``limit`` of the items, evenly spaced from the first on; all of them without a limit.

    Published masks are sorted by area, so an evenly spaced selection covers every bucket.

    Example:
        >>> spread("aabbcc", 3)
        ['a', 'b', 'c']
    """
    count = len(items) if limit is None else min(limit, len(items))
    return [items[i * len(items) // count] for i in range(count)]


def pair_up(pictures: Sequence[str], masks: Sequence[str], seed: int, limit: int | None = None) -> list[Pair]:
    """Give every mask a picture: max(pictures, masks) pairs, or ``limit`` of them, in the order of the masks.

    Every mask is used once; with fewer masks than pictures they are reused in turn. A limit takes evenly spaced masks.
    Pictures come in a seeded order, one permutation after another, so none comes twice before each came once.
    """
    total = max(len(pictures), len(masks))
    chosen = spread([masks[j] for j in sorted(i % len(masks) for i in range(total))], limit)
    rng = np.random.default_rng(seed)
    rounds = -(-len(chosen) // len(pictures))
    order = np.concatenate([rng.permutation(len(pictures)) for _ in range(rounds)])
    return [Pair(pictures[i], mask) for i, mask in zip(order, chosen, strict=False)]


def pair_by_name(pictures: Sequence[str], masks: Sequence[str]) -> list[Pair]:
    """Each mask over the picture of its name, suffixes aside, in the order of the masks.

    Example:
        >>> pair_by_name(["a.jpg", "b.jpg"], ["b.png"])
        [Pair(image='b.jpg', mask='b.png')]
    """
    names = [Path(mask).with_suffix("").as_posix() for mask in masks]
    if len(set(names)) < len(names):
        raise InputError("expected one mask of a name, got two; move one away, or take --pairing seeded")
    found = pairing.pair_by_name(names, [*map(Path, pictures)], "", "picture", "rename them, or take --pairing seeded")
    return [Pair(picture.as_posix(), mask) for picture, mask in zip(found, masks, strict=True)]


def names_match(pictures: Sequence[str], masks: Sequence[str]) -> bool:
    """Whether every mask bears a picture's name, suffixes aside."""
    known = {Path(name).with_suffix("") for name in pictures}
    return all(Path(name).with_suffix("") in known for name in masks)


def read_manifest(path: str | os.PathLike, images: Path | None, masks: Path | None) -> list[Pair]:
    """The pairs of a manifest, each name checked against the folders ``images`` and ``masks``.

    Raises:
        InputError: no such file, not a CSV file with the columns image and mask, no pair in it, a picture or a mask
            that is not there.
    """
    rows = read_table(path, "a manifest, a CSV file with the columns image,mask", ("image", "mask"))
    pairs = [_checked_pair(f"{path}, line {number}", row, images, masks) for number, row in rows]
    if not pairs:
        raise InputError(f"{path}: the manifest names no pair: delete it to have it made anew")
    return pairs


def _checked_pair(where: str, row: dict, images: Path | None, masks: Path | None) -> Pair:
    pair = Pair(row["image"] or "", row["mask"] or "")
    if pair.image not in sample_names():
        _check_file(where, "picture", pair.image, images, "--images")
    if not pair.mask.startswith((MASK, GENERATED)):
        _check_file(where, "mask", pair.mask, masks, "--masks")
        return pair
    with naming(where):
        (factor_of if pair.mask.startswith(MASK) else parse_generated)(pair.mask)
    return pair


def _check_file(where: str, kind: str, name: str, root: Path | None, option: str) -> None:
    if root is None or not is_file(root / name):
        raise InputError(
            f"{where}: no {kind} {one_line(root / name if root else name, 500)!r}: give the manifest's own folder with "
            f"{option}"
        )


def finished_pictures(folder: str | os.PathLike, pairs: Sequence[Pair]) -> dict[Pair, Path]:
    """The picture of each pair that another program filled: ``IMAGE_MASK.*`` or ``IMAGE.*``, both without suffix.

    IMAGE has its path below ``--images``; the second name is for pictures that come in one pair.

    Raises:
        InputError: pairs without a finished picture, how many and the first ten; two files or two pairs of one name.
    """
    with naming("--results"):
        found = pairing.by_name(list_pictures(folder), folder)
    often, names = Counter(pair.image for pair in pairs), {}
    for pair in pairs:
        image = Path(pair.image).with_suffix("").as_posix()
        both = f"{image}_{Path(pair.mask).stem}"
        names[pair] = image if often[pair.image] == 1 and both not in found else both
    if missing := [name for name in names.values() if name not in found]:
        raise InputError(
            f"--results {folder}: expected a finished picture for each pair, got none for {len(missing)} of "
            f"{len(names)}: {pairing.some(missing)}; add them, or lower --limit"
        )
    for name, count in Counter(names.values()).items():
        if count > 1 or len(found[name]) > 1:
            raise InputError(f"--results: expected one picture of one pair named {name}, got two; rename one")
    return {pair: found[name][0] for pair, name in names.items()}
