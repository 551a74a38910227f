"""The options of train.py; YAML presets give their defaults, and an unknown key is an error."""

import argparse
import os
import re
from collections.abc import Sequence
from pathlib import Path

from options.bounds import beyond
from options.resumed import differences, options_of, passed_over, run_to_resume
from options.shared import (
    ROOT,
    Parser,
    add_device_options,
    apply_preset,
    count_int,
    discount_float,
    positive_float,
    positive_int,
    share_float,
    weight_float,
)
from utils.errors import InputError, naming
from utils.run_folder import OPTIONS

CONFIGS = ROOT / "configs"
MODEL_NAMES = ("pconv_unet", "conv_unet", "pconv_residual_unet", "deepfill_v1")
PHASE_LR = {"initial": 2e-4, "finetune": 5e-5}  # the paper's
ADVERSARIAL_LR = 1e-4  # of DeepFillv1's author
FACTORS = "2,3,4"  # of super-resolution

OF_UNETS, OF_DEEPFILL = "loss of the U-Nets", "loss of deepfill_v1"  # groups of options


def train_parser() -> Parser:
    """The options of train.py; their names are the keys of the YAML presets."""
    parser = Parser(
        prog="train.py",
        description="Train an inpainting network. With no arguments and no CelebA under data/, a short demonstration "
        "on scikit-image's photographs with generated holes (configs/samples.yaml).",
    )
    parser.add_argument(
        "--config", metavar="FILE", help="YAML preset of these options; options given here go before it"
    )
    _add_data_options(parser.add_argument_group("data"))
    _add_model_options(parser.add_argument_group("model"))
    _add_schedule_options(parser.add_argument_group("schedule"))
    _add_composite_options(parser.add_argument_group(OF_UNETS))
    _add_adversarial_options(parser.add_argument_group(OF_DEEPFILL))
    _add_run_options(parser.add_argument_group("run"))
    add_device_options(parser)
    return parser


def _add_data_options(group) -> None:
    group.add_argument(
        "--image_root", metavar="DIR", help="training pictures: a folder (nested is fine) or a list file"
    )
    group.add_argument(
        "--val_image_root", metavar="DIR", help="validation pictures; some are held out of --image_root when not given"
    )
    group.add_argument("--mask_root", metavar="DIR", help="training masks; generated when not given")
    group.add_argument(
        "--hole", choices=("white", "black"), default="white", help="colour of the hole in the mask files"
    )
    group.add_argument(
        "--hole_shape",
        choices=("irregular", "box", "both", "super_resolution"),
        default="irregular",
        help="of generated masks; a box is a rectangle of half the picture's side or less, both is half and half; "
        "super_resolution: of each K x K pixels one is known",
    )
    group.add_argument(
        "--super_resolution_factors",
        type=factors_text,
        metavar="K,K",
        help=f"the factors K to train for, each as often; {FACTORS} when not given",
    )
    group.add_argument(
        "--mask_dilate",
        choices=("yes", "no"),
        default="yes",
        help="dilate masks from files at random, as the authors do theirs",
    )
    group.add_argument(
        "--image_size", type=positive_int, default=256, metavar="N", help="side of the training pictures in pixels"
    )
    group.add_argument(
        "--num_workers",
        type=count_int,
        default=2,
        metavar="N",
        help="processes that read pictures; 0 reads in the trainer",
    )


def factors_text(text: str) -> str:
    """Factors of super-resolution with commas between, as a preset can hold them; ``factors_of`` takes them apart."""
    if not re.fullmatch(r"[0-9]{1,3}(,[0-9]{1,3}){0,15}", text, re.ASCII):
        raise argparse.ArgumentTypeError(f"expected whole numbers with commas between, as 2,4, got {text!r:.80}")
    factors = list(factors_of(text))
    if len(set(factors)) < len(factors):
        raise argparse.ArgumentTypeError(f"expected each factor once, got {text}")
    if problem := beyond("super_resolution", factors):
        raise argparse.ArgumentTypeError(problem)
    return text


def factors_of(text: str | None) -> tuple[int, ...]:
    """The numbers in what ``factors_text`` let pass; none of None.

    Example:
        >>> factors_of("2,4"), factors_of(None)
        ((2, 4), ())
    """
    return tuple(map(int, text.split(","))) if text else ()


