"""What processes beside the main one promise to whoever starts them."""

import signal
import threading
import time
from concurrent.futures import Future

import pytest

from metrics import workers


def future_of(value):
    future = Future()
    future.set_result(value)
    return future


def test_results_come_in_order_and_no_more_than_asked_for_are_taken():
    taken = []
    results = workers.in_order((taken.append(i) or future_of(i) for i in range(6)), ahead=2)
    assert [(value, len(taken)) for value in results] == [(0, 3), (1, 4), (2, 5), (3, 6), (4, 6), (5, 6)]


def test_ctrl_c_waits_until_a_process_is_started_whichever_thread_it_comes_to():
    is_over = threading.Event()
    other = threading.Thread(target=is_over.wait)
    other.start()
    steps = []
    with pytest.raises(KeyboardInterrupt), workers._worker_environment():
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
