"""Users' photographs, read and written with their transparency, profile, metadata, resolution and format.

A data set's pictures are only pixels (``datasets.images``). What cannot be kept is named in ``Photograph.notes`` or by
``write_photograph``; what would come back wrong is refused.

Lossless files (``Encoding.lossless``) give back every pixel bit for bit. A JPEG is written with its own quantisation
tables and subsampling, so known pixels change by no more than the rounding of its transform.
"""

import contextlib
import io
import os
import struct
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms, ImageOps, JpegImagePlugin

from datasets import exif as exif_blocks
from datasets.images import MAX_TEXT, decoded, format_of
from datasets.metadata import Metadata, read_metadata, settings_of, tiff_tags
from utils.errors import InputError, one_line
from utils.files import atomic_path, open_regular

SUFFIXES = {
    "png": (".png",),
    "jpeg": (".jpg", ".jpeg", ".jfif", ".jpe"),
    "webp": (".webp",),
    "tiff": (".tif", ".tiff"),
    "bmp": (".bmp",),
}
MOST_PIXELS_A_SIDE = {"jpeg": 65535, "webp": 16383}
MOST_EXIF_IN_JPEG = 65533  # bytes
QUALITY = 95  # of JPEG and WebP where the photograph was read from something else
MODES_OF_PROFILES = {b"GRAY": ("L", "LA"), b"RGB ": ("L", "LA", "RGB", "RGBA")}  # files with grey and an RGB one exist
GREY = ("1", "L", "LA", "La")
COLOUR = ("P", "PA", "RGB", "RGBA", "RGBX", "RGBa")


@dataclass(frozen=True)
class Encoding:
    """How a file holds a picture.

    Args:
        format: one of ``SUFFIXES``.
        lossless: whether pixels come back bit for bit.
    """

    format: str = "png"
    lossless: bool = True

    @property
    def suffix(self) -> str:
        return SUFFIXES[self.format][0]


@dataclass(frozen=True, eq=False)
class Photograph:
    """An upright picture and what belongs to it.

    Args:
        pixels: uint8 [H, W, 3] RGB; a grey picture has three equal channels.
        alpha: uint8 [H, W], 255 = opaque; None if all of it is opaque.
        grey: whether the file is grey, and is to be written so.
        icc: colour profile.
        exif: as ``datasets.exif.upright`` gives it.
        dpi: across and down, pixels per inch.
        metadata: what else the file says of the picture.
        encoding: of the file.
        jpeg: settings for Pillow to write a JPEG as it was.
        notes: what was changed or left out in reading.
    """

    pixels: np.ndarray
    alpha: np.ndarray | None = None
    grey: bool = False
    icc: bytes | None = None
    exif: bytes | None = None
    dpi: tuple[float, float] | None = None
    metadata: Metadata = field(default_factory=Metadata)
    encoding: Encoding = Encoding()
    jpeg: dict[str, object] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.pixels.shape[:2]

    def with_pixels(self, pixels: np.ndarray) -> "Photograph":
        return replace(self, pixels=pixels)

    def opaque(self) -> "Photograph":
        return replace(self, alpha=None)


def encoding_of(path: str | os.PathLike) -> Encoding:
    """The encoding by a file's first bytes, or by its suffix if they are of no format that is read."""
    found = None
    with contextlib.suppress(InputError, OSError), open_regular(path, "a picture") as file:
        found = format_of(file.read(16))
        if found == "webp":
            return Encoding("webp", _is_lossless_webp(file))
    found = found or next((n for n, suffixes in SUFFIXES.items() if Path(path).suffix.lower() in suffixes), "png")
    return Encoding(found, found not in ("jpeg", "webp"))


def _is_lossless_webp(file: io.BufferedIOBase) -> bool:
    """Whether the first picture in a WebP file is lossless."""
    file.seek(12)
    while len(head := file.read(8)) == 8:
        kind, size = struct.unpack("<4sI", head)
        if kind in (b"VP8 ", b"VP8L"):
            return kind == b"VP8L"
        file.seek(16 if kind == b"ANMF" else size + size % 2, os.SEEK_CUR)  # a frame of an animation holds chunks
    return False


def result_encoding(given: Encoding, wanted: str | None = None, lossless: bool = False) -> Encoding:
    """How to write a result: as it was read, unless another format or lossless pixels are wanted.

    Args:
        wanted: one of ``SUFFIXES``; None for the given one, or PNG if that is lossy and ``lossless`` is set.
    Example:
        >>> result_encoding(Encoding("jpeg", lossless=False), lossless=True)
        Encoding(format='png', lossless=True)
    """
    if wanted == "jpeg" and lossless:
        raise InputError("--format jpeg: expected a lossless format with --lossless, got JPEG; take png, webp or tiff")
    if wanted is None:
        return Encoding() if lossless and not given.lossless else given
    return Encoding(wanted, wanted != "jpeg" and (wanted != "webp" or lossless or given.lossless))


