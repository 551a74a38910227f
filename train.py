"""Train an inpainting network: ``python train.py --help``.

Top to bottom: options, data, network, loss, trainer, run. Paddle is imported after the options are parsed (see
``utils.device``), so imports that need it stand inside the functions. ``python -m paddle.distributed.launch`` starts
this as one of several processes.
"""

import argparse
import contextlib
import math
import sys
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

import numpy as np
import yaml

from engine.console import steady_console
from options import check_folder, factors_of, hyper_parameters, is_adversarial, parse_train, setup_device, typed_as
from options.train import NETWORK
from utils.errors import InputError, naming, run_cleanly
from utils.files import atomic_path
from utils.run_folder import CHECKPOINTS, OPTIONS, RunFolder


def main(argv: Sequence[str] | None = None) -> None:
    with steady_console():
        options, changed = parse_train(argv)
        setup_device(options.device, options.threads)
        check(options)
        from engine import distributed
        from engine.logger import log_to_terminal

        writes = distributed.is_first() and not options.dry_run
        with log_to_terminal(), RunFolder(options.log_dir) if writes else contextlib.nullcontext() as folder:
            distributed.start()
            train(options, changed, folder)


def train(options: argparse.Namespace, changed: dict, folder: RunFolder | None) -> None:
    """Build everything and run it; only a process with a ``folder`` writes there."""
    checkpoint = checkpoint_to_resume(options)
    is_new = checkpoint is None or checkpoint.parent != (Path(options.log_dir) / CHECKPOINTS).resolve()
    if folder and is_new:
        folder.refuse_others()
    refuse_beyond_memory(options)
    dataset, validation = build_data(options)
    model = build_model(options, checkpoint)
    trainer = build_trainer(options, build_task(options, model), dataset, validation)
    if checkpoint:
        note_changes(options, checkpoint, model)
        trainer.resume(checkpoint)
    if folder:
        folder.begin(is_new)
        write_options(options)
    print_plan(options, changed, trainer)
    if options.dry_run:
        print_cost(trainer)
    else:
        run(trainer)


# Data


def build_data(options: argparse.Namespace):
    """Training stream and validation set."""
    from datasets.inpainting import InpaintingDataset, PictureFolder, SamplePhotos, hold_out
    from engine.validation import ValidationSet

    if options.dry_run:
        replace_absent_data(options)
    roots = {name: getattr(options, name) for name in ("image_root", "val_image_root", "mask_root", "log_dir")}

    def folder(name: str):
        others = [path for other, path in roots.items() if other != name]
        return PictureFolder(roots[name], others, options.list_root)

    with naming("--image_root"):
        if options.image_root is None:
            pictures, held = SamplePhotos("train"), SamplePhotos("val")
        elif options.val_image_root:
            pictures = folder("image_root")
        else:
            pictures, held = hold_out(folder("image_root"), options.val_count)
    if options.val_image_root:
        with naming("--val_image_root"):
            held = folder("val_image_root")
    shrink = options.hole_shape != "super_resolution"  # super-resolution needs pictures at their own resolution
    dataset = InpaintingDataset(pictures, build_masks(options), options.image_size, options.seed, shrink=shrink)
    with naming("--image_root"):
        dataset[0]  # where no picture can be read this fails here, not later inside a reader process
    with naming("--val_image_root" if options.val_image_root else "--image_root"):
        shape, factors = options.hole_shape, factors_of(options.super_resolution_factors)
        return dataset, ValidationSet(held, options.image_size, options.val_count, shape, factors)


def build_masks(options: argparse.Namespace):
    from datasets.inpainting import GeneratedMasks, MaskFolder

    if options.mask_root:
        with naming("--mask_root"):
            others = (options.image_root, options.val_image_root, options.log_dir)
            masks = MaskFolder(options.mask_root, options.hole, dilate=options.mask_dilate == "yes", leave_out=others)
            masks.draw(np.random.default_rng(0), options.image_size)  # where no mask can be read this fails here
            return masks
    return GeneratedMasks(shape=options.hole_shape, factors=factors_of(options.super_resolution_factors))


def replace_absent_data(options: argparse.Namespace) -> None:
    """For a plan that is made before the data is there."""
    absent = {
        "image_root": "sample photographs",
        "val_image_root": "pictures held out",
        "mask_root": "generated holes",
    }
    for key, instead in absent.items():
        path = getattr(options, key)
        if path and not Path(path).exists():
            print(f"nothing at {path} yet: the plan is made with {instead}")
            setattr(options, key, None)


# Network


def network_options(options: argparse.Namespace) -> dict:
    """The options of the network that are given, by its own names."""
    given = {name: getattr(options, key) for name, key in NETWORK.items()}
    if given["mask_channel"] is not None:
        given["mask_channel"] = given["mask_channel"] == "yes"
    return {name: value for name, value in given.items() if value is not None}


