"""Picture files: found, read, written. uint8 [H, W, 3] RGB here, float32 [3, H, W] in [0, 1] for the network."""

import contextlib
import logging
import os
import re
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator
from importlib import resources
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageOps, PngImagePlugin

from utils.errors import LITTLE_MEMORY, InputError, describe_os_error, is_out_of_memory, one_line
from utils.files import atomic_path, is_file, kind_of, open_regular, read_text

log = logging.getLogger("paddle_pconv")

SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff")
UNSURE_SUFFIXES = ("", ".jfif", ".jpe")  # in a folder, pictures if their first bytes are a picture's
SIGNS = {b"\xff\xd8\xff": "jpeg", b"\x89PNG": "png", b"II*\0": "tiff", b"MM\0*": "tiff", b"BM": "bmp"}
# Pictures that are not read; a folder's listing counts them in a note.
OTHER_SUFFIXES = (".gif", ".heic", ".heif", ".avif", ".jxl", ".jp2", ".tga", ".ppm", ".pgm", ".psd")
# Files are opened as one of these only: some other formats of Pillow start other programs.
FORMATS = ("JPEG", "PNG", "BMP", "WEBP", "TIFF")
MAX_PIXELS = 150_000_000  # as of the largest cameras; a file of a few kilobytes can claim far more

MAX_TEXT = 64 << 20  # bytes of text or profile in a PNG, unpacked; Pillow's limit of 1 MiB is too small
PngImagePlugin.MAX_TEXT_CHUNK = PngImagePlugin.MAX_TEXT_MEMORY = MAX_TEXT

# Colour photographs inside every scikit-image wheel. The two sides are disjoint in content, not only in name.
SAMPLE_PHOTOS: dict[str, tuple[str, ...]] = {
    "train": ("astronaut", "hubble_deep_field", "ihc", "motorcycle_left", "motorcycle_right", "retina"),
    "val": ("chelsea", "coffee", "rocket"),
}


def list_pictures(
    source: str | os.PathLike,
    leave_out: Iterable[str | os.PathLike | None] = (),
    list_root: str | os.PathLike | None = None,
) -> list[Path]:
    """The pictures of a folder, of a list file, or the one picture itself.

    Args:
        source: a folder (searched at every depth, sorted by relative path, hidden files left out); or a text file with
            one path per line (``_list_lines``); or a picture, of any name.
        leave_out: files and folders that are something else (masks, results). Where they lie inside a folder
            ``source``, they are left out, with a note of how many. None is ignored.
        list_root: the folder that paths in a list file are relative to; the list's own if not given.
    Raises:
        InputError: nothing there, no picture in it, or a listed path that is missing or not a picture.
    """
    source, kind = Path(source), kind_of(source)
    if kind == "folder":
        return _list_folder(source, leave_out)
    if kind != "file":
        problem = "does not exist" if kind is None else f"is a {kind}"
        raise InputError(f"expected a folder, a list file or a picture, but {source} {problem}: check the path")
    if source.suffix.lower() in OTHER_SUFFIXES and not is_picture(source):
        raise InputError(
            f"{source}: expected a picture ({' '.join(SUFFIXES)}), got {source.suffix}: convert it, to PNG for instance"
        )
    return [source] if is_picture(source) else _list_lines(source, Path(list_root or source.parent))


def is_picture(path: Path) -> bool:
    """Whether a file is a picture, by its suffix or, with any other suffix, by its first bytes."""
    if path.suffix.lower() in SUFFIXES:
        return True
    try:
        with open_regular(path) as file:
            return format_of(file.read(16)) is not None
    except (InputError, OSError):
        return False


def format_of(head: bytes) -> str | None:
    """The picture format by a file's first 16 bytes; None if it is not one that is read."""
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp"
    if head[:2] == b"BM" and head[6:10] != bytes(4):  # a text that begins so
        return None
    return next((name for sign, name in SIGNS.items() if head.startswith(sign)), None)


def _list_folder(folder: Path, leave_out: Iterable[str | os.PathLike | None]) -> list[Path]:
    entries = [(path.relative_to(folder), path) for path in folder.rglob("*")]
    visible = {name: path for name, path in entries if not any(part.startswith(".") for part in name.parts)}
    found = [name for name, path in visible.items() if _is_listed(path)]
    others = _inside(folder, leave_out)
    kept = [name for name in found if others.isdisjoint((name, *name.parents))]
    left_out, passed_over = len(found) - len(kept), _passed_over(visible.values())
    if not kept:
        got = f"{left_out} that are named as masks or results" if left_out else passed_over or "none"
        raise InputError(f"expected pictures ({' '.join(SUFFIXES)}) in {folder}, found {got}: check the path")
    if passed_over:
        tell_once(f"{folder}: passed over are {passed_over}; only {' '.join(SUFFIXES)} are read")
    if left_out:
        inside = ", ".join(sorted(map(str, others))[:3])
        tell_once(f"{folder}: left out are {left_out} pictures of {inside}, named as masks or results")
    return [visible[name] for name in sorted(kept, key=Path.as_posix)]


