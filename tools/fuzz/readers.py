"""What is fuzzed: each kind of file that users bring, as the commands read it, and the sound files to begin with.

A reader may succeed or raise ``InputError``. Seeds are made here, small and the same everywhere; only what other
programs write as this project cannot (PyTorch's files) is taken from the tests.
"""

import functools
import io
import json
import logging
import pickle
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageCms

ROOT = Path(__file__).resolve().parents[2]
SMALL = {"base_channels": 2, "depth": 1}


class Kind(NamedTuple):
    """A kind of file: a mutant's name, its reader, and the sound files to begin with."""

    name: str
    read: Callable[[Path], object]
    seeds: Callable[[], list[bytes]]


def _read_picture(path: Path) -> None:
    from datasets.images import read_picture

    read_picture(path)


def _read_photograph(path: Path) -> None:
    """Read, and written again with all that belongs to it."""
    from datasets.photographs import read_photograph, result_encoding, write_photograph

    photograph = read_photograph(path)
    encoding = result_encoding(photograph.encoding)
    write_photograph(path.with_name(f"result{encoding.suffix}"), photograph, encoding)


def _read_mask(path: Path) -> None:
    """In one of the ways in which a mask, or a copy that was painted, is read; which, its content decides."""
    from datasets.holes import Marks, find_hole, read_hole
    from datasets.masks import read_mask
    from datasets.photographs import Photograph

    whole = Photograph(np.zeros([24, 32, 3], np.uint8))
    marks = (Marks(path), Marks(path, alpha=True), Marks(path, colour=(255, 0, 255)))
    ways = [lambda: read_hole(path), lambda: read_mask(path), lambda: read_mask(path, "black", check=False)]
    ways += [functools.partial(find_hole, whole, mark) for mark in marks]
    ways[zlib.crc32(path.read_bytes()) % len(ways)]()


def _read_weights(path: Path) -> None:
    from inpainting.array_files import read_arrays, read_state

    read_state(path)
    read_arrays(path)


def _read_checkpoint(path: Path) -> None:
    """With whatever stands beside the arrays."""
    from inpainting.array_files import read_state

    read_state(path)


def _read_port(path: Path) -> None:
    """As tools.convert_weights does."""
    from inpainting.array_files import read_state, refuse_bad_numbers
    from tools.ports import recognised, unwrapped, vgg16_taps

    arrays = unwrapped(path, read_state(path))
    refuse_bad_numbers(path, arrays)
    if "features.0.weight" in arrays:
        vgg16_taps(path, arrays)
    else:
        recognised(path, arrays, "signed")


def _read_meta(path: Path) -> None:
    """With the weights of a small network beside it."""
    from inpainting.checkpoint import load_weights

    weights = path.with_name("model.safetensors")
    if not weights.exists():
        weights.write_bytes(_small_network())
    load_weights(path.parent)


def _read_manifest(path: Path) -> None:
    from metrics.manifest import generate, read_manifest

    _make_named(path.parent)
    for pair in read_manifest(path, path.parent, path.parent):
        if pair.mask.startswith("generated:"):
            generate(pair.mask, 16, 16)


def _read_preset(path: Path) -> None:
    from options import parse_train

    parse_train(["--config", str(path), "--log_dir", str(path.parent / "run")])


def _read_list(path: Path) -> None:
    from datasets.images import list_pictures

    _make_named(path.parent)
    list_pictures(path)


def _make_named(folder: Path) -> None:
    """The pictures that lists and manifests name."""
    for name in ("a.png", "b.png"):
        if not (folder / name).exists():
            (folder / name).write_bytes(b"")


def _picture() -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, [12, 16, 3], dtype=np.uint8))


def _saved(image: Image.Image, **settings) -> bytes:
    file = io.BytesIO()
    image.save(file, **settings)
    return file.getvalue()