def build_model(options: argparse.Namespace, checkpoint: Path | None = None):
    """The network, with the weights to start from; the checkpoint's weights come later, with its whole state."""
    import paddle

    from inpainting.checkpoint import META, read_meta, weights_directory
    from models import build_model as build

    with naming("--weights"):
        start = weights_directory(options.weights) if options.weights and not checkpoint else None
    origin, others = checkpoint or start, {}
    if origin and (origin / META).is_file():
        meta = read_meta(origin)  # options of the network that train.py has no word for, such as picture_range
        others = meta["options"] if meta["model"] == options.model else {}
        others = {key: value for key, value in others.items() if key not in NETWORK}
    paddle.seed(options.seed)
    try:
        model = build(options.model, **others, **network_options(options))
    except ValueError as error:
        raise InputError(str(error)) from None
    if start:
        with naming("--weights"):
            load_start(model, start)
    return model


def load_start(model, directory: Path) -> None:
    """Set the network's weights; weights of another network are refused, or noted if they fit all the same."""
    from inpainting.checkpoint import load_arrays_into, other_network, read_meta, weights_file

    difference = None
    if other_network(model, directory):
        meta = read_meta(directory)
        difference = (
            f"{directory} holds weights of {typed_as(meta['model'], meta['options'])}, and this network is "
            f"{typed_as(model.model_name, model.model_options)}"
        )
    try:
        load_arrays_into(model, weights_file(directory))
    except InputError as error:
        raise InputError(f"{difference}: type the weights' options, or none of them") if difference else error from None
    if difference:
        print(f"warning: --weights: {difference}", file=sys.stderr)


# Loss


def build_task(options: argparse.Namespace, model):
    """What is optimised, and how: see ``engine.task``."""
    settings = build_settings(options)
    if is_adversarial(options.model):
        return adversarial_task(options, model, settings)
    if options.critic != "none":
        return critic_task(options, model, settings)
    from engine.reconstruction import ReconstructionTask

    return ReconstructionTask(model, build_loss(options), settings)


def build_loss(options: argparse.Namespace):
    from losses import InpaintingLoss

    weights = {term: getattr(options, f"{term}_weight") for term in ("valid", "hole", "perceptual", "style", "tv")}
    return InpaintingLoss(read_features("--vgg_weights", options.vgg_weights), weights)


def read_features(option: str, path: str | None):
    """The frozen network whose features a loss compares; the shipped VGG16 without a path."""
    from inpainting.checkpoint import read_arrays
    from losses import EfficientNetLite0Features, VGG16Features
    from losses.efficientnet import STEM

    try:
        with naming(option):
            arrays = read_arrays(path) if path else None
        if option == "--critic_features" and STEM in (arrays or ()):
            return EfficientNetLite0Features(arrays)
        return VGG16Features(arrays)
    except InputError:
        raise
    except ValueError as error:
        raise InputError(f"{option} {path}: {error}") from None


def critic_task(options: argparse.Namespace, model, settings):
    """A U-Net under its loss and against a critic."""
    from engine.critic import CriticTask
    from models.cell_critics import PatchCritic, ProjectedCritic

    features = read_features("--critic_features", options.critic_features)
    return CriticTask(
        model,
        build_loss(options),
        settings,
        PatchCritic() if options.critic == "patch" else ProjectedCritic(features.channels),
        features,
        {"adversarial": options.critic_weight, "matching": options.matching_weight},
        options.critic_lr,
        options.critic_alone_iters,
        options.critic_ramp_iters,
    )


def adversarial_task(options: argparse.Namespace, model, settings):
    """DeepFillv1 against its critics."""
    from engine.adversarial import AdversarialTask
    from losses.wgan import GeneratorLoss
    from models.critics import Critics

    weights = {
        "adversarial_local": options.adversarial_weight,
        "adversarial_global": options.adversarial_weight,
        "discounted": options.discounted_weight,
        "known": options.known_weight,
    }
    try:
        critics = Critics(options.image_size, options.local_size, options.critic_channels)
    except ValueError as error:
        raise InputError(str(error)) from None
    criterion = GeneratorLoss(weights, options.coarse_weight, options.discount)
    return AdversarialTask(model, critics, criterion, settings, options.penalty_weight)


# Trainer


def build_settings(options: argparse.Namespace):
    from engine.settings import Settings

    values = vars(options) | {
        "amp": options.amp == "O1",
        "sync_norm": options.sync_norm == "yes",
        "critic_steps": options.critic_steps if is_adversarial(options.model) else 0,
    }
    return Settings(**{field.name: values[field.name] for field in fields(Settings)})


def build_trainer(options: argparse.Namespace, task, dataset, validation):
    from engine.trainer import Trainer

    return Trainer(task, dataset, validation, task.settings, Path(options.log_dir), hyper_parameters(options))


def checkpoint_to_resume(options: argparse.Namespace) -> Path | None:
    """The checkpoint to continue from; None for a new run, also for --resume auto where there is none yet."""
    from engine.training_state import CheckpointFolder, damage
    from inpainting.checkpoint import weights_directory

    if options.resume is None:
        return None
    if options.resume != "auto":
        with naming("--resume"):
            directory = weights_directory(options.resume).resolve()
        if problem := damage(directory):
            raise InputError(f"--resume: expected a whole checkpoint, got one of which {problem}; try --resume auto")
        return directory
    newest = CheckpointFolder(Path(options.log_dir) / CHECKPOINTS).newest()
    if newest:
        return newest.resolve()
    print(f"--resume auto: no whole checkpoint under {options.log_dir}, starting from the beginning")
    if options.phase == "finetune" and not options.weights:
        raise InputError(
            f"--phase finetune: expected a checkpoint under {options.log_dir}, got none; give --weights DIR"
        )
    return None


