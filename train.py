"""Train an inpainting network: ``python train.py --help``.

Parses the options, builds model, loss and data, and hands them to the trainer. Paddle is imported after the options
are known (see ``options.setup_device``).
"""

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import yaml

from errors import InputError, run_cleanly
from files import atomic_path
from options import parse_train, setup_device


def main(argv: Sequence[str] | None = None) -> None:
    options, changed = parse_train(argv)
    setup_device(options.device, options.threads)
    _check(options)
    resume_from = _resume_directory(options)
    dataset, validation = build_data(options)
    model, start_iter, state = build_model(options, resume_from)
    trainer = build_trainer(options, model, dataset, validation)
    if state is not None:
        from engine.checkpoint import load_optimizer

        load_optimizer(trainer.optimizer, state, model.state_dict())
    prepare_log_dir(options, fresh=resume_from is None)
    print_plan(options, changed, model, dataset, start_iter)
    run(trainer, start_iter)
    print(f"done: {options.log_dir}; see it with: visualdl --logdir {options.log_dir} --language en")


def build_data(options: argparse.Namespace):
    """Training stream and validation set."""
    from datasets.inpainting import GeneratedMasks, InpaintingDataset, MaskFolder, PictureFolder, SamplePhotos, hold_out
    from engine.validation import ValidationSet

    if options.image_root is None:
        pictures, held = SamplePhotos("train"), SamplePhotos("val")
    elif options.val_image_root:
        pictures, held = PictureFolder(options.image_root), PictureFolder(options.val_image_root)
    else:
        pictures, held = hold_out(PictureFolder(options.image_root), options.val_count)
    if options.mask_root:
        masks = MaskFolder(options.mask_root, options.hole, dilate=options.mask_dilate == "yes")
    else:
        masks = GeneratedMasks()
    # Read one sample here: a set of which nothing can be read is told before the run, not from inside a reader process.
    InpaintingDataset(pictures, masks, options.image_size, options.seed)[0]
    dataset = InpaintingDataset(pictures, masks, options.image_size, options.seed)
    return dataset, ValidationSet(held, options.image_size, options.val_count)


def build_model(options: argparse.Namespace, resume_from: Path | None):
    """The network, the iterations behind it, and the directory of its optimiser's state (None: start that anew)."""
    import paddle

    from engine.checkpoint import PARAMS, load_arrays_into, read_meta, weights_directory
    from models import build_model as build

    paddle.seed(options.seed)
    try:
        model = build(
            options.model, base_channels=options.base_channels, depth=options.depth, output=options.output_activation
        )
    except ValueError as error:
        raise InputError(str(error)) from None
    if resume_from is not None:
        load_arrays_into(model, resume_from / PARAMS)
        meta = read_meta(resume_from)
        _warn_of_changes(meta, options)
        same_phase = meta.get("phase") == options.phase
        return model, int(meta.get("iter", 0)), resume_from if same_phase else None
    if options.weights:
        load_arrays_into(model, weights_directory(options.weights) / PARAMS)
    return model, 0, None


def build_trainer(options: argparse.Namespace, model, dataset, validation):
    from engine.checkpoint import read_arrays
    from engine.trainer import Settings, Trainer
    from losses import InpaintingLoss, VGG16Features

    try:
        features = VGG16Features(read_arrays(options.vgg_weights)) if options.vgg_weights else None
    except ValueError as error:
        raise InputError(f"--vgg_weights {options.vgg_weights}: {error}") from None
    weights = {term: getattr(options, f"{term}_weight") for term in ("valid", "hole", "perceptual", "style", "tv")}
    settings = Settings(
        amp=options.amp == "O1",
        **{
            key: getattr(options, key)
            for key in [
                "max_iters",
                "batch_size",
                "lr",
                "phase",
                "lr_schedule",
                "style_warmup_iters",
                "log_every",
                "val_every",
                "save_every",
                "num_workers",
                "seed",
            ]
        },
    )
    return Trainer(model, InpaintingLoss(features, weights), dataset, validation, settings, Path(options.log_dir))


