"""Command-line options, grouped; YAML presets give defaults, and an unknown key is an error.

Nothing here imports Paddle: a wrong option is told at once, and ``setup_device`` can still choose the number of
threads, which Paddle fixes when it is imported.
"""

import argparse
import contextlib
import difflib
import io
import math
import os
import sys
import warnings
import zlib  # noqa: F401  Paddle 2.6 brings a zlib of its own, which crashes Python's unless that was loaded before
from collections.abc import Sequence
from pathlib import Path

import yaml

from errors import InputError

ROOT = Path(__file__).resolve().parent
DEMO_WEIGHTS = ROOT / "weights" / "demo"
CONFIGS = ROOT / "configs"
MODEL_NAMES = ("pconv_unet", "conv_unet", "pconv_residual_unet", "deepfill_v1")
PHASE_LR = {"initial": 2e-4, "finetune": 5e-5}  # the paper's
ADVERSARIAL_LR = 1e-4  # of DeepFillv1's author

OF_UNETS, OF_DEEPFILL = "loss of the U-Nets", "loss of deepfill_v1"  # groups of options


class _Help(argparse.ArgumentDefaultsHelpFormatter):
    """Help with the defaults that say something."""

    def _get_help_string(self, action):
        return action.help if action.default in (None, False) else super()._get_help_string(action)


class Parser(argparse.ArgumentParser):
    """An argument parser that tells a mistake in one line and leaves with status 2."""

    def __init__(self, **settings):
        super().__init__(formatter_class=_Help, allow_abbrev=False, **settings)

    def error(self, message):
        print(f"error: {message}; see {self.prog} --help", file=sys.stderr)
        sys.exit(2)


def positive_int(text: str) -> int:
    return _number(text, int, lambda n: n > 0, "a whole number above 0")


def count_int(text: str) -> int:
    return _number(text, int, lambda n: n >= 0, "a whole number, 0 or more")


def positive_float(text: str) -> float:
    return _number(text, float, lambda n: 0 < n < math.inf, "a number above 0")


def weight_float(text: str) -> float:
    return _number(text, float, lambda n: 0 <= n < math.inf, "a number, 0 or more")


def share_float(text: str) -> float:
    return _number(text, float, lambda n: 0 <= n < 1, "a number from 0 to below 1")


def discount_float(text: str) -> float:
    return _number(text, float, lambda n: 0 < n <= 1, "a number above 0, 1 at most")


def _number(text, kind, allowed, expected):
    try:
        value = kind(text)
    except ValueError:
        value = None
    if value is None or not allowed(value):
        raise argparse.ArgumentTypeError(f"expected {expected}, got {text!r}")
    return value


def add_device_options(parser: argparse.ArgumentParser, precision: bool = False) -> None:
    """``--device`` and ``--threads``; for commands that run exported models also ``--precision``."""
    group = parser.add_argument_group("device")
    group.add_argument(
        "--device", choices=("auto", "cpu", "gpu"), default="auto", help="auto takes the GPU when there is one"
    )
    group.add_argument("--threads", type=positive_int, metavar="N", help="CPU threads; all cores when not given")
    if precision:
        group.add_argument(
            "--precision",
            choices=("fp32", "bf16"),
            default="fp32",
            help="bf16: exported weights on a CPU that computes in bfloat16, faster and a little less exact",
        )


