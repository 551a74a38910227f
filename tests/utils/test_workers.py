"""What processes beside the main one promise to whoever starts them."""

import multiprocessing
import os
import signal
import threading
import time

import pytest

from utils import workers


def test_ctrl_c_waits_until_a_process_is_started_whichever_thread_it_comes_to():
    is_over = threading.Event()
    other = threading.Thread(target=is_over.wait)
    other.start()
    steps = []
    with pytest.raises(KeyboardInterrupt), workers._signals_later():
        signal.pthread_kill(other.ident, signal.SIGINT)
        time.sleep(0.05)
        steps.append("to the other thread")
        signal.raise_signal(signal.SIGINT)
        steps.append("to this one")
    assert steps == ["to the other thread", "to this one"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())
    is_over.set()
    other.join()


def test_the_environment_of_the_main_process_stays():
    """Its libraries read the number of threads late, and would take the workers' one."""
    before = dict(os.environ)
    with workers.worker_processes(1) as submit:
        assert submit(os.getenv, "OMP_NUM_THREADS").result() == "1"
        assert dict(os.environ) == before


@pytest.mark.parametrize("signum", workers.SIGNALS)
def test_a_process_that_is_starting_does_not_die_of_a_signal_to_the_whole_job(signum):
    with workers.worker_processes(1) as submit:
        future = submit(os.getpid)
        [worker] = multiprocessing.active_children()
        os.kill(worker.pid, signum)
        assert future.result() == worker.pid