def prepare_log_dir(options: argparse.Namespace, fresh: bool) -> None:
    """Move an earlier run out of the way, and write down the options of this one."""
    log_dir = Path(options.log_dir)
    if fresh and log_dir.exists() and any(log_dir.iterdir()):
        aside = log_dir.with_name(f"{log_dir.name}_before_{time.strftime('%Y%m%d_%H%M%S')}")
        os.rename(log_dir, aside)
        print(f"{log_dir} held an earlier run: moved to {aside} (to go on with one: --resume auto)")
    with atomic_path(log_dir / "config.yaml") as temporary:
        kept = {key: value for key, value in vars(options).items() if key not in ("config", "resume")}
        temporary.write_text(yaml.safe_dump(kept, sort_keys=False, allow_unicode=True))


def print_plan(options: argparse.Namespace, changed: dict, model, dataset, start_iter: int) -> None:
    import paddle

    parameters = sum(p.size for p in model.parameters() if not p.stop_gradient) / 1e6
    print(f"preset: {options.config}")
    print("options that differ from the defaults: " + ", ".join(f"{key}={value}" for key, value in changed.items()))
    print(
        f"{options.model}: {parameters:.2f} M parameters; {len(dataset.pictures)} pictures; {options.phase} phase, "
        f"iterations {start_iter} to {options.max_iters}; {paddle.get_device()}; {options.log_dir}"
    )


def run(trainer, start_iter: int) -> None:
    from engine.trainer import NonFiniteLossError

    try:
        trainer.run(start_iter)
    except NonFiniteLossError as error:
        raise InputError(str(error)) from None


def _check(options: argparse.Namespace) -> None:
    """Refuse at once what would fail late."""
    import paddle

    if int(os.environ.get("PADDLE_TRAINERS_NUM", "1")) > 1:
        raise InputError("expected one process, got several: training with many processes is not built yet")
    if options.amp == "O1" and not paddle.get_device().startswith("gpu"):
        raise InputError(
            "--amp O1: expected a GPU, got a CPU, where Paddle has no automatic mixed precision; use --amp O0"
        )
    if options.phase == "finetune" and not (options.weights or options.resume):
        raise InputError(
            "--phase finetune: expected weights to start from, got none; give --weights DIR or --resume auto"
        )
    if options.weights and options.resume:
        raise InputError("--weights starts a run and --resume goes on with one: give one of the two")
    if Path(options.log_dir).exists() and not Path(options.log_dir).is_dir():
        raise InputError(f"--log_dir: expected a folder, got the file {options.log_dir}; choose another name")


def _resume_directory(options: argparse.Namespace) -> Path | None:
    """The checkpoint to go on from; None for a new run, also for --resume auto where there is none yet."""
    from engine.checkpoint import LATEST, weights_directory

    if options.resume is None:
        return None
    if options.resume != "auto":
        return weights_directory(options.resume).resolve()
    latest = Path(options.log_dir) / "checkpoints" / LATEST
    if not latest.exists():
        print(f"--resume auto: no checkpoint under {options.log_dir} yet, starting a new run")
        if options.phase == "finetune":
            raise InputError(
                f"--phase finetune: expected a checkpoint under {options.log_dir}, got none; give --weights DIR"
            )
        return None
    return latest.resolve()


def _warn_of_changes(meta: dict, options: argparse.Namespace) -> None:
    """The stream of samples is a function of seed and batch size: other values do not continue it."""
    if meta.get("phase", options.phase) != options.phase:
        print(f"the checkpoint is of phase {meta['phase']}, this is phase {options.phase}: Adam starts anew")
    for key in ("seed", "batch_size"):
        if key in meta and meta[key] != getattr(options, key):
            print(
                f"warning: --{key} was {meta[key]} in the checkpoint and is {getattr(options, key)} now: "
                "the samples differ",
                file=sys.stderr,
            )


if __name__ == "__main__":
    run_cleanly(main)
