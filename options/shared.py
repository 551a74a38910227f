"""What the commands' options share: the parser, kinds of numbers, presets, checks, the device.

Nothing here imports Paddle: a wrong option is told at once, and ``setup_device`` can still choose the number of
threads, which Paddle fixes when it is imported.
"""

import argparse
import contextlib
import ctypes
import difflib
import io
import logging
import math
import os
import signal
import sys
import threading
import warnings
import zlib  # noqa: F401  Paddle 2.6 brings a zlib of its own, which crashes Python's unless that was loaded before
from collections.abc import Collection, Iterator
from pathlib import Path

import yaml

from options.bounds import beyond
from utils.errors import InputError, naming, one_line
from utils.files import kind_of, read_text

ROOT = Path(__file__).resolve().parent.parent
MAX_PRESET = 64 << 10  # bytes
DEFAULT_WEIGHTS = ROOT / "weights" / "general"
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # of malloc.h


class _Help(argparse.ArgumentDefaultsHelpFormatter):
    """Help with the defaults that say something."""

    def _get_help_string(self, action):
        return action.help if action.default in (None, False) else super()._get_help_string(action)


class Parser(argparse.ArgumentParser):
    """An argument parser that tells a mistake in one line and leaves with status 2."""

    def __init__(self, **settings):
        super().__init__(formatter_class=_Help, allow_abbrev=False, **settings)
        self.source = None  # file and line of what is parsed; None for the command line

    def error(self, message):
        if self.source:
            raise InputError(f"{self.source}: {one_line(message, 600)}")
        print(f"error: {one_line(message, 600)}; see {self.prog} --help", file=sys.stderr)
        sys.exit(2)

    def parse_args(self, args=None, namespace=None):
        options, unknown = self.parse_known_args(args, namespace)
        if unknown:
            word = unknown[0].partition("=")[0]
            close = difflib.get_close_matches(word, self._option_string_actions, 1)
            self.error(f"no such option: {one_line(word, 80)}" + (f"; did you mean {close[0]}?" if close else ""))
        for action in self._actions:
            if problem := _unfit(action.dest, getattr(options, action.dest, None)):
                self.error(f"argument {'/'.join(action.option_strings) or action.metavar or action.dest}: {problem}")
        return options

    def parse_value(self, key: str, text: str, source: str) -> object:
        """What an option's value from a file comes to, checked as if it had been typed; ``source`` is for messages."""
        self.source = source
        try:
            return getattr(self.parse_args([f"--{key}={text}"]), key)
        finally:
            self.source = None


def _unfit(name: str, value: object) -> str | None:
    """What is wrong with an option's value, whatever command it is of; None where nothing is."""
    texts = [text for text in (value if isinstance(value, list) else [value]) if isinstance(text, str)]
    if any(not text.strip() for text in texts):
        return "expected a value, got nothing; give one, or leave the option out"
    if any("\0" in text for text in texts):
        return f"expected a name, got a zero byte in {one_line(texts[0], 80)!r}"
    return beyond(name, value)


def positive_int(text: str) -> int:
    return _number(text, int, lambda n: n > 0, "a whole number above 0")


def count_int(text: str) -> int:
    return _number(text, int, lambda n: n >= 0, "a whole number, 0 or more")


def positive_float(text: str) -> float:
    return _number(text, float, lambda n: 0 < n < math.inf, "a number above 0")


def weight_float(text: str) -> float:
    return _number(text, float, lambda n: 0 <= n < math.inf, "a number, 0 or more")


def scales_of(text: str) -> str | int:
    """The value of --scales."""
    return text if text == "auto" else _number(text, int, lambda n: n > 0, "auto or a whole number above 0")


def add_filling_options(parser: argparse.ArgumentParser) -> None:
    """--scales, --detail and --flip, for the commands that fill holes."""
    parser.add_argument(
        "--scales",
        type=scales_of,
        metavar="auto|N",
        default="auto",
        help="auto fills each hole from the scale on at which the network knows holes like it; 1 is the papers' single "
        "pass over the whole picture; N starts at 1/2^(N-1) of the size",
    )
    parser.add_argument(
        "--detail",
        choices=("on", "off"),
        help="on paints holes with texture of the known picture, guided by the network; when not given, on unless "
        "--scales is 1 or the weights' meta.json says off",
    )
    parser.add_argument(
        "--flip",
        choices=("on", "off"),
        help="test-time augmentation: on fills each hole a second time, mirrored, and takes the mean, at twice the "
        "time; when not given, on for a network on a smooth prior unless --scales is 1",
    )


