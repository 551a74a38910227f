"""Train an inpainting network: ``python train.py --help``.

``main`` and ``train`` come first, then what they call, in that order: checks and start, data, network, task, run.
Imports that need Paddle stand inside the functions, because the options are parsed first (see ``utils.device``).
``python -m paddle.distributed.launch`` starts several processes: only the first writes files, and ``tell`` prints in
the first only. ``naming(option)`` puts an option's name before an error about its files.
"""

import argparse
import contextlib
import sys
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

import numpy as np
import yaml

from options import check_folder, factors_of, is_deepfill, parse_train, setup_device, typed_as
from options.train import NETWORK_OPTIONS, tell
from utils.errors import InputError, Steady, naming, run_cleanly
from utils.files import atomic_path
from utils.run_folder import CHECKPOINTS, OPTIONS_FILE, RunFolder


def main(argv: Sequence[str] | None = None) -> None:
    # Steady output goes on when the terminal is closed, so that the training does too.
    with contextlib.redirect_stdout(Steady(sys.stdout)), contextlib.redirect_stderr(Steady(sys.stderr)):
        options, not_default = parse_train(argv)
        setup_device(options.device, options.threads)
        from engine import distributed
        from engine.logger import log_to_terminal

        check(options)
        with log_to_terminal(), open_run_folder(options) as run_folder:
            distributed.start()
            train(options, not_default, run_folder)


def train(options: argparse.Namespace, not_default: dict, run_folder: RunFolder | None) -> None:
    """Build everything, then run it; ``run_folder`` is None in a process that writes nothing."""
    from engine.plan import plan
    from engine.trainer import Trainer

    checkpoint, weights = find_start(options)
    # --resume with a checkpoint of another folder begins a new run in --log_dir, from that checkpoint's state.
    continues = checkpoint is not None and checkpoint.parent == (Path(options.log_dir) / CHECKPOINTS).resolve()
    if run_folder and not continues:
        run_folder.check_may_begin()  # ``begin`` does so too, but what is built before it takes a while
    dataset, validation = build_data(options)
    model = build_network(options, checkpoint, weights)
    settings = build_settings(options)
    task = build_task(options, model, settings)
    trainer = Trainer(task, dataset, validation, settings, Path(options.log_dir))
    if checkpoint:
        trainer.resume(checkpoint)
    if run_folder:
        run_folder.begin(is_new=not continues)
        write_options(options)
    print_summary(options, not_default, trainer)
    if options.dry_run:
        tell(*plan(trainer), "dry run: nothing was written", sep="\n")
    else:
        run_to_the_end(trainer)


# Checks and start: what would fail late is refused at once


def check(options: argparse.Namespace) -> None:
    import paddle

    check_folder("--log_dir", Path(options.log_dir))
    on_gpu = paddle.get_device().startswith("gpu")
    if options.amp == "O1" and not on_gpu:
        raise InputError("--amp O1: expected a GPU, got a CPU, where Paddle has no mixed precision; use --amp O0")
    if options.sync_norm == "yes" and not on_gpu:
        raise InputError("--sync_norm yes: expected a GPU, got a CPU, where Paddle cannot do it; leave it out")


def open_run_folder(options: argparse.Namespace) -> contextlib.AbstractContextManager[RunFolder | None]:
    """The run's folder, opened first of all, to notice another run there early; None if nothing is written."""
    from engine import distributed

    if options.dry_run or not distributed.is_first():
        return contextlib.nullcontext()
    return RunFolder(options.log_dir)


def find_start(options: argparse.Namespace) -> tuple[Path | None, Path | None]:
    """Where the run starts: at a checkpoint (a resolved path), with its whole state; or at weights; or at neither."""
    from engine.training_state import CheckpointFolder, damage
    from inpainting.checkpoint import weights_directory

    if options.resume == "auto":
        if newest := CheckpointFolder(Path(options.log_dir) / CHECKPOINTS).newest():
            return newest.resolve(), None
        tell(f"--resume auto: no whole checkpoint under {options.log_dir}, nothing to resume")
    elif options.resume:
        with naming("--resume"):
            checkpoint = weights_directory(options.resume).resolve()
        if problem := damage(checkpoint):
            raise InputError(f"--resume: expected a whole checkpoint, got one of which {problem}; try --resume auto")
        return checkpoint, None
    if options.weights:
        with naming("--weights"):
            return None, weights_directory(options.weights)
    if options.phase == "finetune" and not options.dry_run:
        raise InputError(
            "--phase finetune: expected weights to start from, got none; give --weights DIR, or --resume of a run"
        )
    return None, None


# Data


def build_data(options: argparse.Namespace):
    """Training stream and validation set; holes of the latter are generated even with --mask_root, to compare runs."""
    from datasets.inpainting import InpaintingDataset
    from engine.validation import ValidationSet

    if options.dry_run:
        replace_absent_data(options)
    pictures, held_out = build_pictures(options)
    masks = build_masks(options)
    factors = factors_of(options.super_resolution_factors)
    shrink = options.hole_shape != "super_resolution"  # super-resolution needs pictures at their own resolution
    dataset = InpaintingDataset(pictures, masks, options.image_size, options.seed, shrink=shrink)
    with naming("--image_root"):
        dataset[0]  # where no picture can be read this fails here, not later inside a reader process
    with naming("--val_image_root" if options.val_image_root else "--image_root"):
        validation = ValidationSet(held_out, options.image_size, options.val_count, options.hole_shape, factors)
    return dataset, validation