def _add_model_options(group) -> None:
    group.add_argument("--model", choices=MODEL_NAMES, default="pconv_unet", help="network")
    group.add_argument(
        "--base_channels",
        type=positive_int,
        metavar="N",
        help="width of the first stage; 64, or 32 of deepfill_v1, when not given",
    )
    group.add_argument(
        "--depth",
        type=positive_int,
        metavar="N",
        help="times a U-Net halves the size: 7, for 256x256, when not given; 8 for 512x512",
    )
    group.add_argument(
        "--output_activation",
        choices=("linear", "tanh"),
        help="of a U-Net; linear, as in the paper, when not given",
    )
    group.add_argument(
        "--prior",
        choices=("none", "smooth"),
        help="of a U-Net; smooth: it works on smooth surfaces through the known pixels (this project's own); "
        "none, as in the paper, when not given",
    )
    group.add_argument(
        "--norm",
        choices=("batch", "none"),
        help="of a U-Net; batch normalisation, as in the paper, when not given",
    )
    group.add_argument(
        "--mask_channel",
        choices=("yes", "no"),
        help="give conv_unet the mask as a fourth channel; no, as in the paper, when not given",
    )
    group.add_argument("--weights", metavar="FILE|DIR", help="start from these weights")


def _add_schedule_options(group) -> None:
    group.add_argument(
        "--phase", choices=tuple(PHASE_LR), default="initial", help="finetune freezes the encoder's batch normalisation"
    )
    group.add_argument(
        "--lr",
        type=positive_float,
        metavar="X",
        help="learning rate of Adam; 2e-4, or 5e-5 to finetune, or 1e-4 of deepfill_v1, when not given; a preset's is "
        "that of its phase, and a quarter of it to finetune after the initial one",
    )
    group.add_argument(
        "--lr_schedule",
        choices=("constant", "linear", "cosine"),
        default="constant",
        help="decay to 0 at --max_iters, or none",
    )
    group.add_argument(
        "--warmup_iters", type=count_int, default=0, metavar="N", help="iterations in which the learning rate rises"
    )
    group.add_argument("--max_iters", type=positive_int, default=500_000, metavar="N", help="iterations of the phase")
    group.add_argument(
        "--batch_size", type=positive_int, default=6, metavar="N", help="pictures that go through the network at once"
    )
    group.add_argument(
        "--accumulate",
        type=positive_int,
        default=1,
        metavar="N",
        help="batches whose gradients make an iteration's: N times the batch, in the memory of one",
    )
    group.add_argument(
        "--clip_norm", type=weight_float, default=0.0, metavar="X", help="greatest norm of the gradients; 0: no limit"
    )
    group.add_argument(
        "--ema_decay",
        type=share_float,
        default=0.0,
        metavar="X",
        help="average the weights, 0.999 over about 1000 iterations, for validation and whoever runs the network",
    )
    group.add_argument(
        "--style_warmup_iters",
        type=count_int,
        default=0,
        metavar="N",
        help="iterations of the initial phase with style weight 1 before --style_weight",
    )
    group.add_argument("--amp", choices=("O0", "O1"), default="O0", help="O1: float16 where it is safe, on GPU")
    group.add_argument(
        "--sync_norm", choices=("yes", "no"), default="no", help="batch statistics over all processes, on GPU"
    )


def _add_composite_options(group) -> None:
    for term, default in (("valid", 1.0), ("hole", 6.0), ("perceptual", 0.05), ("style", 120.0), ("tv", 0.1)):
        group.add_argument(
            f"--{term}_weight", type=weight_float, default=default, metavar="X", help=f"weight of L_{term}"
        )
    group.add_argument(
        "--vgg_weights",
        metavar="FILE",
        help=".npz, .pdparams or .pth of a VGG16, Oxford or torchvision naming; the shipped one when not given",
    )


