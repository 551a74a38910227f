"""A case of the table, what is done for it, and what must be true of what comes of it."""

import contextlib
import hashlib
import json
import os
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

ZYGOTE = Path(__file__).with_name("zygote.py")
SECONDS = 60  # that a command may take; on a slow machine, beside others
MEMORY = 1 << 30  # bytes that it may take more than the modules do
ADDRESSES = 6 << 30  # bytes of addresses: beyond these an allocation fails and says so
LONGEST_LINE = 1500
HASHED = 64 << 20  # bytes; of larger files, which are sparse ones, only the size is compared

Damage = Callable[[Path, bytes], None]  # the path, where nothing is any more, and what was there

_BAR = re.compile(r"\r?[^\r\n]*?(?:\d+%\|[^\r\n]*?\[[^\r\n]*?\]|\d+[a-z]+ \[[^\r\n]*?\])")


@dataclass(frozen=True)
class Case:
    """One input: a command with arguments in which {user} is a user's folder and {bad} one with what is wrong.

    Args:
        says: words of which the line on stderr must have one: it names the option or the file.
        base: file or folder of the user's that is copied into {bad} first.
        damage: by path below {bad}, what is done to it.
        status: exit status; None for 1 or 2.
        lines: that stderr may have.
        writes: whether the command may leave files in the current folder.
    """

    command: str
    arguments: tuple[str, ...]
    says: tuple[str, ...] = ()
    base: tuple[str, ...] = ()
    damage: dict[str, Damage] = field(default_factory=dict)
    status: int | None = None
    lines: int = 1
    writes: bool = False


class Zygote:
    """See ``zygote.py``."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.process = subprocess.Popen(
            [sys.executable, str(ZYGOTE)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1", "GLOG_minloglevel": "2"},
        )
        self.commands = self._answer()["ready"]

    def run(self, command: str, arguments: list[str], folder: Path, seconds: float = SECONDS) -> dict:
        """Its answer, with what the command wrote as ``out`` and ``err``."""
        outputs = {name: self.folder / name for name in ("stdout", "stderr")}
        for path in outputs.values():
            path.unlink(missing_ok=True)
        request = {"command": command, "arguments": arguments, "folder": str(folder), "seconds": seconds}
        request |= {"memory": ADDRESSES, **{name: str(path) for name, path in outputs.items()}}
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        written = self._answer()
        texts = [path.read_text(errors="backslashreplace") if path.exists() else "" for path in outputs.values()]
        return written | dict(zip(("out", "err"), texts, strict=True))

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait(timeout=30)

    def _answer(self) -> dict:
        line = self.process.stdout.readline()
        assert line, "the process that runs the commands has ended"
        return json.loads(line)


def prepare(case: Case, user: Path, bad: Path) -> None:
    """Make what is wrong."""
    bad.mkdir()
    for name in case.base:
        source, target = user / name, bad / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(source, target, symlinks=True) if source.is_dir() else shutil.copy2(source, target)
    for name, damage in case.damage.items():
        path = _graph(bad / name)
        path.parent.mkdir(parents=True, exist_ok=True)
        before = path.read_bytes() if path.is_file() else b""
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        damage(path, before)


def _graph(path: Path) -> Path:
    """The file that an export's graph is in, whose suffix differs between versions of Paddle."""
    if path.suffix != ".GRAPH":
        return path
    [found] = [path.with_suffix(suffix) for suffix in (".json", ".pdmodel") if path.with_suffix(suffix).exists()]
    return found


def snapshot(folder: Path) -> dict[str, tuple]:
    """Every file, folder, link and pipe below a folder, with what is in it."""
    found = {}
    for root, folders, files in os.walk(folder):
        for name in (*folders, *files):
            path = os.path.join(root, name)
            status = os.lstat(path)
            content = None
            if stat.S_ISLNK(status.st_mode):
                content = os.readlink(path)
            elif stat.S_ISREG(status.st_mode):
                content = (status.st_size, status.st_mtime_ns, _digest(path) if status.st_size <= HASHED else None)
            found[os.path.relpath(path, folder)] = (stat.S_IFMT(status.st_mode), content)
    return found


def _digest(path: str) -> str:
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def lines_of(err: str) -> list[str]:
    """The lines on stderr, without progress bars."""
    return [line for line in _BAR.sub("", err).splitlines() if line.strip()]


def problems_of(case: Case, answer: dict) -> list[str]:
    """What is wrong with how a command took the case; the files apart."""
    lines, found = lines_of(answer["err"]), []
    allowed = (1, 2) if case.status is None else (case.status,)
    if answer["status"] not in allowed:
        found.append(f"status {answer['status']}, expected {allowed}")
    if answer["seconds"] >= SECONDS:
        found.append(f"{answer['seconds']:.0f} seconds")
    if answer["memory"] > MEMORY:
        found.append(f"{answer['memory'] >> 20} MiB")
    if answer["stray"]:
        found.append("processes left behind")
    if "Traceback" in answer["err"] + answer["out"]:
        found.append("a traceback")
    return found + _problems_of_lines(case, lines)


def _problems_of_lines(case: Case, lines: list[str]) -> list[str]:
    found = []
    if len(lines) > case.lines or (case.status != 0 and not lines):
        found.append(f"{len(lines)} lines, expected {case.lines}")
    if lines and case.status != 0 and not lines[-1].startswith("error: "):
        found.append("the last line is no error's")
    if case.says and not any(word in line for line in lines for word in case.says):
        found.append(f"no word of {' | '.join(case.says)}")
    if any(len(line) > LONGEST_LINE or not line.isprintable() for line in lines):
        found.append("a line that is too long or not fit for a terminal")
    return found
