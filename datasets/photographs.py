"""Users' photographs, read and written with transparency, profile, EXIF, XMP, text, resolution and format.

A data set's pictures are only pixels (``datasets.images``). What Pillow reads and writes is carried; previews, which
show the old picture, are not. What is left out is named in ``Photograph.notes`` or by ``write_photograph``, as far as
Pillow shows that it is there; what would come back wrong is refused.

Lossless files (``Encoding.lossless``) give back every pixel bit for bit. A JPEG is written with its own quantisation
tables and subsampling, so known pixels change by no more than the rounding of its transform.
"""

import contextlib
import io
import os
import re
import struct
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from PIL import Image, ImageCms, ImageOps, JpegImagePlugin, PngImagePlugin

from datasets.images import decoded, format_of
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
QUALITY = 95  # of JPEG and WebP where the photograph was read from something else
GREY = ("1", "L", "LA", "La")
COLOUR = ("P", "PA", "RGB", "RGBA", "RGBX", "RGBa")

# Parts of a file beside its pixels, by their field in ``Photograph``, as people call them; and what formats hold.
PARTS = {"exif": "EXIF", "icc": "a colour profile", "xmp": "XMP", "comment": "the comment", "text": "PNG text"}
HOLDS = {
    "png": {"exif", "icc", "xmp", "comment", "text"},
    "jpeg": {"exif", "icc", "xmp", "comment"},
    "webp": {"exif", "icc", "xmp"},
    "tiff": {"exif", "icc", "xmp"},
    "bmp": set(),
}
MOST_BYTES_IN_JPEG = 65_500  # of EXIF and of XMP, which lie in one segment each
CAMERA, PLACE, INTEROP, ORIENTATION, XMP_TAG = 0x8769, 0x8825, 0xA005, 0x0112, 700
# EXIF tags that say how a file stores pixels, previews (also Windows') and layers, or that are written elsewhere
# (profile, XMP, IPTC). All others describe the picture.
STORAGE = {*range(254, 260), *range(262, 267), *range(273, 282), 284, *range(290, 294), 317, *range(320, 326)}
STORAGE |= {330, *range(332, 335), 336, *range(338, 348), *range(512, 522), *range(529, 533), 559, 33723, 34377, 34675}
STORAGE |= {0x4748, *range(0x5012, 0x5036), 37724, 50341, ORIENTATION, XMP_TAG}
# XMP that shows the old picture, or speaks of other parts of the old file: films, depth and gain maps, more XMP.
OLD_IN_XMP = (b"GImg:image", b"Thumbnails", b"GImage:", b"GDepth:", b"GCamera:", b"Container:", b"HasExtendedXMP")
KNOWN_SEGMENTS = (b"JFIF\0", b"Exif\0", b"ICC_PROFILE\0", b"Adobe", b"http://ns.adobe.com/xap/", b"Photoshop 3.0\0")
ORIENTATION_IN_XMP = re.compile(rb"(tiff:Orientation(?:\s*=\s*[\"']|\s*>\s*))[2-8]")


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
        exif: tags that describe the picture; no orientation, no preview.
        dpi: across and down, pixels per inch.
        xmp: a packet.
        comment: of a JPEG.
        text: of a PNG.
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
    xmp: bytes | None = None
    comment: bytes | None = None
    text: dict[str, str] = field(default_factory=dict)
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
    with warnings.catch_warnings(record=True) as told, decoded(path) as image:
        warnings.simplefilter("always", UserWarning)  # by which Pillow tells of damaged EXIF
        _refuse_other_colours(image, path)
        notes, icc = [*_notes(image)], image.info.get("icc_profile")
        exif, xmp, text = _exif(image, notes, told), _xmp(image, notes), getattr(image, "text", {})
        encoding, jpeg = encoding_of(path), _jpeg_settings(image)
        image.info.pop("exif", None)  # Pillow would write it anew when it turns the picture, and fail with odd ones
        ImageOps.exif_transpose(image, in_place=True)
        if image.mode == "CMYK":
            upright, icc = _cmyk_to_rgb(image, icc, notes), None
        else:
            upright = _in_mode(image, _mode_in_memory(image))
        alpha = np.array(upright.getchannel("A")) if upright.mode in ("LA", "RGBA") else None
        comment = image.info.get("comment")
        return Photograph(
            pixels=np.array(_in_mode(upright, "RGB")),
            alpha=None if alpha is None or alpha.min() == 255 else alpha,
            grey=upright.mode in ("L", "LA"),
            icc=icc,
            exif=exif,
            dpi=_dpi(image),
            xmp=xmp,
            comment=comment if isinstance(comment, bytes) else None,  # a PNG's is in ``text``
            text={key: value for key, value in text.items() if not key.startswith(("XML:", "Raw profile type"))},
            encoding=encoding,
            jpeg=jpeg,
            notes=tuple(notes),
        )