def _add_adversarial_options(group) -> None:
    for name, default, meaning in (
        ("adversarial", 0.001, "weight of the critics' scores (paper and author)"),
        ("discounted", 1.2, "weight of L1 in the hole (author)"),
        ("known", 1.2, "weight of L1 outside the hole (author)"),
        ("coarse", 1.2, "weight of the coarse picture in both L1 terms (author)"),
        ("penalty", 10.0, "weight of the critics' gradient penalty (paper and author)"),
    ):
        group.add_argument(f"--{name}_weight", type=weight_float, default=default, metavar="X", help=meaning)
    group.add_argument(
        "--discount",
        type=discount_float,
        default=0.9,
        metavar="X",
        help="each pixel deeper in the hole counts X times as much: 0.9 by the author, 0.99 in the paper",
    )
    group.add_argument(
        "--critic_steps", type=positive_int, default=5, metavar="N", help="updates of the critics in an iteration"
    )
    group.add_argument(
        "--critic_channels", type=positive_int, default=64, metavar="N", help="width of the critics' first layer"
    )
    group.add_argument(
        "--local_size",
        type=positive_int,
        metavar="N",
        help="side of the patch around the hole that the local critic sees; half of --image_size when not given",
    )


def _add_run_options(group) -> None:
    group.add_argument("--log_dir", default="logs/Celeba", metavar="DIR", help="folder of the run")
    group.add_argument(
        "--resume",
        metavar="auto|DIR",
        help="go on from the newest checkpoint of --log_dir, or from that checkpoint, with the options of its run "
        "where others are not given here",
    )
    group.add_argument("--log_every", type=positive_int, default=20, metavar="N", help="iterations between log lines")
    group.add_argument(
        "--val_every", type=positive_int, default=2000, metavar="N", help="iterations between validations"
    )
    group.add_argument("--val_count", type=positive_int, default=48, metavar="N", help="pictures in the validation set")
    group.add_argument(
        "--save_every", type=positive_int, default=5000, metavar="N", help="iterations between checkpoints"
    )
    group.add_argument(
        "--keep",
        type=count_int,
        default=5,
        metavar="N",
        help="newest checkpoints that stay, the best beside them; 0 keeps all",
    )
    group.add_argument("--seed", type=count_int, default=0, metavar="N", help="of weights, order, crops and holes")
    group.add_argument(
        "--dry_run", action="store_true", help="print the plan with time and memory of a few steps; write nothing"
    )


def parse_train(argv: Sequence[str] | None = None) -> tuple[argparse.Namespace, dict]:
    """Options of train.py, and those that differ from the built-in defaults.

    What is typed goes before the options of a run that is resumed, these before the preset, the preset before what is
    built in. ``options.image_root`` is None where the sample photographs are to be used.
    Raises:
        InputError: a preset, or the options of the run, that are missing, damaged, or have a key that is no option.
    """
    defaults, typed = vars(train_parser().parse_args([])), _typed(argv)
    config, parser, no_data = _choose_preset(typed, defaults["model"])
    before = _take_up_run(parser, config, typed)
    if no_data and not before:
        print(no_data)
    options = parser.parse_args(argv)
    options.config = config
    _settle_phase(options, typed, parser.get_default("phase"))
    _refuse_hole_of_other_masks(options, typed, parser.get_default("mask_root"))
    defaults["dry_run"] = options.dry_run  # not of the run's
    changed = {key: value for key, value in vars(options).items() if value != defaults[key]}
    _refuse_options_of_others(options.model, changed)
    _settle_factors(options)
    options.lr = options.lr or (ADVERSARIAL_LR if is_adversarial(options.model) else PHASE_LR[options.phase])
    for line in differences(before, options):
        print(line)
    return options, changed


def _choose_preset(typed: dict, model: str) -> tuple[str, Parser, str | None]:
    """The preset, a parser with its values as defaults, and what to tell where there is no dataset."""
    default, samples = (
        os.path.relpath(CONFIGS / name) for name in _DEFAULT_PRESETS[is_adversarial(typed.get("model", model))]
    )
    config, parser = typed.get("config") or default, train_parser()
    with naming("--config"):
        apply_preset(parser, config)
    absent = parser.get_default("image_root")
    if typed.get("config") or typed.get("image_root") or Path(absent).exists():
        return config, parser, None
    parser = train_parser()
    apply_preset(parser, samples)
    told = f"no pictures at {absent}: a short demonstration on scikit-image's sample photographs instead;"
    return samples, parser, f"{told} give your own with --image_root DIR"