def note_changes(options: argparse.Namespace, checkpoint: Path, model) -> None:
    """Print what makes a resumed run differ from the one it continues."""
    from inpainting.checkpoint import other_network, read_meta

    meta = read_meta(checkpoint)
    if difference := other_network(model, checkpoint):
        print(f"warning: --resume: {difference}", file=sys.stderr)
    if meta.get("phase", options.phase) != options.phase:
        print(
            f"the checkpoint is of phase {meta['phase']}, this is phase {options.phase}: Adam, warm-up and decay start "
            f"anew, and --max_iters {options.max_iters} counts from iteration {meta.get('iter', 0)} on"
        )


def write_options(options: argparse.Namespace) -> None:
    """Save the options of this run in its folder."""
    with atomic_path(Path(options.log_dir) / OPTIONS) as temporary:
        kept = {key: value for key, value in vars(options).items() if key not in ("config", "resume", "dry_run")}
        temporary.write_text(yaml.safe_dump(kept, sort_keys=False, allow_unicode=True), encoding="utf-8")


# Run


def print_plan(options: argparse.Namespace, changed: dict, trainer) -> None:
    import paddle

    from engine import distributed

    if not distributed.is_first():
        return
    parameters = ", ".join(
        f"{name} {sum(p.size for p in network.parameters() if not p.stop_gradient) / 1e6:.2f} M parameters"
        for name, network in trainer.task.networks.items()
    )
    processes = f"; {distributed.world_size()} processes" if distributed.world_size() > 1 else ""
    print(f"preset: {options.config}")
    print("options that differ from the defaults: " + ", ".join(f"{key}={value}" for key, value in changed.items()))
    print(
        f"{options.model}: {parameters}; {len(trainer.dataset.pictures)} pictures; {options.phase} "
        f"phase, iterations {trainer.iteration} to {trainer.last_iteration}; {paddle.get_device()}{processes}; "
        f"{options.log_dir}"
    )


def print_cost(trainer) -> None:
    from engine.plan import describe, measure_cost

    start = trainer.iteration
    print(*describe(trainer, start, measure_cost(trainer)), "dry run: nothing was written", sep="\n")


def run(trainer) -> None:
    from engine import distributed
    from engine.task import NonFiniteLossError
    from engine.trainer import Stopped

    left = trainer.last_iteration - trainer.iteration
    try:
        trainer.run()
    except NonFiniteLossError as error:
        raise InputError(str(error)) from None
    except Stopped as stopped:
        print(stopped, file=sys.stderr)
        sys.exit(128 + stopped.signum)
    if distributed.is_first():
        done = "done" if left > 0 else f"nothing was left to do of {trainer.last_iteration} iterations (--max_iters)"
        print(f"{done}: {trainer.log_dir}; see it with: visualdl --logdir {trainer.log_dir}")


# Checks: what would fail late is refused at once


def check(options: argparse.Namespace) -> None:
    import paddle

    check_folder("--log_dir", Path(options.log_dir))
    if options.phase == "finetune" and not (options.weights or options.resume or options.dry_run):
        raise InputError(
            "--phase finetune: expected weights to start from, got none; give --weights DIR or --resume auto"
        )
    on_gpu = paddle.get_device().startswith("gpu")
    if options.amp == "O1" and not on_gpu:
        raise InputError(
            "--amp O1: expected a GPU, got a CPU, where Paddle has no automatic mixed precision; use --amp O0"
        )
    if options.sync_norm == "yes" and not on_gpu:
        raise InputError("--sync_norm yes: expected a GPU, got a CPU, where Paddle cannot do it; leave it out")


def refuse_beyond_memory(options: argparse.Namespace) -> None:
    """Refuse a network and batches that do not fit into memory."""
    from inpainting import memory
    from models import model_shapes

    try:
        parameters = sum(map(math.prod, model_shapes(options.model, **network_options(options)).values()))
    except ValueError as error:
        raise InputError(str(error)) from None
    channels = options.base_channels or (32 if is_adversarial(options.model) else 64)
    with_vgg = not is_adversarial(options.model) and options.perceptual_weight + options.style_weight > 0
    with_vgg |= options.critic != "none"
    memory.refuse_beyond_memory(
        memory.step_bytes(parameters, channels, options.batch_size * options.image_size**2, with_vgg),
        f"{options.model} of {parameters / 1e6:.0f} M parameters, with --batch_size {options.batch_size} and "
        f"--image_size {options.image_size}",
        "take a smaller batch with --accumulate, smaller pictures, --base_channels or --depth",
    )


if __name__ == "__main__":
    run_cleanly(main)
