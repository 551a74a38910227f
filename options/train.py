"""The options of train.py; YAML presets give their defaults, and an unknown key is an error.

What is typed comes first, then the options of the run that is resumed or the network of ``--weights``, then the preset,
then the built-in defaults.
"""

import argparse
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from inpainting.meta import META, read_meta
from options.resumed import differences, options_of, preset_of, run_to_resume
from options.shared import (
    ROOT,
    Parser,
    add_device_options,
    adder,
    apply_preset,
    count_int,
    discount_float,
    integer,
    number,
    positive_int,
    share_float,
    weight_float,
)
from utils.device import rank
from utils.errors import InputError, naming
from utils.run_folder import CHECKPOINTS, OPTIONS_FILE

CONFIGS = ROOT / "configs"
MODEL_NAMES = ("pconv_unet", "conv_unet", "pconv_residual_unet", "deepfill_v1")
PHASE_LR = {"initial": 2e-4, "finetune": 5e-5}  # the paper's
ADVERSARIAL_LR = 1e-4  # of DeepFillv1's author
FACTORS = "2,3,4"  # of super-resolution

CRITICS = ("none", "patch", "projected")
# Option groups
OF_UNETS, OF_DEEPFILL = "loss of the U-Nets", "loss of deepfill_v1"
OF_CRITIC, OF_WASSERSTEIN = "critic of any network", "Wasserstein critics of deepfill_v1"
NETWORK_OPTIONS = {  # options of the network, by its own name for each
    "base_channels": "base_channels",
    "depth": "depth",
    "output": "output_activation",
    "prior": "prior",
    "norm": "norm",
    "mask_channel": "mask_channel",
}


def train_parser() -> Parser:
    """The options of train.py; their names are the keys of the YAML presets."""
    parser = Parser(
        prog="train.py",
        description="Train an inpainting network. With no arguments and no CelebA under data/, a short demonstration "
        "on scikit-image's photographs with generated holes (configs/samples.yaml). The defaults below are built in; a "
        "preset changes them: the one of --config, or one of configs/ chosen by network and data when not given.",
    )
    adder(parser)("--config", "FILE", "YAML preset with values of these options; what is typed overrides it")
    _add_data_options(parser.add_argument_group("data"))
    _add_model_options(parser.add_argument_group("model"))
    _add_schedule_options(parser.add_argument_group("schedule"))
    _add_composite_options(parser.add_argument_group(OF_UNETS))
    _add_deepfill_options(parser.add_argument_group(OF_DEEPFILL))
    _add_wasserstein_options(parser.add_argument_group(OF_WASSERSTEIN))
    _add_critic_options(parser.add_argument_group(OF_CRITIC))
    _add_run_options(parser.add_argument_group("run"))
    add_device_options(parser)
    return parser


def _add_data_options(group) -> None:
    add = adder(group)
    add("--image_root", "DIR", "training pictures: a folder (nested is fine) or a list file")
    add("--val_image_root", "DIR", "validation pictures; held out of --image_root when not given")
    add("--list_root", "DIR", "folder that paths in lists of pictures start from; the list's own when not given")
    add("--mask_root", "DIR", "training masks; generated when not given")
    add("--hole", ("white", "black"), "colour of the hole in the mask files", "white")
    add(
        "--hole_shape",
        ("irregular", "box", "both", "wide", "super_resolution"),
        "shape of generated holes; box: a rectangle of half the picture's side or less; both: half irregular, half "
        "boxes; wide: boxes and broad strokes over 25 to 60 percent; super_resolution: one of each K x K pixels known",
        "irregular",
    )
    add(
        "--super_resolution_factors",
        factors_text,
        f"K of super_resolution, each as often; {FACTORS} when not given",
        metavar="K,K",
    )
    add("--mask_dilate", ("yes", "no"), "dilate masks from files at random, as the authors did", "yes")
    add("--image_size", integer(16, 8192), "side of the training pictures in pixels", 256)
    add("--num_workers", integer(0, 256), "processes that read pictures; 0: the trainer reads them itself", 2)


def factors_text(text: str) -> str:
    """Checks factors of super-resolution, such as "2,4", and returns the text; ``factors_of`` splits it."""
    factors = text.split(",")
    if len(set(factors)) < len(factors) or not set(factors) <= {str(factor) for factor in range(2, 17)}:
        raise argparse.ArgumentTypeError(
            f"expected different whole numbers from 2 to 16 with commas between, as 2,4, got {text!r:.80}"
        )
    return text


def factors_of(text: str | None) -> tuple[int, ...]:
    """The numbers in a text that ``factors_text`` accepted; () for None.

    Example:
        >>> factors_of("2,4"), factors_of(None)
        ((2, 4), ())
    """
    return tuple(map(int, text.split(","))) if text else ()