def _refuse_other_colours(image: Image.Image, path: str | os.PathLike) -> None:
    if image.mode not in (*GREY, *COLOUR, "CMYK", "YCbCr"):
        raise InputError(f"expected RGB, grey, palette or CMYK, got {image.mode} in {path}: save it as RGB")


def _notes(image: Image.Image) -> Iterator[str]:
    if "photoshop" in image.info:
        yield "its Photoshop resources (IPTC) are left out"
    if {"gamma", "chromaticity"} & set(image.info) and not {"srgb", "icc_profile"} & set(image.info):
        yield "its gamma and primaries are left out"
    segments = [name for name, content in getattr(image, "applist", ()) if not content.startswith(KNOWN_SEGMENTS)]
    chunks = [kind.decode("latin-1") for kind, *_ in getattr(image, "private_chunks", ())]
    if unknown := sorted({*segments, *chunks} - {"COM", "iDOT"}):
        yield f"left out, as they may show the old picture: {one_line(', '.join(unknown), 100)}"
    if (count := getattr(image, "n_frames", 1)) > 1:
        yield f"it holds {count} pictures, of which the first is taken; the others are not in the result"


def _exif(image: Image.Image, notes: list[str], told: list[warnings.WarningMessage]) -> bytes | None:
    """A new block without the tags in ``STORAGE`` and without values that hold a JPEG (previews in maker notes)."""
    try:
        given, kept = image.getexif(), Image.Exif()
        kept.endian = given.endian  # maker notes are in the same byte order
        for tag, part in _without_previews(given).items():
            if tag not in STORAGE:
                kept[tag] = _without_previews(given.get_ifd(tag)) if tag in (CAMERA, PLACE) else part
        if INTEROP in kept.get(CAMERA, {}):
            kept[CAMERA][INTEROP] = given.get_ifd(INTEROP)
        block = kept.tobytes() if len(kept) else None
        damaged = any(re.search("EXIF|Tag data|Truncated", str(warning.message)) for warning in told)
        damaged |= "exif" in image.info and len(given) == 0  # Pillow failed with it when it opened the file
    except Exception:  # damaged blocks raise nearly any type
        block, damaged = None, True
    if damaged:
        outcome = "what can be read of it is kept" if block else "it is left out"
        notes.append(f"its EXIF block is damaged: {outcome}")
    return block


def _without_previews(directory: Mapping[int, object]) -> dict[int, object]:
    return {tag: part for tag, part in directory.items() if not (isinstance(part, bytes) and b"\xff\xd8\xff" in part)}


def _xmp(image: Image.Image, notes: list[str]) -> bytes | None:
    packet = image.info.get("xmp")
    if not isinstance(packet, bytes):
        return None
    if any(mark in packet for mark in OLD_IN_XMP):
        notes.append("its XMP is left out, as it holds a preview or speaks of other parts of the old file")
        return None
    return ORIENTATION_IN_XMP.sub(rb"\g<1>1", packet)


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
    return (across, down) if 1 < across < 65535 and 1 < down < 65535 else None


def _mode_in_memory(image: Image.Image) -> str:
    light = "L" if image.mode in GREY else "RGB"
    return light + "A" if image.has_transparency_data else light


def _in_mode(image: Image.Image, mode: str) -> Image.Image:
    return image if image.mode == mode else image.convert(mode)


def _cmyk_to_rgb(image: Image.Image, icc: bytes | None, notes: list[str]) -> Image.Image:
    notes.append("it is CMYK and is written as sRGB: its known pixels are those of the conversion")
    try:
        srgb = ImageCms.createProfile("sRGB")
        return ImageCms.profileToProfile(image, io.BytesIO(icc or b""), srgb, outputMode="RGB")
    except (ImageCms.PyCMSError, OSError):
        notes[-1] += ", without a usable profile"
        return image.convert("RGB")


