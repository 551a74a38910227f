"""Every reader of users' files, given files changed at random: a result, or an InputError in one line.

``python -m pytest tests/hostile --hypothesis-profile default`` searches further each time it is run.
"""

import io
import json
import pickle
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin
from safetensors.numpy import save as safetensors_of

from datasets.holes import Marks, find_hole
from datasets.images import list_pictures, read_picture
from datasets.masks import read_mask
from datasets.photographs import Photograph, read_photograph, result_encoding, write_photograph
from inpainting.array_files import read_arrays, read_state
from inpainting.checkpoint import load_weights, save_weights
from metrics.manifest import read_manifest
from models import build_model
from options import parse_train
from tests.inpainting.torch_by_hand import a_state, old_format, torch_zip
from utils.errors import InputError

ROOT = Path(__file__).resolve().parents[2]
NUMBERS = (0, 1, 127, 255, 256, 32767, 65535, 2**31 - 1, 2**32 - 1, 2**63 - 1, 2**64 - 1)
WORDS = (b"", b"\0", b"\n", b"\xff\xfe", b"\x1b[31m", b'"', b"[", b"{", b"9" * 400, b"NaN", b"../", b"R", b"b.")
SMALL = {"base_channels": 2, "depth": 1}


@st.composite
def changes(draw):
    """What is done to a file: at which share of it, and what."""
    kinds = st.sampled_from(["flip", "number", "shorten", "repeat", "word"])
    place = st.one_of(st.floats(0, 0.1), st.floats(0, 1))
    return draw(st.lists(st.tuples(kinds, place, st.integers(0, 2**16)), min_size=1, max_size=6))


def changed(data: bytes, steps) -> bytes:
    for kind, place, drawn in steps:
        at = int(place * len(data))
        if kind == "flip":
            data = data[:at] + bytes([data[at] ^ 1 << drawn % 8] if at < len(data) else []) + data[at + 1 :]
        elif kind == "number":
            size = 1 << drawn % 4
            number = (NUMBERS[drawn % len(NUMBERS)] % (1 << 8 * size)).to_bytes(size, ("little", "big")[drawn % 2])
            data = data[:at] + number + data[at + size :]
        elif kind == "shorten":
            data = data[:at]
        elif kind == "repeat":
            data = data[:at] + data[at : at + 1 + drawn % 50] * (drawn % 100) + data[at:]
        else:
            data = data[:at] + WORDS[drawn % len(WORDS)] + data[at:]
    return data


def saved(image: Image.Image, kind: str, **extras) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **extras)
    return file.getvalue()


def with_checksums(data: bytes) -> bytes:
    """A PNG file with right checksums; without them no reader would look any further."""
    made, at = data[:8], 8
    while at + 12 <= len(data):
        [size] = struct.unpack(">I", data[at : at + 4])
        body = data[at + 4 : at + 8 + size]
        made += data[at : at + 8 + size] + struct.pack(">I", zlib.crc32(body))
        at += 12 + size
    return made + data[at:]


def an_npz(member: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.npy", member)
    return file.getvalue()


def pictures() -> list[bytes]:
    """Every format, with metadata."""
    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, [12, 16, 3], dtype=np.uint8))
    exif, info = Image.Exif(), PngImagePlugin.PngInfo()
    exif[0x0112], exif[0x010E], exif[0x8769] = 6, "a description", {0x9003: "2020:01:01 00:00:00"}
    info.add_text("Title", "text", zip=True)
    info.add_itxt("XML:com.adobe.xmp", "<x:xmpmeta/>")
    return [
        saved(image, "PNG", exif=exif, pnginfo=info),
        *(saved(image.convert(mode), "PNG") for mode in ("1", "LA", "P", "RGBA")),
        saved(image, "JPEG", exif=exif, comment=b"c", xmp=b"<x:xmpmeta/>", progressive=True),
        saved(image.convert("CMYK"), "JPEG"),
        *(saved(image, "WEBP", lossless=lossless, exif=exif, xmp=b"<x/>") for lossless in (False, True)),
        saved(image, "BMP"),
        saved(image, "TIFF", exif=exif.tobytes()),
        *(saved(image, "TIFF", compression=how) for how in ("tiff_lzw", "jpeg")),
    ]


