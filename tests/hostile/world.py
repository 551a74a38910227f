"""What a user has: pictures, masks, weights, a run, an export, lists. Small, and made by the project itself."""

import shutil
import sys
from pathlib import Path

import numpy as np

NETWORK = "--base_channels 4 --depth 3"
TINY = (
    f"--image_size 32 {NETWORK} --batch_size 2 --log_every 1 --val_every 4 --val_count 2 --num_workers 0 --threads 1 "
    "--perceptual_weight 0 --style_weight 0 --save_every 2"
)
CYRILLIC = "папка"


def main(arguments: list[str]) -> None:
    """Make the world in the folder that is given."""
    [folder] = map(Path, arguments)
    _make_pictures(folder)
    _make_texts(folder)
    _make_weights(folder)
    _make_run(folder)


def _make_pictures(folder: Path) -> None:
    from datasets.images import write_picture

    for i in range(4):
        picture = np.random.default_rng(i).integers(0, 256, [40, 48, 3], dtype=np.uint8)
        mask = np.zeros([40, 48], np.uint8)
        mask[8:24, 10 + i : 34] = 255
        write_picture(folder / "pictures" / f"{i}.png", picture)
        write_picture(folder / "masks" / f"{i}.png", mask)
    for i in range(3):
        frame = np.full([48, 48, 3], 90, np.uint8)
        frame[12:36, 8 + 6 * i : 24 + 6 * i] = 200
        write_picture(folder / "frames" / f"{i}.png", frame)
    shutil.copy(folder / "masks/0.png", folder / "mask.png")
    (folder / CYRILLIC).mkdir()
    shutil.copy(folder / "pictures/0.png", folder / CYRILLIC / "картинка.png")


def _make_texts(folder: Path) -> None:
    (folder / "thesis").mkdir()
    (folder / "thesis/thesis.txt").write_text("the work of three years")
    (folder / "pictures.txt").write_text("pictures/0.png\npictures/1.png\n")
    (folder / "preset.yaml").write_text("lr: 1e-3\nbatch_size: 2\n")
    (folder / "manifest.csv").write_text("image,mask\n0.png,0.png\n1.png,1.png\n")


def _make_weights(folder: Path) -> None:
    from inpainting.checkpoint import SAFE_PARAMS, save_weights
    from inpainting.exported import export_model
    from models import build_model

    model = build_model("pconv_unet", base_channels=4, depth=3)
    save_weights(model, folder / "weights", about="small")
    save_weights(model, folder / "safe", file_name=SAFE_PARAMS)
    export_model(model, folder / "export")


def _make_run(folder: Path) -> None:
    train = sys.modules["script_train"]
    train.main(f"{TINY} --image_root {folder}/pictures --ema_decay 0.5 --max_iters 2 --log_dir {folder}/run".split())
