"""Worker processes that never outlive the main one.

Workers are spawned, not forked, because the main process may have threads (OpenMP's, Paddle's); they import only what
their tasks need. Each has one thread and never receives Ctrl-C and the like, which the main process handles. A worker
ends when the pipe to the main process closes, also when that is killed.
"""

import contextlib
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection
from typing import TypeVar

import cv2

Result = TypeVar("Result")

# sent to a whole group, as by Ctrl-C or a closed terminal, or to each process of a job, as by Slurm
SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))

_ENVIRONMENT = {
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    # glibc keeps the memory of arrays for the next ones: asking the system each time takes a quarter of SSIM's time
    "MALLOC_MMAP_THRESHOLD_": str(32 << 20),
    "MALLOC_TRIM_THRESHOLD_": str(256 << 20),
}


@contextlib.contextmanager
def worker_processes(count: int, *begin) -> Iterator[Callable[..., Future]]:
    """``count`` processes for the block: it gets ``submit(function, *arguments)``, which returns a ``Future``.

    Function, arguments and result are pickled; what the function raises, ``Future.result`` raises. When the block ends
    in an error, what the workers are doing is given up. With a count of 0 ``submit`` calls the function here.

    Args:
        begin: a function and its arguments, which each process calls first.
    """
    if count == 0:
        yield call_here
        return
    if os.name == "posix":
        with _signals_later():
            resource_tracker.ensure_running()  # Python's own helper, which would complain at length of a SIGHUP
    context = multiprocessing.get_context("spawn")
    held, lifeline = context.Pipe(duplex=False)
    pool = ProcessPoolExecutor(count, context, _begin, (held, *begin))

    def submit(function: Callable[..., Result], *arguments) -> "Future[Result]":
        with _signals_later(), _worker_environment():  # workers are started here, when there are not yet enough
            return pool.submit(function, *arguments)

    try:
        yield submit
        pool.shutdown()
    except BrokenProcessPool:
        raise ChildProcessError(
            "expected the worker processes to live, but one was killed (out of memory?): "
            "run again, with fewer --num_workers"
        ) from None
    finally:
        lifeline.close()
        pool.shutdown(cancel_futures=True)
        held.close()


def call_here(function: Callable[..., Result], *arguments) -> "Future[Result]":
    """A future that is done: what the function gave or raised."""
    future: Future = Future()
    try:
        future.set_result(function(*arguments))
    except Exception as error:
        future.set_exception(error)
    return future


def started_ahead(futures: Iterable["Future[Result]"], ahead: int) -> Iterator["Future[Result]"]:
    """The futures themselves, of which up to ``ahead`` are started before they are needed."""
    waiting: deque[Future] = deque()
    for future in futures:
        waiting.append(future)
        if len(waiting) > ahead:
            yield waiting.popleft()
    yield from waiting


def _begin(held: Connection, function: Callable | None = None, *arguments) -> None:
    for signum in SIGNALS:  # where they cannot be blocked from the start
        signal.signal(signum, signal.SIG_IGN)
    cv2.setNumThreads(1)
    threading.Thread(target=_end_with_the_main_process, args=(held,), daemon=True).start()
    if function:
        function(*arguments)


def _end_with_the_main_process(held: Connection) -> None:
    with contextlib.suppress(EOFError, OSError):
        held.recv()  # nothing is ever sent: this returns when the other end is closed
    os._exit(1)


@contextlib.contextmanager
def _worker_environment() -> Iterator[None]:
    """For the start of a worker alone: libraries of the main process may read it later, and would take one thread."""
    before = {name: os.environ.get(name) for name in _ENVIRONMENT}
    os.environ.update(_ENVIRONMENT)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextlib.contextmanager
def _signals_later() -> Iterator[None]:
    """Delay ``SIGNALS`` to the end of the block; a process started in it never receives one.

    A process that is starting cannot ignore them yet: it would die, and its pool with it. So it inherits that they are
    blocked. Here, Ctrl-C would leave a new process that waits for the rest of its input; the handlers are for other
    threads of this process, which may receive signals all the same.
    """
    came = set()
    before = {signum: signal.getsignal(signum) for signum in SIGNALS}
    # what is ignored, as by nohup, stays so; None is a handler that is not Python's
    taken = [signum for signum, handler in before.items() if handler not in (None, signal.SIG_IGN)]
    for signum in taken:
        signal.signal(signum, lambda signum, _frame: came.add(signum))
    blocked = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS) if hasattr(signal, "pthread_sigmask") else None
    try:
        yield
    finally:
        if blocked is not None:
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        for signum in taken:
            signal.signal(signum, before[signum])
    for signum in came:
        signal.raise_signal(signum)