def _add_model_options(group) -> None:
    add = adder(group)
    add("--model", MODEL_NAMES, "network", "pconv_unet")
    add("--base_channels", integer(1, 2048), "width of the first stage; 64, or 32 of deepfill_v1, when not given")
    add("--depth", integer(1, 10), "times a U-Net halves the size: 7, for 256x256, when not given; 8 for 512x512")
    add("--output_activation", ("linear", "tanh"), "last layer of a U-Net; linear, as in the paper, when not given")
    add(
        "--prior",
        ("none", "smooth"),
        "input of a U-Net; smooth: also a smooth prior, a surface through the known pixels; none when not given",
    )
    add("--norm", ("batch", "none"), "normalisation of a U-Net; batch, as in the paper, when not given")
    add("--mask_channel", ("yes", "no"), "give conv_unet the mask as a fourth channel; no when not given")
    add("--weights", "FILE|DIR", "start from these weights; the network's options are read from their meta.json")


def _add_schedule_options(group) -> None:
    add = adder(group)
    add("--phase", tuple(PHASE_LR), "finetune freezes the encoder's batch normalisation", "initial")
    add(
        "--lr",
        number(0, 10, open_below=True),
        "learning rate of Adam; when not given 2e-4, in --phase finetune 5e-5, for deepfill_v1 1e-4. A preset's "
        "rate is for its own phase: a quarter of it is used when an initial preset is run with --phase finetune",
    )
    add("--lr_schedule", ("constant", "linear", "cosine"), "linear and cosine decay to 0 at --max_iters", "constant")
    add("--warmup_iters", count_int, "first iterations, in which the learning rate rises", 0)
    add("--max_iters", positive_int, "iterations of the phase", 500_000)
    add("--batch_size", integer(1, 4096), "pictures that go through the network at once, in each process", 6)
    add("--accumulate", integer(1, 4096), "batches in one update: N times the batch, in the memory of one", 1)
    add("--clip_norm", number(0, 1e9), "greatest norm of the gradients; 0: no limit", 0.0)
    add(
        "--ema_decay",
        share_float,
        "average the weights over about 1/(1-X) iterations; validation, test.py and eval.py use the average",
        0.0,
    )
    add("--style_warmup_iters", count_int, "iterations of the initial phase with a style weight of 1", 0)
    add("--amp", ("O0", "O1"), "O1: mixed precision where it is safe, on GPU", "O0")
    add("--amp_dtype", ("float16", "bfloat16"), "type of --amp O1; bfloat16 needs an Ampere GPU or newer", "float16")
    add("--sync_norm", ("yes", "no"), "batch statistics over all processes, on GPU", "no")


def _add_composite_options(group) -> None:
    add = adder(group)
    for term, default in (("valid", 1.0), ("hole", 6.0), ("perceptual", 0.05), ("style", 120.0), ("tv", 0.1)):
        add(f"--{term}_weight", weight_float, f"weight of L_{term}", default)
    add("--vgg_weights", "FILE", "weights of VGG16, named as by Oxford or torchvision; the shipped ones when not given")


def _add_critic_options(group) -> None:
    add = adder(group)
    add(
        "--critic",
        CRITICS,
        "add a critic (discriminator; not in the papers): patch sees pictures, projected a frozen network's features; "
        "for deepfill_v1 it replaces the Wasserstein critics",
        "none",
    )
    add(
        "--critic_features",
        "FILE",
        "weights of VGG16 or EfficientNet-lite0, whose features --critic compares; the shipped VGG16 when not given",
    )
    add("--critic_weight", weight_float, "weight of the critic's score", 1.0)
    add("--matching_weight", weight_float, "weight of feature matching in the hole", 2.0)
    add("--critic_lr", number(0, 10, open_below=True), "learning rate of the critic; 3 times --lr when not given")
    add("--critic_alone_iters", count_int, "iterations in which the critic alone learns", 100)
    add("--critic_ramp_iters", count_int, "iterations after these, in which its weight rises", 150)


def _add_deepfill_options(group) -> None:
    add = adder(group)
    add("--discounted_weight", weight_float, "weight of L1 in the hole (author)", 1.2)
    add("--known_weight", weight_float, "weight of L1 outside the hole (author)", 1.2)
    add("--coarse_weight", weight_float, "weight of the coarse picture in both L1 terms (author)", 1.2)
    add(
        "--discount",
        discount_float,
        "each pixel deeper in the hole counts X times as much: 0.99 in the paper, 0.9 by the author",
        0.9,
    )