def read_photograph(path: str | os.PathLike) -> Photograph:
    """A picture file, turned upright, with all that belongs to it.

    Grey, palette and CMYK pictures become RGB in memory; CMYK by its profile, and is written as sRGB.

    Raises:
        InputError: as ``datasets.images.decoded``; colours of another kind.
    """
    with _without_warnings(), decoded(path) as image:
        _refuse_other_colours(image, path)
        encoding = encoding_of(path)
        block, notes = _exif_block(image, encoding)
        metadata, left_out = read_metadata(path, image)
        if left_out:
            notes.append(
                f"left out, as it shows the old picture or is unknown here: {one_line(', '.join(left_out), 300)}"
            )
        notes += _note_of_frames(image)
        jpeg, dpi, icc = _jpeg_settings(image), _dpi(image), image.info.get("icc_profile")
        ImageOps.exif_transpose(image, in_place=True)
        if image.mode == "CMYK":
            upright, how = _cmyk_to_rgb(image, icc)
            notes.append(how)
            icc = None
        else:
            upright = _in_mode(image, _mode_in_memory(image))
        alpha = np.array(upright.getchannel("A")) if upright.mode in ("LA", "RGBA") else None
        return Photograph(
            pixels=np.array(_in_mode(upright, "RGB")),
            alpha=None if alpha is None or alpha.min() == 255 else alpha,
            grey=upright.mode in ("L", "LA"),
            icc=icc,
            exif=block,
            dpi=dpi,
            metadata=metadata,
            encoding=encoding,
            jpeg=jpeg,
            notes=tuple(notes),
        )


def _refuse_other_colours(image: Image.Image, path: str | os.PathLike) -> None:
    if image.mode not in (*GREY, *COLOUR, "CMYK", "YCbCr"):
        raise InputError(f"expected RGB, grey, palette or CMYK, got {image.mode} in {path}: save it as RGB")


def _note_of_frames(image: Image.Image) -> Iterator[str]:
    if (count := getattr(image, "n_frames", 1)) > 1:
        yield f"it holds {count} pictures, of which the first is taken; the others are not in the result"


def _exif_block(image: Image.Image, encoding: Encoding) -> tuple[bytes | None, list[str]]:
    """The EXIF block for the result, and a note if it is damaged."""
    try:
        exif = image.getexif()
        if encoding.format == "tiff":
            return exif_blocks.described(exif), []
        given = image.info.get("exif") or (exif.tobytes() if len(exif) else None)
        block = given and exif_blocks.upright(given)
    except Exception:  # damaged files raise nearly any type
        given, block = True, None
    return block, ["its EXIF block is damaged and is left out"] if given and not block else []


def _jpeg_settings(image: Image.Image) -> dict[str, object]:
    if image.format not in ("JPEG", "MPO") or image.mode not in ("L", "RGB"):
        return {}
    sampling = JpegImagePlugin.get_sampling(image)
    return {
        "qtables": image.quantization,
        "subsampling": max(sampling, 0),  # an unusual one is written without
        "progressive": bool(image.info.get("progressive")),
    }


def _dpi(image: Image.Image) -> tuple[float, float] | None:
    try:
        across, down = (float(n) for n in image.info["dpi"])
    except (KeyError, TypeError, ValueError, ZeroDivisionError):
        return None
    return (across, down) if 1 <= across < 65535 and 1 <= down < 65535 else None


def _mode_in_memory(image: Image.Image) -> str:
    light = "L" if image.mode in GREY else "RGB"
    return light + "A" if image.has_transparency_data else light


def _in_mode(image: Image.Image, mode: str) -> Image.Image:
    return image if image.mode == mode else image.convert(mode)


def _cmyk_to_rgb(image: Image.Image, icc: bytes | None) -> tuple[Image.Image, str]:
    """RGB by the profile, and a note."""
    note = "it is CMYK and is written as sRGB: its known pixels are those of the conversion"
    if icc is None:
        return image.convert("RGB"), f"{note}, which had no profile to go by"
    try:
        srgb = ImageCms.createProfile("sRGB")
        return ImageCms.profileToProfile(image, io.BytesIO(icc), srgb, outputMode="RGB"), note
    except (ImageCms.PyCMSError, OSError):
        return image.convert("RGB"), f"{note}, which could not use its damaged profile"