def _pictures() -> list[bytes]:
    """Every format, most modes and ways of compression, with EXIF and a profile."""
    picture, exif = _picture(), Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "a description"
    exif.get_ifd(0x8769)[0x9003] = "2020:01:01 00:00:00"
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    extras = {"exif": exif.tobytes(), "icc_profile": profile, "dpi": (72, 72)}
    modes = [picture.convert(mode) for mode in ("1", "L", "LA", "P", "RGBA", "CMYK", "I;16")]
    deep = Image.fromarray(np.full([12, 16], 40000, np.uint16))
    return [
        *(_saved(image, format="PNG") for image in (*(m for m in modes if m.mode not in ("CMYK", "I;16")), deep)),
        _saved(picture, format="PNG", **extras),
        _saved(picture, format="PNG", **_several()),
        _saved(picture, format="JPEG", **extras),
        _saved(picture, format="JPEG", progressive=True, subsampling=2),
        *(_saved(image, format="JPEG") for image in (modes[1], modes[5])),
        _saved(picture, format="MPO", **_several()),
        *(
            _saved(image, format="WEBP", lossless=lossless, **extras)
            for image in (picture, modes[4])
            for lossless in (0, 1)
        ),
        _saved(picture, format="WEBP", **_several()),
        *(_saved(image, format="BMP") for image in (picture, modes[0], modes[1], modes[3])),
        *(
            _saved(picture, format="TIFF", compression=compression, exif=exif)
            for compression in (None, "tiff_lzw", "tiff_adobe_deflate", "packbits", "jpeg")
        ),
        *(_saved(image, format="TIFF") for image in (*modes[:6], deep)),
        _saved(modes[0], format="TIFF", compression="group4"),
        _saved(_picture(), format="TIFF", icc_profile=profile, **_several()),
    ]


def _several() -> dict:
    """Settings for a file of two pictures, made anew each time: an encoder leaves its settings in them."""
    return {"save_all": True, "append_images": [_picture().rotate(180)]}


def _masks() -> list[bytes]:
    hole = np.zeros([24, 32], np.uint8)
    hole[5:15, 8:20] = 255
    mask = Image.fromarray(hole)
    layer = mask.convert("RGBA")
    layer.putalpha(mask)
    images = (
        mask,
        mask.convert("1"),
        mask.convert("P"),
        mask.convert("RGB"),
        layer,
        Image.fromarray(hole * np.uint16(257)),
    )
    painted = Image.new("RGB", (32, 24), "white")
    painted.paste((255, 0, 255), (4, 4, 9, 9))
    return [
        *(_saved(image, format=name) for image in images for name in ("PNG", "TIFF")),
        *(_saved(mask, format=name) for name in ("JPEG", "WEBP", "BMP")),
        _saved(painted, format="PNG"),
    ]


def _arrays() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    arrays = {f"encoder.{i}.conv.weight": rng.standard_normal([2, 3, 3, 3]).astype("float32") for i in range(2)}
    return arrays | {
        "half": np.ones([4], np.float16),
        "count": np.int64([3]),
        "flag": np.array([True]),
        "one": np.float64(1),
    }


def _small_network() -> bytes:
    from safetensors.numpy import save

    from models import build_model

    model = build_model("pconv_unet", **SMALL)
    return save({name: t.numpy() for name, t in model.state_dict().items()})


def _pickles() -> list[bytes]:
    arrays = _arrays()
    made = [pickle.dumps(arrays, protocol) for protocol in range(6)]
    nested = {
        "a": arrays,
        "LR_Scheduler": {"last_lr": 0.1},
        "names": ["x", "y"],
        "t": (1, None, True, -(2**70), 1.5, b"z"),
    }
    columns = {"a": np.asfortranarray(np.arange(12.0).reshape(3, 4)), "b": np.arange(3, dtype=">i4")}
    return [*made, pickle.dumps(nested, 4), pickle.dumps(columns, 2)]


def _archives() -> list[bytes]:
    files = [io.BytesIO() for _ in range(2)]
    np.savez(files[0], **_arrays())
    np.savez_compressed(files[1], **_arrays())
    return [file.getvalue() for file in files]


def _safetensors() -> list[bytes]:
    from safetensors.numpy import save

    return [save({name: np.atleast_1d(a) for name, a in _arrays().items()}), _small_network()]


def _by_torch() -> list[bytes]:
    return [file.read_bytes() for file in sorted((ROOT / "tests/inpainting").glob("by_torch_*.pth"))]