def setup_device(device: str = "auto", threads: int | None = None) -> None:
    """Import Paddle with its threads set and choose the device.

    Args:
        device: "auto", "cpu" or "gpu".
        threads: of a convolution on CPU; OMP_NUM_THREADS, else all cores, when None. Without this Paddle takes one.
    Raises:
        InputError: "gpu" where Paddle sees none.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    cores = max(1, cores // int(os.environ.get("PADDLE_LOCAL_SIZE", "1")))  # of several processes, each its share
    if threads or "OMP_NUM_THREADS" not in os.environ:
        os.environ["OMP_NUM_THREADS"] = str(threads or cores)
    _speed_up_amd_processors()
    for message in ("No ccache found", "You are using GPU version Paddle", "When training, we now always track"):
        warnings.filterwarnings("ignore", message=message)
    with contextlib.redirect_stderr(io.StringIO()):  # Paddle prints a warning about the threads, which are meant
        import paddle

    gpu = paddle.is_compiled_with_cuda() and paddle.device.cuda.device_count() > 0
    if device == "gpu" and not gpu:
        build = "a build for CPU" if not paddle.is_compiled_with_cuda() else "no CUDA device"
        raise InputError(
            f"--device gpu: expected a GPU, got {build}; "
            "install paddlepaddle-gpu on a machine with one, or use --device cpu"
        )
    paddle.set_device("gpu" if gpu and device != "cpu" else "cpu")


def _speed_up_amd_processors() -> None:
    """Have Paddle's MKL use AVX2 on AMD: left alone it takes a path for old processors, at less than half the speed."""
    try:
        processor = Path("/proc/cpuinfo").read_text()
    except OSError:  # not Linux
        return
    if "AuthenticAMD" in processor and "avx2" in processor:
        os.environ.setdefault("MKL_DEBUG_CPU_TYPE", "5")


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
        choices=("irregular", "box", "both"),
        default="irregular",
        help="of generated masks; a box is a rectangle of half the picture's side or less, both is half and half",
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
    group.add_argument("--weights", metavar="FILE|DIR", help="start from these weights")


def _add_schedule_options(group) -> None:
    group.add_argument(
        "--phase", choices=tuple(PHASE_LR), default="initial", help="finetune freezes the encoder's batch normalisation"
    )
    group.add_argument(
        "--lr",
        type=positive_float,
        metavar="X",
        help="learning rate of Adam; 2e-4, or 5e-5 to finetune, or 1e-4 of deepfill_v1, when not given",
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
    group.add_argument("--max_iters", type=positive_int, default=500_000, metavar="N", help="iterations in all")
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
        help="iterations with style weight 1 before --style_weight",
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
        help=".npz or .pdparams of a VGG16, Oxford or torchvision naming; the shipped one when not given",
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
        "--resume", metavar="auto|DIR", help="go on from the newest checkpoint of --log_dir, or from that checkpoint"
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
        "--keep", type=count_int, default=5, metavar="N", help="newest checkpoints that stay; 0 keeps all"
    )
    group.add_argument("--seed", type=count_int, default=0, metavar="N", help="of weights, order, crops and holes")
    group.add_argument(
        "--dry_run", action="store_true", help="print the plan with time and memory of a few steps; write nothing"
    )


def parse_train(argv: Sequence[str] | None = None) -> tuple[argparse.Namespace, dict]:
    """Options of train.py, and those that differ from the built-in defaults.

    ``options.image_root`` is None where the sample photographs are to be used.
    Raises:
        InputError: a preset that is missing, damaged, or has a key that is no option.
    """
    parser = train_parser()
    defaults = vars(parser.parse_args([]))
    asked = parser.parse_args(argv)
    default, samples = (os.path.relpath(CONFIGS / name) for name in _DEFAULT_PRESETS[is_adversarial(asked.model)])
    config = asked.config or default
    _apply_preset(parser, config)
    absent = parser.get_default("image_root")
    if not (asked.config or asked.image_root or Path(absent).exists()):
        config, parser = samples, train_parser()
        _apply_preset(parser, config)
        print(
            f"no pictures at {absent}: a short demonstration on scikit-image's sample photographs instead;"
            " give your own with --image_root DIR"
        )
    options = parser.parse_args(argv)
    options.config = config
    defaults["dry_run"] = options.dry_run  # not of the run's
    changed = {key: value for key, value in vars(options).items() if value != defaults[key]}
    _refuse_options_of_others(options.model, changed)
    options.lr = options.lr or (ADVERSARIAL_LR if is_adversarial(options.model) else PHASE_LR[options.phase])
    return options, changed


def is_adversarial(model: str) -> bool:
    """Whether the network is trained against critics, and not under the composite loss."""
    return model == "deepfill_v1"


# What train.py takes when it is given no preset: with the dataset, and without.
_DEFAULT_PRESETS = {False: ("celeba.yaml", "samples.yaml"), True: ("deepfill_celeba.yaml", "deepfill_samples.yaml")}