def write_photograph(path: str | os.PathLike, photograph: Photograph, encoding: Encoding) -> list[str]:
    """Write a photograph whole or not at all; returns notes of what the format cannot hold.

    Raises:
        InputError: transparency, size or EXIF that the format cannot hold.
    """
    refuse_what_does_not_fit(path, photograph, encoding)
    image = _as_image(photograph)
    if encoding.format == "webp" and photograph.grey:
        image = image.convert("RGBA" if image.mode == "LA" else "RGB")
    with atomic_path(path) as temporary, _encoder_errors(path):
        settings, notes = _settings(photograph, encoding, image.mode)
        image.save(temporary, format=encoding.format, **settings)
    return notes


def _as_image(photograph: Photograph) -> Image.Image:
    light = photograph.pixels[..., 0] if photograph.grey else photograph.pixels
    image = Image.fromarray(light)
    if photograph.alpha is not None:
        image.putalpha(Image.fromarray(photograph.alpha))
    return image


def refuse_what_does_not_fit(path: str | os.PathLike, photograph: Photograph, encoding: Encoding) -> None:
    """Refuse before the filling what ``write_photograph`` would refuse."""
    name = encoding.format.upper()
    most = MOST_PIXELS_A_SIDE.get(encoding.format)
    if most and max(photograph.size) > most:
        raise InputError(f"{path}: expected {most} pixels a side at most in {name}, got more; --format png or tiff")
    if photograph.alpha is not None and encoding.format in ("jpeg", "bmp"):
        raise InputError(f"{path}: {name} holds no transparency, which the picture has; --format png, webp or tiff")
    if encoding.format == "jpeg" and len(photograph.exif or b"") > MOST_EXIF_IN_JPEG:
        raise InputError(f"{path}: expected 64 KiB of EXIF at most in JPEG, got more; --format png, webp or tiff")


def _settings(photograph: Photograph, encoding: Encoding, mode: str) -> tuple[dict[str, object], list[str]]:
    """Settings for Pillow, and notes of what is left out."""
    exif, icc = photograph.exif, photograph.icc
    extras, without_place = settings_of(photograph.metadata, encoding.format)
    settings, notes = _SETTINGS[encoding.format] | extras, []
    if encoding.format == "bmp":
        without_place += [name for name, part in (("EXIF", exif), ("a colour profile", icc)) if part]
        exif = icc = None
    if icc and len(icc) > MAX_TEXT:
        icc = None
        without_place.append(f"a colour profile of more than {MAX_TEXT >> 20} MiB")
    if without_place:
        notes.append(f"left out, as there is no place for it in {encoding.format.upper()}: {', '.join(without_place)}")
    if icc and mode not in MODES_OF_PROFILES.get(icc[16:20], ()):
        icc = None
        notes.append("its colour profile is not one for the colours that are written, and is left out")
    if encoding.format == "jpeg":
        settings |= photograph.jpeg
        if "qtables" in photograph.jpeg:
            del settings["quality"]
    if encoding.format == "webp" and encoding.lossless:
        settings |= {"lossless": True, "quality": 50, "method": 2}  # effort: a third of the usual time, the same size
    if encoding.format == "tiff" and (exif := _for_tiff(exif, photograph.metadata)):
        settings.pop("compression")  # libtiff, which is needed for compression, writes no EXIF
    extras = {"exif": exif, "icc_profile": icc, "dpi": photograph.dpi}
    return settings | {key: value for key, value in extras.items() if value}, notes


_SETTINGS: dict[str, dict[str, object]] = {
    "png": {"compress_level": 4},  # of 9; takes less than half the time of 6, for files up to 6 % larger
    "jpeg": {"quality": QUALITY, "subsampling": 0},
    "webp": {"quality": QUALITY, "exact": True},  # exact: colours under transparency stay
    "tiff": {"compression": "tiff_adobe_deflate"},
    "bmp": {},
}


def _for_tiff(block: bytes | None, metadata: Metadata) -> Image.Exif | None:
    exif = Image.Exif()
    if block and (described := _described(block)):
        exif.load(described)
    for tag, content in tiff_tags(metadata).items():
        exif[tag] = content
    return exif if len(exif) else None


def _described(block: bytes) -> bytes | None:
    exif = Image.Exif()
    exif.load(block)
    return exif_blocks.described(exif)


@contextlib.contextmanager
def _without_warnings() -> Iterator[None]:
    """Silences Pillow's warnings about odd EXIF."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        yield


@contextlib.contextmanager
def _encoder_errors(path: str | os.PathLike) -> Iterator[None]:
    """Turns an encoder's errors about odd EXIF or profiles into an InputError."""
    try:
        with _without_warnings():
            yield
    except Exception as error:  # of nearly any type
        if isinstance(error, MemoryError) or getattr(error, "errno", None) is not None:
            raise
        raise InputError(
            f"{path}: expected EXIF and a profile that can be written again, got others ({one_line(error, 80)}); "
            "--format png, or remove them"
        ) from None