def replace_absent_data(options: argparse.Namespace) -> None:
    """For a plan that is made before the data is there."""
    for key in ("image_root", "val_image_root", "mask_root"):
        path = getattr(options, key)
        if path and not Path(path).exists():
            tell(f"nothing at {path} yet: the plan is made without --{key}, on samples or generated holes")
            setattr(options, key, None)


def build_pictures(options: argparse.Namespace):
    """Pictures to train on, and pictures to validate on."""
    from datasets.inpainting import PictureFolder, SamplePhotos, hold_out

    def pictures_of(name: str):
        with naming(f"--{name}"):
            return PictureFolder(getattr(options, name), folders_left_out(options, name), options.list_root)

    train_on = pictures_of("image_root") if options.image_root else SamplePhotos("train")
    if options.val_image_root:
        return train_on, pictures_of("val_image_root")
    if not options.image_root:
        return train_on, SamplePhotos("val")
    with naming("--image_root"):
        return hold_out(train_on, options.val_count)


def build_masks(options: argparse.Namespace):
    from datasets.inpainting import GeneratedMasks, MaskFolder

    if not options.mask_root:
        return GeneratedMasks(shape=options.hole_shape, factors=factors_of(options.super_resolution_factors))
    with naming("--mask_root"):
        left_out = folders_left_out(options, "mask_root")
        masks = MaskFolder(options.mask_root, options.hole, dilate=options.mask_dilate == "yes", leave_out=left_out)
        masks.draw(np.random.default_rng(0), options.image_size)  # where no mask can be read this fails here
    return masks


def folders_left_out(options: argparse.Namespace, name: str) -> list[str | None]:
    """Folders whose pictures do not count as pictures of the folder ``name``, even if they lie inside it."""
    folders = ("image_root", "val_image_root", "mask_root", "log_dir")
    return [getattr(options, other) for other in folders if other != name]


# Network


def build_network(options: argparse.Namespace, checkpoint: Path | None, weights: Path | None):
    """The network, with ``weights`` if there are any; a checkpoint's come later, with its whole state."""
    import paddle

    from models import build_model

    network = network_options(options, checkpoint or weights)
    paddle.seed(options.seed)
    try:
        model = build_model(options.model, **network)
    except ValueError as error:
        raise InputError(str(error)) from None
    if weights:
        with naming("--weights"):
            load_starting_weights(model, weights)
    return model


def network_options(options: argparse.Namespace, origin: Path | None) -> dict:
    """The options for ``build_model``.

    Those that train.py has are in ``options`` (``parse_train`` took them from the meta.json of --weights unless typed).
    Others, such as picture_range (how the network scales pixels), come from the meta.json of ``origin``, a checkpoint
    or weights.
    """
    from inpainting.checkpoint import META, read_meta

    given = {name: getattr(options, key) for name, key in NETWORK_OPTIONS.items()}
    given = {name: value for name, value in given.items() if value is not None}
    if "mask_channel" in given:
        given["mask_channel"] = given["mask_channel"] == "yes"
    if origin and (origin / META).is_file():
        meta = read_meta(origin)
        if meta["model"] == options.model:
            given |= {name: value for name, value in meta["options"].items() if name not in NETWORK_OPTIONS}
    return given


def load_starting_weights(model, directory: Path) -> None:
    """Set the network's weights; weights of another network are refused, or noted if they fit all the same."""
    from inpainting.checkpoint import load_arrays_into, meta_of_another, weights_file

    other = meta_of_another(model, directory)  # None for weights of this network
    difference = other and (
        f"{directory} holds weights of {typed_as(other['model'], other['options'])}, and this network is "
        f"{typed_as(model.model_name, model.model_options)}"
    )
    try:
        load_arrays_into(model, weights_file(directory))
    except InputError:
        if difference:
            raise InputError(f"{difference}; leave these options out to take the weights' network") from None
        raise
    if difference:
        tell(f"warning: --weights: {difference}", file=sys.stderr)


# Task: loss, optimiser, critics; see ``engine.task``


def build_settings(options: argparse.Namespace):
    from engine.settings import Settings

    own_critics = is_deepfill(options.model) and options.critic == "none"  # which --critic replaces
    values = vars(options) | {  # each setting is the option of its name, but for these
        "amp": options.amp == "O1",
        "sync_norm": options.sync_norm == "yes",
        "critic_steps": options.critic_steps if own_critics else 0,
    }
    return Settings(**{field.name: values[field.name] for field in fields(Settings)})