def _add_wasserstein_options(group) -> None:
    add = adder(group)
    add("--adversarial_weight", weight_float, "weight of the critics' scores (paper and author)", 0.001)
    add("--penalty_weight", weight_float, "weight of the critics' gradient penalty (paper and author)", 10.0)
    add("--critic_steps", integer(1, 1000), "updates of the critics in each iteration", 5)
    add("--critic_channels", integer(1, 2048), "width of the critics' first layer", 64)
    add("--local_size", integer(1, 8192), "side of the local critic's patches; half of --image_size when not given")


def _add_run_options(group) -> None:
    add = adder(group)
    add("--log_dir", "DIR", "folder of the run", "logs/Celeba")
    add(
        "--resume",
        "auto|DIR",
        "continue from the newest checkpoint of --log_dir (auto) or from that checkpoint, with the options of its "
        "run, except --log_dir, unless typed here",
    )
    add("--log_every", positive_int, "iterations between log lines", 20)
    add("--val_every", positive_int, "iterations between validations", 2000)
    add("--val_count", integer(1, 10_000), "pictures in the validation set", 48)
    add("--save_every", positive_int, "iterations between checkpoints", 5000)
    add("--keep", count_int, "newest checkpoints to keep, besides the best one; 0: all", 5)
    add("--seed", count_int, "seed of weights, order, crops and holes", 0)
    add("--dry_run", bool, "print the plan, with time and memory measured over a few steps; write nothing")


def parse_train(argv: Sequence[str] | None = None) -> tuple[argparse.Namespace, dict]:
    """Options of train.py, and those that differ from the built-in defaults.

    ``options.image_root`` is None where the sample photographs are to be used.
    Raises:
        InputError: a preset, or the options of the run, that are missing, damaged, or have an unknown key.
    """
    defaults = vars(train_parser().parse_args([]))
    typed = _typed(argv, defaults)
    config, parser, no_data = _choose_preset(typed, defaults["model"])
    run, before = _resumed_run(parser, typed)
    if run:
        preset = preset_of(run, typed.get("config"))
        ignored = f"; those of {config} are not taken" if "config" in typed else ""
        tell(f"going on with the options in {os.path.relpath(run / OPTIONS_FILE)}{ignored}; type those to change")
        parser.set_defaults(**before)
    elif no_data:
        tell(no_data)
    options = parser.parse_args(argv)
    options.config = preset if run else config
    if options.weights and not run and options.resume in (None, "auto"):
        _take_network_of_weights(options, typed)
    _settle_phase(options, typed, parser.get_default("phase"))
    defaults["dry_run"] = options.dry_run  # not of the run's
    changed = {key: value for key, value in vars(options).items() if value != defaults[key]}
    _refuse_without_effect(options, typed)
    _refuse_conflicts(options, typed, parser.get_default("mask_root"))
    if options.hole_shape == "super_resolution":
        options.super_resolution_factors = options.super_resolution_factors or FACTORS
    options.lr = options.lr or (ADVERSARIAL_LR if is_deepfill(options.model) else PHASE_LR[options.phase])
    for line in differences(before, options):
        tell(line)
    return options, changed


def tell(*lines: str, **how) -> None:
    """Print, in the first of several processes only; works before Paddle is imported."""
    if rank() == 0:
        print(*lines, **how)


def _choose_preset(typed: dict, model: str) -> tuple[str, Parser, str | None]:
    """The preset, a parser with its values as defaults, and a note where there is no dataset."""
    default, samples = (
        os.path.relpath(CONFIGS / name) for name in _DEFAULT_PRESETS[is_deepfill(typed.get("model", model))]
    )
    config, parser = typed.get("config") or default, train_parser()
    with naming("--config"):
        apply_preset(parser, config)
    absent = parser.get_default("image_root")
    if typed.get("config") or typed.get("image_root") or Path(absent).exists():
        return config, parser, None
    parser = train_parser()
    apply_preset(parser, samples)
    note = f"no pictures at {absent}: a short demonstration on scikit-image's sample photographs instead;"
    return samples, parser, f"{note} give your own with --image_root DIR"


def _resumed_run(parser: Parser, typed: dict) -> tuple[Path | None, dict]:
    """The folder of the run that ``--resume`` means, and its options; None and none without one."""
    with naming("--resume"):
        run = run_to_resume(*(typed.get(key, parser.get_default(key)) for key in ("resume", "log_dir")))
        return run, options_of(train_parser(), run) if run else {}


