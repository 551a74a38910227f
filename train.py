"""Train an inpainting network: ``python train.py --help``.

Parses the options, builds model, loss and data, and hands them to the trainer. Paddle is imported after the options
are known (see ``options.setup_device``). ``python -m paddle.distributed.launch`` starts it as one of many processes.
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
from options import check_folder, factors_of, hyper_parameters, is_adversarial, parse_train, setup_device
from utils.errors import InputError, naming, run_cleanly
from utils.files import atomic_path
from utils.run_folder import CHECKPOINTS, OPTIONS, RunFolder


def main(argv: Sequence[str] | None = None) -> None:
    with steady_console():
        options, changed = parse_train(argv)
        setup_device(options.device, options.threads)
        _check(options)
        from engine import distributed
        from engine.logger import logged_early

        writes = distributed.is_first() and not options.dry_run
        with logged_early(), RunFolder(options.log_dir) if writes else contextlib.nullcontext() as folder:
            distributed.start()
            train(options, changed, folder)


def train(options: argparse.Namespace, changed: dict, folder: RunFolder | None) -> None:
    """Build all, and run it; only with a ``folder`` this process writes to it."""
    resume_from = _resume_directory(options)
    is_new = resume_from is None or resume_from.parent != (Path(options.log_dir) / CHECKPOINTS).resolve()
    if folder and is_new:
        folder.refuse_others()
    _refuse_beyond_memory(options)
    trainer = build_trainer(options, *build_data(options))
    if resume_from:
        _warn_of_changes(resume_from, options, trainer.task.model)
        trainer.resume(resume_from)
    if folder:
        folder.begin(is_new)
        write_options(options)
    print_plan(options, changed, trainer)
    if options.dry_run:
        dry_run(trainer)
    else:
        run(trainer)


def build_data(options: argparse.Namespace):
    """Training stream and validation set."""
    from datasets.inpainting import InpaintingDataset, PictureFolder, SamplePhotos, hold_out
    from engine.validation import ValidationSet

    if options.dry_run:
        _do_without_absent_data(options)
    with naming("--image_root"):
        pictures = SamplePhotos("train") if options.image_root is None else PictureFolder(options.image_root)
        if not (options.image_root is None or options.val_image_root):
            pictures, held = hold_out(pictures, options.val_count)
    with naming("--val_image_root"):
        if options.image_root is None:
            held = SamplePhotos("val")
        elif options.val_image_root:
            held = PictureFolder(options.val_image_root)
    masks = build_masks(options)
    shrink = options.hole_shape != "super_resolution"  # what a pixel is worth depends on the resolution
    dataset = InpaintingDataset(pictures, masks, options.image_size, options.seed, shrink=shrink)
    # Read one sample here: a set of which nothing can be read is told before the run, not from inside a reader process.
    with naming("--image_root"):
        dataset[0]
    with naming("--val_image_root" if options.val_image_root else "--image_root"):
        shape, factors = options.hole_shape, factors_of(options.super_resolution_factors)
        return dataset, ValidationSet(held, options.image_size, options.val_count, shape, factors)


def build_masks(options: argparse.Namespace):
    from datasets.inpainting import GeneratedMasks, MaskFolder

    if options.mask_root:
        with naming("--mask_root"):
            masks = MaskFolder(options.mask_root, options.hole, dilate=options.mask_dilate == "yes")
            masks.draw(np.random.default_rng(0), options.image_size)  # none that can be read is told here
            return masks
    return GeneratedMasks(shape=options.hole_shape, factors=factors_of(options.super_resolution_factors))


def _do_without_absent_data(options: argparse.Namespace) -> None:
    """A plan can be made before the data is there."""
    for key, instead in (("image_root", "sample photographs"), ("mask_root", "generated holes")):
        path = getattr(options, key)
        if path and not Path(path).exists():
            print(f"nothing at {path} yet: the plan is made with {instead}")
            setattr(options, key, None)


def build_trainer(options: argparse.Namespace, dataset, validation):
    from engine.settings import Settings
    from engine.trainer import Trainer

    adversarial = is_adversarial(options.model)
    values = vars(options) | {
        "amp": options.amp == "O1",
        "sync_norm": options.sync_norm == "yes",
        "critic_steps": options.critic_steps if adversarial else 0,
    }
    settings = Settings(**{f.name: values[f.name] for f in fields(Settings)})
    task = (adversarial_task if adversarial else reconstruction_task)(options, settings)
    return Trainer(task, dataset, validation, settings, Path(options.log_dir), hyper_parameters(options))


def reconstruction_task(options: argparse.Namespace, settings):
    """A U-Net under the composite loss."""
    from engine.reconstruction import ReconstructionTask

    return ReconstructionTask(build_model(options), build_loss(options), settings)


def adversarial_task(options: argparse.Namespace, settings):
    """DeepFillv1 against its critics."""
    from engine.adversarial import AdversarialTask
    from losses.wgan import GeneratorLoss
    from models.critics import Critics

    model = build_model(options)
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


def network_options(options: argparse.Namespace) -> dict:
    """Those of the network that are given."""
    of_network = {
        "base_channels": options.base_channels,
        "depth": options.depth,
        "output": options.output_activation,
        "prior": options.prior,
        "norm": options.norm,
        "mask_channel": None if options.mask_channel is None else options.mask_channel == "yes",
    }
    return {key: value for key, value in of_network.items() if value is not None}


def build_model(options: argparse.Namespace):
    """The network, with the weights to start from."""
    import paddle

    from inpainting.checkpoint import load_arrays_into, other_network, weights_directory, weights_file
    from models import build_model as build

    paddle.seed(options.seed)
    try:
        model = build(options.model, **network_options(options))
    except ValueError as error:
        raise InputError(str(error)) from None
    if options.weights:
        with naming("--weights"):
            directory = weights_directory(options.weights)
            if difference := other_network(model, directory):
                print(f"warning: --weights: {difference}", file=sys.stderr)
            load_arrays_into(model, weights_file(directory))
    return model


def build_loss(options: argparse.Namespace):
    from inpainting.checkpoint import read_arrays
    from losses import InpaintingLoss, VGG16Features

    try:
        with naming("--vgg_weights"):
            features = VGG16Features(read_arrays(options.vgg_weights)) if options.vgg_weights else None
    except InputError:
        raise
    except ValueError as error:
        raise InputError(f"--vgg_weights {options.vgg_weights}: {error}") from None
    weights = {term: getattr(options, f"{term}_weight") for term in ("valid", "hole", "perceptual", "style", "tv")}
    return InpaintingLoss(features, weights)


def write_options(options: argparse.Namespace) -> None:
    """Write down the options of this run, in its folder."""
    with atomic_path(Path(options.log_dir) / OPTIONS) as temporary:
        kept = {key: value for key, value in vars(options).items() if key not in ("config", "resume", "dry_run")}
        temporary.write_text(yaml.safe_dump(kept, sort_keys=False, allow_unicode=True), encoding="utf-8")


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


def dry_run(trainer) -> None:
    from engine.plan import describe, measure_cost

    start = trainer.iteration
    print(*describe(trainer, start, measure_cost(trainer)), "dry run: nothing was written", sep="\n")


def run(trainer) -> None:
    from engine import distributed
    from engine.task import NonFiniteLossError
    from engine.trainer import Stopped

    left = trainer.last_iteration - trainer.iteration
    try:
        with distributed.obituary(f"checkpoints in {trainer.log_dir} are whole; go on with --resume auto"):
            trainer.run()
    except NonFiniteLossError as error:
        raise InputError(str(error)) from None
    except Stopped as stopped:
        print(stopped, file=sys.stderr)
        sys.exit(128 + stopped.signum)
    if distributed.is_first():
        done = "done" if left > 0 else f"nothing was left to do of {trainer.last_iteration} iterations (--max_iters)"
        print(f"{done}: {trainer.log_dir}; see it with: visualdl --logdir {trainer.log_dir}")


def _check(options: argparse.Namespace) -> None:
    """Refuse at once what would fail late."""
    import paddle

    if options.amp == "O1" and is_adversarial(options.model):
        raise InputError(
            f"--amp O1: expected another network than {options.model}, whose critics' gradient penalty is a gradient "
            "of a gradient, too small for float16; use --amp O0"
        )
    if options.mask_root and options.hole_shape != "irregular":
        raise InputError("--mask_root and --hole_shape: masks are read or generated; give one of the two")
    on_gpu = paddle.get_device().startswith("gpu")
    if options.amp == "O1" and not on_gpu:
        raise InputError(
            "--amp O1: expected a GPU, got a CPU, where Paddle has no automatic mixed precision; use --amp O0"
        )
    if options.sync_norm == "yes" and not on_gpu:
        raise InputError("--sync_norm yes: expected a GPU, got a CPU, where Paddle cannot do it; leave it out")
    if options.phase == "finetune" and not (options.weights or options.resume or options.dry_run):
        raise InputError(
            "--phase finetune: expected weights to start from, got none; give --weights DIR or --resume auto"
        )
    if options.weights and options.resume:
        raise InputError("--weights starts a run and --resume goes on with one: give one of the two")
    check_folder("--log_dir", Path(options.log_dir))


def _refuse_beyond_memory(options: argparse.Namespace) -> None:
    """Where the network and its batches cannot be held."""
    from inpainting.memory import refuse_beyond_memory, step_bytes
    from models import model_shapes

    try:
        parameters = sum(map(math.prod, model_shapes(options.model, **network_options(options)).values()))
    except ValueError as error:
        raise InputError(str(error)) from None
    channels = options.base_channels or (32 if is_adversarial(options.model) else 64)
    with_vgg = not is_adversarial(options.model) and options.perceptual_weight + options.style_weight > 0
    refuse_beyond_memory(
        step_bytes(parameters, channels, options.batch_size * options.image_size**2, with_vgg),
        f"{options.model} of {parameters / 1e6:.0f} M parameters, with --batch_size {options.batch_size} and "
        f"--image_size {options.image_size}",
        "take a smaller batch with --accumulate, smaller pictures, --base_channels or --depth",
    )


def _resume_directory(options: argparse.Namespace) -> Path | None:
    """The checkpoint to go on from; None for a new run, also for --resume auto where there is none yet."""
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
    print(f"--resume auto: no whole checkpoint under {options.log_dir}, starting a new run")
    if options.phase == "finetune":
        raise InputError(
            f"--phase finetune: expected a checkpoint under {options.log_dir}, got none; give --weights DIR"
        )
    return None


def _warn_of_changes(resume_from: Path, options: argparse.Namespace, model) -> None:
    """What makes a resumed run another than the one it goes on with."""
    from inpainting.checkpoint import other_network, read_meta

    meta = read_meta(resume_from)
    if difference := other_network(model, resume_from):
        print(f"warning: --resume: {difference}", file=sys.stderr)
    if meta.get("phase", options.phase) != options.phase:
        print(
            f"the checkpoint is of phase {meta['phase']}, this is phase {options.phase}: Adam, warm-up and decay start "
            f"anew, and --max_iters {options.max_iters} counts from iteration {meta.get('iter', 0)} on"
        )
    for key in ("seed", "batch_size"):
        if key in meta and meta[key] != getattr(options, key):
            print(
                f"warning: --{key} was {meta[key]} in the checkpoint and is {getattr(options, key)} now: "
                "the samples differ",
                file=sys.stderr,
            )


if __name__ == "__main__":
    run_cleanly(main)