def _refuse_options_of_others(model: str, changed: dict) -> None:
    """An option that means nothing to the network would be passed over in silence."""
    title = OF_UNETS if is_adversarial(model) else OF_DEEPFILL
    [group] = [group for group in train_parser()._action_groups if group.title == title]
    foreign = {action.dest for action in group._group_actions}
    if is_adversarial(model):
        foreign |= {"depth", "output_activation", "phase", "style_warmup_iters", "sync_norm"}
    for key in changed:
        if key in foreign:
            raise InputError(f"--{key}: means nothing to --model {model}; leave it out, or choose another network")


def _apply_preset(parser: Parser, path: str | os.PathLike) -> None:
    """Make the preset's values the parser's defaults, each checked as if it had been typed."""
    preset = _read_preset(path)
    known = {action.dest for action in parser._actions} - {"help", "config", "dry_run"}
    for key in preset:
        if key not in known:
            close = difflib.get_close_matches(key, known, 1)
            hint = f"did you mean {close[0]}?" if close else f"known keys: {', '.join(sorted(known))}"
            raise InputError(f"{path}: expected keys that are options of {parser.prog}, got {key!r}; {hint}")
    typed = [word for key, value in preset.items() if value is not None for word in (f"--{key}", str(value))]
    parser.set_defaults(**{key: getattr(parser.parse_args(typed), key) for key in preset})


def _read_preset(path: str | os.PathLike) -> dict:
    try:
        preset = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"--config: expected a YAML file, got no such file: {path}; presets are in configs/") from None
    except IsADirectoryError:
        raise InputError(f"--config: expected a YAML file, got a folder: {path}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(
            f"{path}: expected YAML, got {str(error).splitlines()[0]}; compare with configs/celeba.yaml"
        ) from None
    if not isinstance(preset, dict):
        raise InputError(
            f"{path}: expected lines of 'option: value', got {type(preset).__name__}; compare with configs/celeba.yaml"
        )
    return preset


def fill_parser() -> Parser:
    """The options of test.py."""
    parser = Parser(
        prog="test.py",
        description="Fill the holes of a picture, or of each picture in a folder, at its own size. "
        "With no arguments: sample photographs with generated holes and the demo model.",
    )
    parser.add_argument("--input", metavar="FILE|DIR", help="picture or folder; sample photographs when not given")
    parser.add_argument(
        "--mask",
        metavar="FILE|DIR",
        help="mask of the picture's size, or a folder with a mask of each picture's name; generated when not given",
    )
    parser.add_argument(
        "--hole", choices=("white", "black"), default="white", help="colour of the hole in the mask files"
    )
    parser.add_argument(
        "--weights",
        metavar="FILE|DIR",
        default=os.path.relpath(DEMO_WEIGHTS),
        help="weights directory, or an exported one",
    )
    parser.add_argument(
        "--output", metavar="DIR", default="logs/test", help="folder of the results, one PNG for each picture"
    )
    parser.add_argument(
        "--grid", action="store_true", help="also write input, mask, output, composite and truth side by side"
    )
    parser.add_argument(
        "--show_attention",
        action="store_true",
        help="also write from where deepfill_v1 took what it filled in: the hue is the direction (right red, down "
        "yellow-green, left cyan, up violet), the saturation the distance",
    )
    parser.add_argument("--seed", type=count_int, default=0, metavar="N", help="of the generated holes")
    add_device_options(parser, precision=True)
    return parser


def export_parser() -> Parser:
    """The options of export.py."""
    parser = Parser(
        prog="export.py",
        description="Write a network as a static model, for Paddle Inference and on request ONNX, with free batch "
        "size, height and width. test.py and eval.py take the result for --weights.",
    )
    parser.add_argument(
        "--weights",
        metavar="FILE|DIR",
        default=os.path.relpath(DEMO_WEIGHTS),
        help="weights directory or training checkpoint",
    )
    parser.add_argument("--output", metavar="DIR", default="logs/export", help="new folder, or an earlier export")
    parser.add_argument("--onnx", action="store_true", help="also write model.onnx and check it with ONNX Runtime")
    add_device_options(parser)
    return parser