def _ports() -> list[bytes]:
    """Narrow networks under the names of each layout of other projects."""
    from safetensors.numpy import save

    from models import model_shapes
    from tools.ports import DEEPFILL_PARTS, LAYOUTS, NORM

    files, depth = [], 2
    shapes = model_shapes("pconv_unet", base_channels=2, depth=depth)
    for layout in LAYOUTS:
        named = {}
        for stage in range(1, depth + 1):
            for ours, names in ((f"encoder.{stage - 1}", layout.down), (f"decoder.{depth - stage}", layout.up)):
                named[names.weight.format(stage)] = f"{ours}.conv.weight"
                if stage == 1:
                    named[names.bias.format(stage)] = f"{ours}.conv.bias"
                else:
                    named |= {f"{names.norm.format(stage)}.{n}": f"{ours}.norm.{o}" for n, o in NORM.items()}
        files.append(save({name: np.ones(shapes[ours], np.float32) for name, ours in named.items()}))
    shapes = model_shapes("deepfill_v1", base_channels=4)
    named = {
        f"{net}.{name}.conv.{part}": f"{ours}.{i}.{part}"
        for ours, (net, names) in DEEPFILL_PARTS.items()
        for i, name in enumerate(names)
        for part in ("weight", "bias")
    }
    files.append(save({name: np.ones(shapes[ours], np.float16) for name, ours in named.items()}))
    vgg = {
        f"features.{i}.{part}": np.ones([2, 2, 3, 3][: 4 if part == "weight" else 1]) for i in (0, 2) for part in NORM
    }
    return [*files, save(vgg)]  # of which a whole one has megabytes


def _metas() -> list[bytes]:
    whole = {
        **{"model": "pconv_unet", "options": SMALL, "about": "a network", "versions": {"paddle": "3.3.1"}, "iter": 3},
        **{"position": 24, "phase": "initial", "phase_start": 0, "seed": 0, "batch_size": 8, "ema_updates": 3},
        **{"settings": {"lr": 2e-4}, "scaler": {"scale": [1.0]}, "files": {"model.safetensors": "0" * 64}},
        **{"validation": {"psnr": 20.5, "pictures": "abc"}, "format": "3", "inputs": ["image", "mask"]},
    }
    others = ({"depth": 2, "prior": "smooth", "norm": "none"}, {"picture_range": "imagenet", "mask_channel": True})
    made = [whole, *({"model": "pconv_unet", "options": {**SMALL, **other}} for other in others)]
    made.append({"model": "deepfill_v1", "options": {"base_channels": 4, "attention": {"softmax_scale": 10.0}}})
    return [json.dumps(meta, indent=2).encode() for meta in made]


def _manifests() -> list[bytes]:
    return [
        b"image,mask,bucket\na.png,b.png,0.1-0.2\nb.png,a.png,\n",
        b"image,mask\nsample:coffee,generated:7:0.1-0.2:N\na.png,generated:123456789:0.5-0.6:B\n",
        b'image,mask\r\n"a.png","b.png"\r\n# a remark\r\n\r\n',
    ]


def _presets() -> list[bytes]:
    return [file.read_bytes() for file in sorted((ROOT / "configs").glob("*.yaml"))]


def _lists() -> list[bytes]:
    return [b"a.png\n# a remark\n\nb.png\n", b"\xef\xbb\xbf./a.png\r\n./b.png\r\n"]


KINDS: dict[str, Kind] = {
    "picture": Kind("a.png", _read_picture, _pictures),
    "photograph": Kind("a.png", _read_photograph, _pictures),
    "mask": Kind("a.png", _read_mask, _masks),
    "pickle": Kind("a.pdparams", _read_weights, _pickles),
    "npz": Kind("a.npz", _read_weights, _archives),
    "safetensors": Kind("a.safetensors", _read_weights, _safetensors),
    "torch": Kind("a.pth", _read_checkpoint, _by_torch),
    "port": Kind("a.safetensors", _read_port, _ports),
    "meta": Kind("meta.json", _read_meta, _metas),
    "manifest": Kind("pairs.csv", _read_manifest, _manifests),
    "preset": Kind("preset.yaml", _read_preset, _presets),
    "list": Kind("list.txt", _read_list, _lists),
}


def quietly() -> None:
    """Warnings of the readers are not looked at here."""
    logging.getLogger("paddle_pconv").setLevel(logging.ERROR)
