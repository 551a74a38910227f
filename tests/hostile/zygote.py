"""Runs commands, each in a process of its own that costs little: a child of one process that has all modules loaded.

``python zygote.py`` reads one request in JSON a line and answers with one line: exit status or signal, seconds,
peak memory, and whether processes were left behind. A child that takes too long, or too much memory, is ended: a hang
or a crash is a figure in an answer and never one of the tests.
"""

import importlib
import importlib.util
import json
import os
import resource
import signal
import sys
import time
import traceback
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ("train", "test", "eval", "export")
TOOLS = ("generate_masks", "masks_from_video", "check_masks", "convert_weights", "plot_metrics", "benchmark")
HELPERS = {"make_world": "tests.hostile.world"}
LOADED_LATE = (
    "engine.trainer",
    "engine.reconstruction",
    "engine.readers",
    "losses",
    "inpainting.inpainter",
    "visualdl",
)


def load() -> dict:
    """The function ``main`` of every command, by name."""
    sys.path.insert(0, str(ROOT))
    commands = {name: _script(name).main for name in SCRIPTS}
    commands |= {name: importlib.import_module(f"tools.{name}").main for name in TOOLS}
    commands |= {name: importlib.import_module(module).main for name, module in HELPERS.items()}
    from options import setup_device

    setup_device("cpu", 1)
    for name in LOADED_LATE:
        importlib.import_module(name)
    return commands


def _script(name: str):
    """By its path: ``test`` is a module of Python's own, too."""
    spec = importlib.util.spec_from_file_location(f"script_{name}", ROOT / f"{name}.py")
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def serve(commands: dict) -> None:
    """Answer requests until there are no more."""
    print(json.dumps({"ready": sorted(commands)}), flush=True)
    for line in sys.stdin:
        request = json.loads(line)
        print(json.dumps(answer(commands, request)), flush=True)


def answer(commands: dict, request: dict) -> dict:
    """Run ``command`` with ``arguments`` in ``folder``, its outputs into the files ``stdout`` and ``stderr``."""
    started = time.monotonic()
    pid = os.fork()
    if pid == 0:
        _child(commands[request["command"]], request)
    signal.signal(signal.SIGALRM, lambda *_: os.kill(pid, signal.SIGKILL))
    signal.setitimer(signal.ITIMER_REAL, request["seconds"])
    _, status, usage = os.wait4(pid, 0)
    signal.setitimer(signal.ITIMER_REAL, 0)
    return {
        "status": os.waitstatus_to_exitcode(status),  # of a signal its number below 0
        "seconds": time.monotonic() - started,
        "memory": usage.ru_maxrss * 1024 - _own_memory(),
        "stray": _end_group(pid),
    }


def _own_memory() -> int:
    """Bytes, which every child has from its birth."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def _end_group(group: int) -> bool:
    """Whether processes outlived the child."""
    try:
        os.killpg(group, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def _child(main, request: dict) -> None:
    status = 70
    try:
        os.setsid()
        os.chdir(request["folder"])
        for number, (name, flags) in enumerate(
            [(os.devnull, os.O_RDONLY), (request["stdout"], os.O_WRONLY), (request["stderr"], os.O_WRONLY)]
        ):
            os.dup2(os.open(name, flags | (os.O_CREAT if number else 0), 0o600), number)
        size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (size + request["memory"],) * 2)
        status = _status_of(main, request["arguments"])
        sys.stdout.flush()
    finally:
        os._exit(status)


def _status_of(main, arguments: list[str]) -> int:
    from utils.errors import run_cleanly

    try:
        run_cleanly(lambda: main(arguments))
    except SystemExit as ended:
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    serve(load())