def build_task(options: argparse.Namespace, model, settings):
    """What the trainer steps: the network, its loss and optimiser, and critics if any."""
    if options.critic != "none":
        return task_with_critic(options, model, settings)
    if is_deepfill(options.model):
        return deepfill_task(options, model, settings)
    from engine.reconstruction import ReconstructionTask

    return ReconstructionTask(model, build_loss(options), settings)


def task_with_critic(options: argparse.Namespace, model, settings):
    """The network under its loss and the critic of --critic; of DeepFillv1's loss the L1 terms alone are used."""
    from engine.critic import CriticTask, DeepFillCriticTask
    from models.cell_critics import PatchCritic, ProjectedCritic

    features = read_features("--critic_features", options.critic_features, efficientnet_too=True)
    deepfill = is_deepfill(options.model)
    return (DeepFillCriticTask if deepfill else CriticTask)(
        model,
        build_deepfill_loss(options) if deepfill else build_loss(options),
        settings,
        critic=PatchCritic() if options.critic == "patch" else ProjectedCritic(features.channels),
        features=features,
        weights={"adversarial": options.critic_weight, "matching": options.matching_weight},
        critic_lr=options.critic_lr,
        alone_iters=options.critic_alone_iters,
        ramp_iters=options.critic_ramp_iters,
    )


def deepfill_task(options: argparse.Namespace, model, settings):
    """DeepFillv1 against its own two critics, as in its paper."""
    from engine.adversarial import AdversarialTask
    from models.critics import Critics

    try:
        critics = Critics(options.image_size, options.local_size, options.critic_channels)
    except ValueError as error:
        raise InputError(str(error)) from None
    return AdversarialTask(model, critics, build_deepfill_loss(options), settings, options.penalty_weight)


def build_loss(options: argparse.Namespace):
    """The loss of the U-Nets."""
    from losses import InpaintingLoss

    term_weights = {term: getattr(options, f"{term}_weight") for term in ("valid", "hole", "perceptual", "style", "tv")}
    return InpaintingLoss(read_features("--vgg_weights", options.vgg_weights), term_weights)


def build_deepfill_loss(options: argparse.Namespace):
    """The loss of DeepFillv1's generator."""
    from losses.wgan import GeneratorLoss

    term_weights = {
        "adversarial_local": options.adversarial_weight,
        "adversarial_global": options.adversarial_weight,
        "discounted": options.discounted_weight,
        "known": options.known_weight,
    }
    return GeneratorLoss(term_weights, options.coarse_weight, options.discount)


def read_features(option: str, path: str | None, efficientnet_too: bool = False):
    """The frozen network whose features are compared: that in ``path``, which ``option`` gave, or the shipped VGG16."""
    from inpainting.checkpoint import read_arrays
    from losses import EfficientNetLite0Features, VGG16Features
    from losses.efficientnet import STEM

    with naming(option):
        arrays = read_arrays(path) if path else None
        is_efficientnet = efficientnet_too and STEM in (arrays or ())
        try:
            return EfficientNetLite0Features(arrays) if is_efficientnet else VGG16Features(arrays)
        except ValueError as error:
            raise InputError(f"{path}: {error}") from None


# Run


def write_options(options: argparse.Namespace) -> None:
    """Save the options of this run in its folder."""
    kept = {key: value for key, value in vars(options).items() if key not in ("resume", "dry_run")}
    with atomic_path(Path(options.log_dir) / OPTIONS_FILE) as temporary:
        temporary.write_text(yaml.safe_dump(kept, sort_keys=False, allow_unicode=True), encoding="utf-8")


def print_summary(options: argparse.Namespace, not_default: dict, trainer) -> None:
    import paddle

    from engine import distributed

    parameters = ", ".join(
        f"{name} {sum(p.size for p in network.parameters() if not p.stop_gradient) / 1e6:.2f} M parameters"
        for name, network in trainer.task.networks.items()
    )
    processes = f"; {distributed.world_size()} processes" if distributed.world_size() > 1 else ""
    tell(f"preset: {options.config or 'not saved'}")  # runs of version 0.1.0 did not save it
    tell("options not as built in: " + ", ".join(f"{key}={value}" for key, value in not_default.items()))
    tell(
        f"{options.model}: {parameters}; {len(trainer.dataset.pictures)} pictures; {options.phase} "
        f"phase, iterations {trainer.iteration} to {trainer.last_iteration}; {paddle.get_device()}{processes}; "
        f"{options.log_dir}"
    )


def run_to_the_end(trainer) -> None:
    from engine.task import NonFiniteLossError
    from engine.trainer import Stopped

    left = trainer.last_iteration - trainer.iteration
    try:
        trainer.run()
    except NonFiniteLossError as error:
        raise InputError(str(error)) from None
    except Stopped as stopped:
        tell(str(stopped), file=sys.stderr)
        sys.exit(128 + stopped.signum)
    done = "done" if left > 0 else f"nothing was left to do at iteration {trainer.iteration} (--max_iters)"
    tell(f"{done}: {trainer.log_dir}; see it with: visualdl --disable-telemetry --logdir {trainer.log_dir}")


if __name__ == "__main__":
    run_cleanly(main)