def detail_of(options: argparse.Namespace) -> bool | None:
    """The value of --detail; None leaves it to the weights."""
    if options.detail is None:
        return False if options.scales == 1 else None
    return options.detail == "on"


def flip_of(options: argparse.Namespace) -> bool | None:
    """What --flip comes to, as ``Inpainter`` takes it."""
    return None if options.flip is None else options.flip == "on"


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
        raise argparse.ArgumentTypeError(f"expected {expected}, got {one_line(text, 80)!r}")
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
    _keep_freed_memory()
    for message in ("No ccache found", "You are using GPU version Paddle", "When training, we now always track"):
        warnings.filterwarnings("ignore", message=message)
    with _without_remarks():
        import paddle

    _take_signals_back()
    gpu = paddle.is_compiled_with_cuda() and paddle.device.cuda.device_count() > 0
    if device == "gpu" and not gpu:
        build = "a build for CPU" if not paddle.is_compiled_with_cuda() else "no CUDA device"
        raise InputError(
            f"--device gpu: expected a GPU, got {build}; "
            "install paddlepaddle-gpu on a machine with one, or use --device cpu"
        )
    paddle.set_device("gpu" if gpu and device != "cpu" else "cpu")


class _LaterStderr(io.TextIOBase):
    """Drops what is written while Paddle is imported, and is the standard error of the moment from then on."""

    is_open = False

    def write(self, text: str) -> int:
        return sys.stderr.write(text) if self.is_open else len(text)

    def flush(self) -> None:
        if self.is_open:
            sys.stderr.flush()


@contextlib.contextmanager
def _without_remarks() -> Iterator[None]:
    """Keep back Paddle's warning about the threads, which are meant, and nothing of what is logged afterwards.

    Paddle's loggers keep the stream that they find. It also gives the root logger one, which would write all lines of
    other loggers a second time.
    """
    stream = _LaterStderr()
    with contextlib.redirect_stderr(stream):
        yield
    stream.is_open = True
    for handler in [h for h in logging.root.handlers if getattr(h, "stream", None) is stream]:
        logging.root.removeHandler(handler)
        logging.root.setLevel(logging.WARNING)


def _take_signals_back() -> None:
    """Paddle takes some when it is imported, and prints the stack of its own functions when a process is ended."""
    for name in ("SIGTERM", "SIGHUP"):
        signum = getattr(signal, name, None)
        if signum and threading.current_thread() is threading.main_thread() and signal.getsignal(signum) is not None:
            signal.signal(signum, signal.getsignal(signum))


def _speed_up_amd_processors() -> None:
    """Have Paddle's MKL use AVX2 on AMD: left alone it takes a path for old processors, at less than half the speed."""
    try:
        processor = Path("/proc/cpuinfo").read_text()
    except OSError:  # not Linux
        return
    if "AuthenticAMD" in processor and "avx2" in processor:
        os.environ.setdefault("MKL_DEBUG_CPU_TYPE", "5")


def _keep_freed_memory() -> None:
    """Have C's allocator keep what arrays of up to 256 MiB leave for the next ones.

    Left alone it gives arrays of more than 32 MiB back to the system, which hands out pages anew one by one: two fifths
    of the processor time of filling a large photograph.
    """
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # glibc's; before 2.35 it refuses so much
    if mallopt and mallopt(_M_MMAP_THRESHOLD, 256 << 20):
        mallopt(_M_TRIM_THRESHOLD, 512 << 20)


def apply_preset(parser: Parser, path: str | os.PathLike) -> None:
    """Make the preset's values the parser's defaults, each checked as if it had been typed.

    Raises:
        InputError: naming file and line.
    """
    known = {action.dest for action in parser._actions} - {"help", "config", "dry_run"}
    values = {}
    for key, (text, line) in read_preset(path).items():
        source = f"{path}, line {line}"
        if key not in known:
            close = difflib.get_close_matches(key, known, 1)
            hint = f"did you mean {close[0]}?" if close else f"known keys: {', '.join(sorted(known))}"
            raise InputError(
                f"{source}: expected keys that are options of {parser.prog}, got {one_line(key, 80)!r}; {hint}"
            )
        values[key] = None if text is None else parser.parse_value(key, text, source)
    parser.set_defaults(**values)