def _take_up_run(parser: Parser, config: str, typed: dict) -> dict:
    """Make the options of the run that is resumed, if one is, the parser's defaults; returns them."""
    with naming("--resume"):
        run = run_to_resume(*(typed.get(key, parser.get_default(key)) for key in ("resume", "log_dir")))
    if run is None:
        return {}
    with naming("--resume"):
        before = options_of(train_parser(), run)
    print(f"going on with the options in {os.path.relpath(run / OPTIONS)}")
    for line in passed_over(before, config, parser, typed) if "config" in typed else ():
        print(line)
    parser.set_defaults(**before, weights=None)
    return before


def _typed(argv: Sequence[str] | None) -> dict:
    """The options that are on the command line, and no others."""
    parser = train_parser()
    for action in parser._actions:
        action.default = argparse.SUPPRESS
    return vars(parser.parse_args(argv))


def _settle_phase(options: argparse.Namespace, typed: dict, preset_phase: str) -> None:
    """A preset's learning rate is that of its own phase; in the other one it stands in the paper's ratio to it.

    The style weight warms up in the initial phase alone: what is tuned finely paints already.
    """
    if options.lr and "lr" not in typed:
        options.lr *= PHASE_LR[options.phase] / PHASE_LR[preset_phase]
    if options.phase == "finetune":
        if typed.get("style_warmup_iters"):
            raise InputError("--style_warmup_iters: means nothing to --phase finetune, which goes on; leave it out")
        options.style_warmup_iters = 0


def _refuse_hole_of_other_masks(options: argparse.Namespace, typed: dict, preset_root: str | None) -> None:
    """The colour that a preset gives is that of its own masks: taken for others' it would turn the training around."""
    if preset_root and options.hole == "black" and "hole" not in typed and options.mask_root != preset_root:
        raise InputError(
            f"--mask_root {options.mask_root}: expected --hole white or --hole black beside it, got neither, and the "
            f"preset's black is said of {preset_root} (NVIDIA's training masks are black, their test masks white)"
        )


def _settle_factors(options: argparse.Namespace) -> None:
    if options.hole_shape != "super_resolution":
        if options.super_resolution_factors:
            raise InputError(
                f"--super_resolution_factors: means nothing to --hole_shape {options.hole_shape}; leave it out, or "
                "give --hole_shape super_resolution"
            )
        return
    if is_adversarial(options.model):
        raise InputError(
            f"--hole_shape super_resolution: expected a U-Net, got --model {options.model}, whose attention copies "
            "patches without a hole, of which there are none; take pconv_unet"
        )
    options.super_resolution_factors = options.super_resolution_factors or FACTORS


def is_adversarial(model: str) -> bool:
    """Whether the network is trained against critics, and not under the composite loss."""
    return model == "deepfill_v1"


def hyper_parameters(options: argparse.Namespace) -> dict[str, str | int | float]:
    """Those options of a run that bear on what it learns, where they are given; the network's and schedule's first."""
    groups = {group.title: [action.dest for action in group._group_actions] for group in train_parser()._action_groups}
    loss = OF_DEEPFILL if is_adversarial(options.model) else OF_UNETS
    keys = [*groups["model"], *groups["schedule"], *groups[loss], *groups["data"], "seed"]
    values = {key: getattr(options, key) for key in keys if key != "num_workers"}
    return {key: value for key, value in values.items() if value is not None}


# What train.py takes when it is given no preset: with the dataset, and without.
_DEFAULT_PRESETS = {False: ("celeba.yaml", "samples.yaml"), True: ("deepfill_celeba.yaml", "deepfill_samples.yaml")}


def _refuse_options_of_others(model: str, changed: dict) -> None:
    """An option that means nothing to the network would be passed over in silence."""
    title = OF_UNETS if is_adversarial(model) else OF_DEEPFILL
    [group] = [group for group in train_parser()._action_groups if group.title == title]
    foreign = {action.dest for action in group._group_actions}
    if is_adversarial(model):
        foreign |= {"depth", "output_activation", "prior", "norm", "phase", "style_warmup_iters", "sync_norm"}
    if model != "conv_unet":
        foreign |= {"mask_channel"}
    for key in changed:
        if key in foreign:
            raise InputError(f"--{key}: means nothing to --model {model}; leave it out, or choose another network")
