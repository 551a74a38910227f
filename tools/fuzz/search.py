"""Mutants tried in processes of their own, so that a reader which crashes, hangs or fills the memory is a finding.

A process takes a batch of mutants and writes a line before and behind each. Time is the processor's, so that findings
do not depend on what else the machine does.
"""

import gc
import json
import os
import random
import resource
import select
import shutil
import signal
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from tools.fuzz.mutants import mutant
from tools.fuzz.readers import Kind, quietly
from utils.errors import InputError

SECONDS = 10  # of processor time that a reader may take; the slowest sound file of that size takes a hundredth
MEMORY = 2 << 30  # bytes that it may take: a picture of 150 million pixels is 0.45 GB, and is held up to four times
STUCK = 120  # seconds of the clock without a word from a process
BATCH = 1000  # mutants of one process
ADDRESSES = 6 << 30  # bytes that a process may ask for: what is beyond fails, and the machine is safe


class Outcome(NamedTuple):
    """What came of a mutant; ``problem`` in words where it is neither taken nor refused as it should be."""

    number: int
    kind: str
    taken: bool
    problem: str | None = None


def drawn(
    number: int, seed: int, kinds: Mapping[str, Kind], seeds: Mapping[str, Sequence[bytes]]
) -> tuple[str, str, bytes]:
    """Kind, file name and content of a mutant, which depend on nothing else than the arguments."""
    kind = list(kinds)[number % len(kinds)]
    rng = random.Random(f"{seed} {kind} {number}")
    return kind, kinds[kind].name, mutant(rng, seeds[kind])


def search(
    kinds: Mapping[str, Kind], seeds: Mapping[str, Sequence[bytes]], seed: int, first: int, last: Callable[[int], bool]
) -> Iterator[Outcome]:
    """Outcomes of the mutants from ``first`` on, until ``last(number)`` is true."""
    number = first
    while not last(number):
        for outcome in _of_batch(kinds, seeds, seed, range(number, number + BATCH)):
            yield outcome
            number = outcome.number + 1
            if last(number):
                break


def _of_batch(kinds, seeds, seed: int, numbers: range) -> Iterator[Outcome]:
    """Outcomes of a process of its own, as far as it got; it is ended when nobody asks for more."""
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        _child(kinds, seeds, seed, numbers, writer)
    os.close(writer)
    begun = ended = None
    try:
        for line in _lines(reader):
            if isinstance(line, int):
                begun, ended = line, False
            else:
                ended = True
                yield Outcome(*line)
        os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
        pid = None
        if begun is None:
            raise RuntimeError("the process that tries the mutants did not start")
        if not ended:
            yield Outcome(begun, list(kinds)[begun % len(kinds)], False, _death(os.waitstatus_to_exitcode(status)))
    finally:
        os.close(reader)
        if pid:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def _death(code: int) -> str:
    if code == -signal.SIGKILL:
        return f"nothing heard of it for {STUCK} seconds, or the system ended it"
    return f"the process died of {signal.Signals(-code).name}" if code < 0 else f"the process left with {code}"


def _lines(reader: int) -> Iterator:
    """What the process writes, until it ends or falls silent; its first word is waited for, however long it takes."""
    rest = b""
    select.select([reader], [], [])
    while select.select([reader], [], [], STUCK)[0]:
        if not (more := os.read(reader, 1 << 16)):
            return
        *whole, rest = (rest + more).split(b"\n")
        yield from map(json.loads, whole)


def _child(kinds, seeds, seed: int, numbers: range, writer: int) -> None:
    """Try the mutants, and end; what the libraries print goes nowhere."""
    folder = Path(tempfile.mkdtemp(prefix="fuzz"))
    try:
        _confine(folder)
        before = _peak()
        for number in numbers:
            kind, name, content = drawn(number, seed, kinds, seeds)
            os.write(writer, b"%d\n" % number)
            path = folder / name
            path.unlink(missing_ok=True)
            path.write_bytes(content)
            taken, problem = tried(kinds[kind].read, path)
            if not problem and _peak() - before > MEMORY:
                problem = f"it took {(_peak() - before) >> 20} MiB"
            os.write(writer, json.dumps([number, kind, taken, problem]).encode() + b"\n")
            if problem:
                break  # what it left behind is not the next one's
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os._exit(0)


def _confine(folder: Path) -> None:
    os.chdir(folder)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):
        os.dup2(nowhere, stream)
    for name in ("SIGTERM", "SIGINT"):
        signal.signal(getattr(signal, name), signal.SIG_DFL)
    size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + ADDRESSES,) * 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    quietly()
    gc.freeze()


def _peak() -> int:
    """Bytes of memory that this process had at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def tried(read: Callable[[Path], object], path: Path) -> tuple[bool, str | None]:
    """Whether a reader takes a file, and in words what is wrong with how it does."""
    started, taken, problem = time.process_time(), False, None
    try:
        read(path)
        taken = True
    except InputError as error:
        problem = None if str(error).strip() else "an InputError that says nothing"
    except BaseException as error:  # sys.exit among them, which is for commands
        problem = _in_words(error)
    if (used := time.process_time() - started) > SECONDS and not problem:
        problem = f"it took {used:.1f} seconds of processor time"
    return taken, problem


def _in_words(error: BaseException) -> str:
    """The exception and the last line of this project on its way."""
    root = str(Path(__file__).resolve().parents[2])
    frames = [f for f in traceback.extract_tb(error.__traceback__) if f.filename.startswith(root)]
    where = f"{os.path.relpath(frames[-1].filename, root)}:{frames[-1].lineno}" if frames else "?"
    return f"{type(error).__name__} at {where}: {str(error)[:200]}"