def read_preset(path: str | os.PathLike) -> dict[str, tuple[str | None, int]]:
    """Each key of a YAML file with its value as it was written (None: nothing, or null) and its line.

    The file is taken apart and nothing made of it, so that neither its aliases nor its tags can do anything: yes stays
    yes, and 1e-3 what was typed.

    Raises:
        InputError: no such file, no YAML, or anything but one value for each key.
    """
    what = "a preset, a YAML file with lines of 'option: value'"
    remedy = "compare with configs/celeba.yaml"
    try:
        root = yaml.compose(read_text(path, what, MAX_PRESET), Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{path}, line {mark.line + 1}" if mark else f"{path}"
        raise InputError(
            f"{where}: expected YAML, got: {one_line(error.problem or error.context, 100)}; {remedy}"
        ) from None
    except (yaml.YAMLError, RecursionError) as error:
        raise InputError(f"{path}: expected {what}, got {type(error).__name__}; {remedy}") from None
    if not isinstance(root, yaml.MappingNode):
        got = "an empty file" if root is None else {"sequence": "a list"}.get(root.id, "text")
        raise InputError(f"{path}: expected {what}, got {got}; {remedy}")
    return _preset_values(path, root)


def _preset_values(path: str | os.PathLike, root: yaml.MappingNode) -> dict[str, tuple[str | None, int]]:
    values = {}
    for key, value in root.value:
        where = f"{path}, line {key.start_mark.line + 1}"
        if not (isinstance(key, yaml.ScalarNode) and isinstance(value, yaml.ScalarNode)):
            raise InputError(f"{where}: expected one option and one value, got a list or a block; give one value")
        if key.value in values:
            raise InputError(f"{where}: expected each option once, got {one_line(key.value, 80)} again; remove one")
        values[key.value] = _as_typed(value), key.start_mark.line + 1
    return values


def _as_typed(value: yaml.ScalarNode) -> str | None:
    """The text of a value; of true and its like the yes that options know, and of nothing None."""
    if value.tag == "tag:yaml.org,2002:null":
        return None
    if value.tag == "tag:yaml.org,2002:bool":
        return "yes" if value.value.lower() in ("yes", "true", "on") else "no"
    return value.value


def check_file(option: str, path: str, suffixes: Collection[str] = ()) -> None:
    """Refuse a file that cannot be written, or is none of a kind with these suffixes."""
    if suffixes and not (path.lower().endswith(tuple(suffixes)) and Path(path).suffix):
        raise InputError(f"{option}: expected a name that ends in {' or '.join(suffixes)}, got {path}")
    with naming(option):
        if os.path.islink(path):
            os.stat(path)  # one that leads nowhere, or to itself
    if kind_of(path) not in (None, "file"):
        raise InputError(f"{option}: expected a file's name, got the {kind_of(path)} {path}: add a name, or change it")
    check_folder(option, Path(path).parent)
    if Path(path).parent.is_dir() and kind_of(path) is None:
        _try_to_make(option, Path(path))


def check_folder(option: str, folder: Path) -> None:
    """Refuse a folder that cannot be written, there or still to be made."""
    with naming(option):
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            os.lstat(folder)  # a name that is too long
        if folder.is_symlink():
            os.stat(folder)  # one that leads nowhere, or to itself
    existing = next(path for path in (folder, *folder.parents) if kind_of(path))
    if not existing.is_dir():
        raise InputError(f"{option}: {existing} is a file, not a folder: choose another place")
    if not os.access(existing, os.W_OK):
        raise InputError(f"{option}: no permission to write in {existing}: choose another place")
    if existing != folder:
        _try_to_make(option, existing / folder.relative_to(existing).parts[0])


def _try_to_make(option: str, path: Path) -> None:
    """A folder of that name, taken away at once: not every place that may be written takes every name."""
    with naming(option):
        os.mkdir(path)
        os.rmdir(path)
