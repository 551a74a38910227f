"""meta.json: what is read of it, and how it can be wrong."""

import json

import numpy as np
import pytest

from inpainting.meta import ENTRIES, TEXT_LENGTH, read_meta
from utils.errors import InputError

MODEL = {"model": "pconv_unet", "options": {"base_channels": 4, "output": "linear", "bias": True, "x": None, "y": 0.5}}
OF_A_RUN = {
    **{"iter": 7, "position": 56, "phase": "initial", "phase_start": 0, "seed": 10**13, "batch_size": 8},
    **{"ema_updates": 7, "settings": {"lr": 2e-4}, "scaler": {"scale": [65536.0]}, "files": {"model.pdparams": "0a"}},
    **{"validation": {"psnr": float("inf"), "pictures": "0123abcd"}, "format": "paddle_inference", "inputs": ["image"]},
    **{"versions": {"paddle": "3.3.1"}, "about": "faces", "detail": "off", "flip": "on", "start_depth": 12.5},
    "something new": [{}],
}


def write(folder, content):
    (folder / "meta.json").write_bytes(content if isinstance(content, bytes) else json.dumps(content).encode())
    return folder


def test_what_is_right_is_returned_as_it_is(tmp_path):
    assert read_meta(write(tmp_path, MODEL | OF_A_RUN)) == MODEL | OF_A_RUN
    assert set(ENTRIES) <= {*MODEL, *OF_A_RUN}  # so that each check has let something through


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "damaged"),
        (b"\xff\xfe", "no text"),
        (b"[" * 1_000_000, "damaged"),
        (b"{" + b" " * (2 << 20) + b"}", "more than 1024 KiB"),
        ({"model": "pconv_unet"}, "expected options as .*, got none"),
        *((MODEL | OF_A_RUN | {key: None}, f"expected {key} as .*, got None") for key in ENTRIES),
        (MODEL | {"files": {"../model.pdparams": "0a"}}, "expected files as"),
        (MODEL | {"validation": {"psnr": 1.0}}, "expected validation as"),
        (MODEL | {"options": {"a": (1 << 20) + 1}}, "expected options as"),
    ],
)
def test_what_is_wrong_is_told_in_one_line(tmp_path, content, message):
    with pytest.raises(InputError, match=message) as caught:
        read_meta(write(tmp_path, content))
    assert "meta.json" in str(caught.value) and "\n" not in str(caught.value) and len(str(caught.value)) < 500


@pytest.mark.parametrize("about", ["a\nb\tc", "\x1b]0;title\x07 \x1b[2J", "\u202egnp", "\ud800", "x" * 100_000])
def test_what_weights_say_of_themselves_is_fit_for_a_terminal(tmp_path, about):
    shown = read_meta(write(tmp_path, MODEL | {"about": about}))["about"]
    assert shown.isprintable() and len(shown) <= TEXT_LENGTH
    assert shown.encode()


def test_weights_say_how_they_are_used_best(tmp_path):
    from inpainting import Inpainter
    from inpainting.checkpoint import save_weights
    from models import build_model

    model = build_model("pconv_unet", base_channels=4, depth=3, prior="smooth", norm="none")
    save_weights(model, tmp_path, detail="off", flip="off", start_depth=12)
    inpainter = Inpainter.from_checkpoint(tmp_path, detail=None)
    assert (inpainter.detail, inpainter.flip, inpainter.start_depth) == (False, False, 12)
    asked = Inpainter.from_checkpoint(tmp_path, detail=True, flip=True)
    assert asked.detail and asked.flip
    save_weights(model, tmp_path / "first", flip="first")
    assert Inpainter.from_checkpoint(tmp_path / "first").flip == "first"
    assert Inpainter.from_checkpoint(tmp_path / "first", scales=1).flip is False


def test_a_start_depth_fills_deep_holes_from_a_coarser_scale():
    from inpainting.scales import Network, plan

    hole = np.zeros([128, 128], bool)
    hole[40:80, 40:80] = True
    for start_depth, level in {None: 0, 64: 0, 12: 1, 6: 2}.items():
        network = Network(None, True, lambda mask: np.ones(mask.shape, bool), start_depth)
        assert [group.level for group in plan(network, hole)] == [level]