def _take_network_of_weights(options: argparse.Namespace, typed: dict) -> None:
    """The network's options are those in the meta.json of ``--weights``, unless typed."""
    path = Path(options.weights)
    places = (path, path.parent, path / "latest", path / CHECKPOINTS / "latest")
    found = next((place for place in places if (place / META).is_file()), None)
    if found is None:
        return
    with naming("--weights"):
        meta = read_meta(found)
    if typed.get("model", meta["model"]) != meta["model"] or meta["model"] not in MODEL_NAMES:
        return
    options.model = meta["model"]
    for name, key in NETWORK_OPTIONS.items():
        if key not in typed:
            value = meta["options"].get(name)
            setattr(options, key, ("no", "yes")[value] if isinstance(value, bool) else value)


def typed_as(model: str, network: dict) -> str:
    """The words on the command line for a network.

    Example:
        >>> typed_as("pconv_unet", {"base_channels": 32, "prior": "smooth", "picture_range": "unit"})
        '--model pconv_unet --base_channels 32 --prior smooth'
    """
    words = [f"--model {model}"]
    for name, value in network.items():
        if name in NETWORK_OPTIONS and value is not None:
            words.append(f"--{NETWORK_OPTIONS[name]} {('no', 'yes')[value] if isinstance(value, bool) else value}")
    return " ".join(words)


def _typed(argv: Sequence[str] | None, names: Iterable[str]) -> dict:
    """The options on the command line, and no others."""
    absent = object()
    options = train_parser().parse_args(argv, argparse.Namespace(**dict.fromkeys(names, absent)))
    return {name: value for name, value in vars(options).items() if value is not absent}


def _settle_phase(options: argparse.Namespace, typed: dict, preset_phase: str) -> None:
    """A preset's learning rate is for its own phase; for the other it is scaled by the paper's ratio.

    The style weight warms up in the initial phase only: a network that is fine-tuned paints already.
    """
    if options.lr and "lr" not in typed:
        options.lr *= PHASE_LR[options.phase] / PHASE_LR[preset_phase]
    if options.phase == "finetune":
        options.style_warmup_iters = 0


def is_deepfill(model: str) -> bool:
    """Whether the network is trained by DeepFillv1's losses instead of the composite loss."""
    return model == "deepfill_v1"


# The preset when none is given: with the dataset, and without.
_DEFAULT_PRESETS = {False: ("celeba.yaml", "samples.yaml"), True: ("deepfill_celeba.yaml", "deepfill_samples.yaml")}


def _refuse_without_effect(options: argparse.Namespace, typed: dict) -> None:
    """Refuse typed options that would have no effect; those of a preset are ignored."""
    deepfill, with_critic = is_deepfill(options.model), options.critic != "none"
    idle = {
        OF_UNETS: deepfill,
        OF_DEEPFILL: not deepfill,
        OF_WASSERSTEIN: not deepfill or with_critic,
        OF_CRITIC: not with_critic,
    }
    groups = [group for group in train_parser()._action_groups if idle.get(group.title)]
    keys = {action.dest for group in groups for action in group._group_actions} - {"critic"}
    if deepfill:
        keys |= {"depth", "output_activation", "prior", "norm", "phase", "amp", "sync_norm"}
    if deepfill or options.phase == "finetune":
        keys |= {"style_warmup_iters"}
    if options.model != "conv_unet":
        keys |= {"mask_channel"}
    if options.mask_root:
        keys |= {"hole_shape"}
    if options.hole_shape != "super_resolution":
        keys |= {"super_resolution_factors"}
    if found := [key for key in typed if key in keys]:
        raise InputError(
            f"--{found[0]}: has no effect with --model {options.model}, --phase {options.phase}, --critic "
            f"{options.critic}, --hole_shape {options.hole_shape} and --mask_root {options.mask_root}; leave it out"
        )


def _refuse_conflicts(options: argparse.Namespace, typed: dict, preset_masks: str | None) -> None:
    """Refuse options that do not go together."""
    with_critic = options.critic != "none"
    if with_critic and options.amp == "O1" and options.amp_dtype == "float16":
        raise InputError("--amp O1 with --critic: expected --amp_dtype bfloat16, got float16; use it, or --amp O0")
    if with_critic and options.image_size % 16:
        raise InputError(f"--critic: expected --image_size to be a multiple of 16, got {options.image_size}")
    if is_deepfill(options.model) and options.hole_shape == "super_resolution":
        raise InputError(
            f"--hole_shape super_resolution: expected a U-Net, got --model {options.model}, whose attention copies "
            "patches without a hole, of which there are none; take pconv_unet"
        )
    # A preset's --hole is the colour of its own masks: for other masks it would swap hole and known.
    if preset_masks and options.mask_root != preset_masks and options.hole == "black" and "hole" not in typed:
        raise InputError(
            f"--mask_root {options.mask_root}: expected --hole white or --hole black beside it, got neither; the "
            f"preset's black is for {preset_masks} (NVIDIA's training masks are black, their test masks white)"
        )