def _is_listed(path: Path) -> bool:
    suffix = path.suffix.lower()
    return is_file(path) and (suffix in SUFFIXES or (suffix in UNSURE_SUFFIXES and is_picture(path)))


def _inside(folder: Path, others: Iterable[str | os.PathLike | None]) -> set[Path]:
    """The paths that lie inside a folder, relative to it."""
    root, found = Path(os.path.realpath(folder)), set()
    for other in (Path(os.path.abspath(other)) for other in others if other is not None):
        link = Path(os.path.realpath(other.parent), other.name)
        found |= {place.relative_to(root) for place in (link, Path(os.path.realpath(other))) if root in place.parents}
    return found


_TOLD: set[str] = set()


def tell_once(line: str) -> None:
    """A warning in the log, once in each process."""
    if line not in _TOLD:
        _TOLD.add(line)
        log.warning(line)


def _passed_over(paths: Iterable[Path]) -> str:
    """Counts of pictures of other formats, in words; empty if there are none."""
    kinds = Counter(suffix for path in paths if (suffix := path.suffix.lower()) in OTHER_SUFFIXES)
    return ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))


def _list_lines(list_file: Path, root: Path) -> list[Path]:
    """The pictures of a list, one path a line; blank lines and ``#`` comments are skipped.

    As in data sets, a leading slash may mean ``root`` (Places365), and a label may follow after a space, tab or comma.
    """
    expected = f"a picture ({' '.join(SUFFIXES)}) or a text file that lists pictures"
    lines = [line.strip() for line in read_text(list_file, expected).splitlines()]
    entries = [(number, line) for number, line in enumerate(lines, start=1) if line and not line.startswith("#")]
    if not entries:
        raise InputError(f"expected one picture path per line in {list_file}, found none: add some")
    found = [(number, line, _listed_picture(root, line)) for number, line in entries]
    if missing := [(number, line) for number, line, path in found if path is None]:
        shown = "; ".join(f"line {number}: {one_line(line, 200)}" for number, line in missing[:3])
        here = "." if _listed_picture(Path(), missing[0][1]) else "DIR"
        raise InputError(
            f"{list_file}: expected a picture on each line, got {len(missing)} of {len(entries)} that are not there or "
            f"no pictures ({shown}); paths are relative to {root}; for pictures, --list_root {here} sets another"
        )
    return [path for _, _, path in found]


_BEFORE_LABEL = re.compile(rf"(.*?\.(?:{'|'.join(suffix[1:] for suffix in SUFFIXES)}))[\s,;]", re.IGNORECASE)


def _listed_picture(root: Path, line: str) -> Path | None:
    labelled = _BEFORE_LABEL.match(line)
    names = [line, labelled[1]] if labelled else [line]
    for path in (root / part for name in names for part in (name, name.lstrip("/"))):
        if is_file(path) and is_picture(path):
            return path
    return None


def open_picture(path: str | os.PathLike) -> Image.Image:
    """A picture decoded whole, upright by its EXIF orientation, 8 bits per channel, opaque: mode L or RGB."""
    with decoded(path) as image:
        return _opaque(ImageOps.exif_transpose(image), path)


@contextlib.contextmanager
def decoded(path: str | os.PathLike, deep_grey: bool = False) -> Iterator[Image.Image]:
    """A picture decoded whole, as it is stored; errors inside the block become an InputError.

    Args:
        deep_grey: accept grey of 16 bits, too.
    Raises:
        InputError: unreadable, corrupt, truncated or enormous; more than 8 bits per channel.
    """
    try:
        with open_regular(path, "a picture") as file, _identified(file) as image:
            _refuse_large(image)
            if not (deep_grey and image.mode.startswith("I")):
                _refuse_deep(image, path)
            image.load()
            yield image
    except InputError:
        raise
    except Image.DecompressionBombError:
        raise InputError(f"cannot read {path}: it has more pixels than {_MOST}: shrink it first") from None
    except Exception as error:  # damaged files raise nearly any type
        if is_out_of_memory(error):
            raise InputError(f"cannot read {path}: {LITTLE_MEMORY}") from None
        if isinstance(error, OSError) and error.errno is not None:
            raise InputError(f"cannot read {path}: {describe_os_error(error)}") from None
        raise InputError(f"cannot read {path}: expected a whole picture, got {_reason(error)}: replace it") from None