def masks() -> list[bytes]:
    hole = np.zeros([24, 32], np.uint8)
    hole[5:15, 8:20], hole[15, 8:20] = 255, 100
    image = Image.fromarray(hole)
    return [saved(image, "PNG"), saved(image.convert("RGB"), "JPEG"), saved(image.convert("P"), "PNG")]


NPY = io.BytesIO()
np.save(NPY, np.arange(12, dtype="float32").reshape(3, 4))
ARRAYS = {"a.weight": np.ones([2, 3], "float32"), "half": np.ones(4, "float16"), "count": np.array([3])}
META = {"model": "pconv_unet", "options": SMALL, "about": "a network", "iter": 3, "files": {"a.b": "0" * 64}}
META |= {"validation": {"psnr": 20.5, "pictures": "a"}, "scaler": {"scale": [1.0]}, "inputs": ["image"]}


def read_and_write(path: Path) -> None:
    photograph = read_photograph(path)
    write_photograph(path.with_name("result"), photograph, result_encoding(photograph.encoding))


def read_as_mask(path: Path) -> None:
    for white in (True, False):
        read_mask(path, "white" if white else "black")
    read_mask(path, check=False)
    find_hole(Photograph(np.zeros([24, 32, 3], np.uint8)), Marks(path, colour=(255, 255, 255)))


def read_weights(path: Path) -> None:
    if not (path.parent / "model.safetensors").exists():
        save_weights(build_model("pconv_unet", **SMALL), path.parent / "new")
        (path.parent / "new/model.safetensors").rename(path.parent / "model.safetensors")
    load_weights(path.parent)


def read_pairs(path: Path) -> None:
    read_manifest(path, path.parent, path.parent)


def read_preset(path: Path) -> None:
    parse_train(["--config", str(path), "--log_dir", str(path.parent / "run")])


READERS = {
    "picture": ("a.png", read_picture, pictures, with_checksums),
    "photograph": ("a.png", read_and_write, pictures, with_checksums),
    "mask": ("a.png", read_as_mask, masks, with_checksums),
    "pickle": ("a.pdparams", read_arrays, lambda: [pickle.dumps(ARRAYS, n) for n in (2, 3, 4)], bytes),
    "safetensors": ("a.safetensors", read_arrays, lambda: [safetensors_of(ARRAYS)], bytes),
    "npz": ("a.npz", read_arrays, lambda: [NPY.getvalue()], an_npz),
    "torch": ("a.pth", read_state, lambda: [b"\x80\x02" + a_state(TORCH)[0] + b"."], lambda d: torch_zip(d, STORAGES)),
    "old torch": ("a.pth", read_state, lambda: [old_format(b"\x80\x02" + a_state(TORCH)[0] + b".", STORAGES)], bytes),
    "meta": ("meta.json", read_weights, lambda: [json.dumps(META).encode()], bytes),
    "preset": ("a.yaml", read_preset, lambda: [(ROOT / "configs/celeba.yaml").read_bytes()], bytes),
    "list": ("a.txt", list_pictures, lambda: [b"a.png\n# a remark\nsub/b c.png 17\n"], bytes),
    "manifest": ("a.csv", read_pairs, lambda: [b"image,mask\nsample:coffee,generated:7:0.1-0.2:N\n"], bytes),
}
TORCH = {"a": np.arange(6, dtype="float32").reshape(2, 3), "b": np.ones(3, "float32")}
STORAGES = a_state(TORCH)[1]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("kind", READERS)
def test_a_changed_file_is_read_or_refused_in_one_line(kind, tmp_path_factory):
    name, read, make, close = READERS[kind]
    seeds, path = make(), tmp_path_factory.mktemp("hostile") / name

    for seed in seeds:  # as they are, all are read
        if kind not in ("manifest", "list"):  # whose pictures are not there
            path.write_bytes(close(seed))
            read(path)

    @settings(max_examples=100)
    @given(st.sampled_from(seeds), changes())
    def check(seed, steps):
        path.write_bytes(close(changed(seed, steps))[: 1 << 20])
        try:
            read(path)
        except InputError as error:
            assert "\n" not in str(error) and len(str(error)) < 1500

    check()