def write_photograph(path: str | os.PathLike, photograph: Photograph, encoding: Encoding) -> list[str]:
    """Write a photograph whole or not at all; returns notes of what the format cannot hold.

    Raises:
        InputError: transparency or a size that the format cannot hold.
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


def _settings(photograph: Photograph, encoding: Encoding, mode: str) -> tuple[dict[str, object], list[str]]:
    """Settings for Pillow, and notes of what is left out."""
    parts, notes = {key: value for key in PARTS if (value := getattr(photograph, key))}, []
    lost = {key for key in parts if key not in HOLDS[encoding.format]}
    if encoding.format == "jpeg":
        lost |= {key for key in {"exif", "xmp"} & set(parts) if len(parts[key]) > MOST_BYTES_IN_JPEG}
    if lost:
        names = ", ".join(name for key, name in PARTS.items() if key in lost)
        notes.append(f"left out, as there is no place for it in {encoding.format.upper()}: {names}")
    parts = {key: value for key, value in parts.items() if key not in lost}
    kinds = (b"RGB ", b"GRAY") if mode in GREY else (b"RGB ",)  # files with grey and a profile for RGB exist
    if "icc" in parts and parts["icc"][16:20] not in kinds:
        del parts["icc"]
        notes.append("its colour profile is not one for the colours that are written, and is left out")
    return _encoder_settings(photograph, encoding) | _part_settings(parts, encoding.format), notes


def _encoder_settings(photograph: Photograph, encoding: Encoding) -> dict[str, object]:
    settings = (encoding.format == "jpeg" and photograph.jpeg) or _SETTINGS[encoding.format]
    if encoding.format == "webp" and encoding.lossless:
        settings = settings | {"lossless": True, "quality": 50, "method": 2}  # a third of the usual time, the same size
    return settings | ({"dpi": photograph.dpi} if photograph.dpi else {})


def _part_settings(parts: dict[str, object], format_name: str) -> dict[str, object]:
    """Pillow's settings to write the parts that there are."""
    settings = {key: parts[key] for key in ("exif", "xmp", "comment") if key in parts}
    if "icc" in parts:
        settings["icc_profile"] = parts["icc"]
    if format_name == "png":
        settings["pnginfo"] = _png_text(parts)
    if format_name == "tiff" and {"exif", "xmp"} & set(parts):
        settings["exif"] = tags = Image.Exif()
        tags.load(parts.get("exif", b""))
        tags.get_ifd(CAMERA).pop(INTEROP, None)  # which Pillow would write as an offset to nothing
        if "xmp" in parts:
            tags[XMP_TAG] = parts["xmp"]
        settings["compression"] = "raw"  # libtiff, which is needed for compression, writes no EXIF
    return settings


def _png_text(parts: dict[str, object]) -> PngImagePlugin.PngInfo:
    info = PngImagePlugin.PngInfo()
    for key, value in parts.get("text", {}).items():
        info.add_text(key, value)
    for key, name in (("comment", "Comment"), ("xmp", "XML:com.adobe.xmp")):
        if key in parts:
            info.add_itxt(name, parts[key].decode(errors="replace"))
    return info


_SETTINGS: dict[str, dict[str, object]] = {
    "png": {"compress_level": 4},  # of 9; takes less than half the time of 6, for files up to 6 % larger
    "jpeg": {"quality": QUALITY, "subsampling": 0},
    "webp": {"quality": QUALITY, "exact": True},  # exact: colours under transparency stay
    "tiff": {"compression": "tiff_adobe_deflate"},
    "bmp": {},
}


@contextlib.contextmanager
def _encoder_errors(path: str | os.PathLike) -> Iterator[None]:
    """Turns an encoder's errors about odd EXIF or profiles into an InputError."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            yield
    except Exception as error:  # of nearly any type
        if isinstance(error, MemoryError) or getattr(error, "errno", None) is not None:
            raise
        raise InputError(
            f"{path}: expected EXIF and a profile that can be written again, got others ({one_line(error, 80)}); "
            "--format png, or remove them"
        ) from None