_MOST = f"the {MAX_PIXELS // 10**6} million that are read"


def _identified(file: BinaryIO) -> Image.Image:
    """Opens a picture; only its header is read."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # Pillow's own limit is about half of ours
        return Image.open(file, formats=FORMATS)


def _refuse_large(image: Image.Image) -> None:
    if image.width * image.height > MAX_PIXELS:
        raise Image.DecompressionBombError


def _reason(error: Exception) -> str:
    if isinstance(error, Image.UnidentifiedImageError):
        return f"a file of none of the formats {', '.join(FORMATS)}"
    if "text chunks" in str(error) or "MAX_TEXT_CHUNK" in str(error):
        return f"more than {MAX_TEXT >> 20} MiB of text or profile in it"
    return f"a damaged one ({error or type(error).__name__})"


def _refuse_deep(image: Image.Image, path: str | os.PathLike) -> None:
    # Pillow silently cuts 16-bit colour to 8 bits; the raw mode of its tiles shows it. BGR;16 is 5-6-5 bits a pixel.
    raw_modes = " ".join(str(tile) for tile in getattr(image, "tile", ()))
    if image.mode[0] in "IF" or re.search(r"(?<!BGR);(12|16|32)", raw_modes):
        raise InputError(f"expected 8 bits per channel, got more in {path}: save it as an 8-bit picture")


def _opaque(image: Image.Image, path: str | os.PathLike) -> Image.Image:
    """Mode L or RGB; InputError for transparent pixels."""
    if image.has_transparency_data:
        image = image.convert("RGBA")
        if image.getchannel("A").getextrema()[0] < 255:
            raise InputError(
                f"expected an opaque picture, got transparent pixels in {path}: "
                "flatten it, or give the transparent area as --mask"
            )
    return image.convert("L" if image.mode in ("1", "L", "LA") else "RGB")


def read_picture(path: str | os.PathLike) -> np.ndarray:
    """A picture file as uint8 [H, W, 3] RGB.

    Grey, palette and CMYK pictures become RGB; an alpha channel is accepted when it is opaque everywhere.
    """
    return np.array(open_picture(path).convert("RGB"))


def write_picture(path: str | os.PathLike, picture: np.ndarray) -> None:
    """Write uint8 [H, W, 3] RGB or [H, W] grey whole or not at all, as the suffix says; lossy at quality 95."""
    if Path(path).suffix.lower() not in SUFFIXES:
        raise InputError(f"expected a picture's name to write ({' '.join(SUFFIXES)}), got {path}")
    with atomic_path(path) as temporary:
        Image.fromarray(picture).save(temporary, quality=95)


def to_float(picture: np.ndarray) -> np.ndarray:
    """uint8 [H, W, 3] to float32 [3, H, W] in [0, 1]."""
    return np.ascontiguousarray(picture.transpose(2, 0, 1), np.float32) / np.float32(255)


def to_uint8(array: np.ndarray) -> np.ndarray:
    """Float [3, H, W] to uint8 [H, W, 3]: clipped to [0, 1], rounded half to even.

    Example:
        >>> to_uint8(np.array([-1.0, 0.5 / 255, 7.0]).reshape(3, 1, 1)).ravel().tolist()
        [0, 0, 255]
    """
    levels = np.rint(np.clip(array, 0, 1).astype(np.float32) * 255)
    return np.ascontiguousarray(levels.astype(np.uint8).transpose(1, 2, 0))


def sample_photo(name: str) -> np.ndarray:
    """One of ``SAMPLE_PHOTOS`` as uint8 [H, W, 3] RGB, read from the installed scikit-image, never downloaded."""
    folder = resources.files("skimage.data")
    for suffix in (".png", ".jpg"):
        with resources.as_file(folder / (name + suffix)) as path:
            if path.is_file():
                return read_picture(path)
    raise InputError(f"expected {name} among scikit-image's data files, not found: pip install -U scikit-image")


def sample_face() -> np.ndarray:
    """A closely cropped face as in aligned datasets: uint8 [128, 128, 3], from the photograph "astronaut" (NASA)."""
    return np.ascontiguousarray(sample_photo("astronaut")[56:184, 162:290])
