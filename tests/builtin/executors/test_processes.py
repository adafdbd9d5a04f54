"""Processes that carry out calls: what comes back, what is said of one that is gone, and that none is left behind."""

from __future__ import annotations

import operator
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import wait
from multiprocessing import Pipe

import pytest

from nasplug.builtin.executors.processes import ProcessExecutor, _describe_end
from nasplug.parts import WorkerLost

pytestmark = pytest.mark.timeout(120)


@pytest.mark.parametrize(
    ("code", "reason", "remedy"),
    [
        (-9, "was killed by SIGKILL, perhaps for lack of memory", "lower --jobs"),
        (-11, "was killed by SIGSEGV", ""),
        (3, "ended with code 3; its error is above", ""),
        (0, "ended before that was finished", ""),
    ],
)
def test_how_a_process_ended_is_said_in_words(code, reason, remedy):
    lost = _describe_end(code)
    assert (lost.reason, lost.remedy) == (reason, remedy)


def test_results_and_errors_come_back_and_processes_stay():
    with ProcessExecutor([{"NASPLUG_SEAT": "7"}]) as executor:
        assert executor.submit(operator.add, 2, 3).result() == 5
        first = executor.submit(os.getpid).result()
        assert first != os.getpid()
        assert isinstance(executor.submit(operator.truediv, 1, 0).exception(), ZeroDivisionError)
        assert isinstance(executor.submit(int, "a", base=10).exception(), ValueError)
        assert executor.submit(os.getpid).result() == first
        assert executor.submit(os.getenv, "NASPLUG_SEAT").result() == "7"
    with pytest.raises(RuntimeError, match="shut down"):
        executor.submit(os.getpid)
    assert not is_alive(first)


def is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def test_two_calls_are_carried_out_at_once_and_more_wait_their_turn():
    with ProcessExecutor([{}, {}]) as executor:
        calls = [executor.submit(time.sleep, 0.2) for _ in range(2)]
        waiting = [executor.submit(os.getpid) for _ in range(6)]
        wait(calls)
        assert len({future.result() for future in waiting}) <= 2


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_a_process_that_is_killed_fails_its_call_alone_and_another_takes_its_place():
    with ProcessExecutor([{}, {}]) as executor:
        sleeping = executor.submit(time.sleep, 1)
        killed = executor.submit(signal.raise_signal, signal.SIGKILL)
        with pytest.raises(WorkerLost, match="was killed by SIGKILL"):
            killed.result()
        assert executor.submit(operator.add, 1, 1).result() == 2
        assert sleeping.result() is None


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_calls_that_wait_for_a_process_are_lost_with_the_last_one():
    with ProcessExecutor([{}]) as executor:
        executor.submit(time.sleep, 0.3)
        killed, behind = executor.submit(signal.raise_signal, signal.SIGKILL), executor.submit(os.getpid)
        for future in (killed, behind):
            assert isinstance(future.exception(), WorkerLost)
        assert executor.submit(operator.add, 1, 1).result() == 2


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM")
def test_a_process_that_gets_sigterm_finishes_its_call_and_leaves():
    with ProcessExecutor([{}]) as executor:
        process = executor.submit(os.getpid).result()
        answered = executor.submit(signal.raise_signal, signal.SIGTERM)
        assert answered.result() is None
        assert executor.submit(os.getpid).result() != process


def leave_at_once(executor):
    executor.submit(time.sleep, 100)
    raise KeyboardInterrupt


def test_whoever_does_not_want_to_wait_ends_the_processes_at_once():
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt), ProcessExecutor([{}]) as executor:
        leave_at_once(executor)
    assert time.monotonic() - started < 60


def test_calls_that_have_not_begun_can_be_cancelled():
    with ProcessExecutor([{}]) as executor:
        first, second = executor.submit(time.sleep, 0.5), executor.submit(os.getpid)
        assert second.cancel()
        executor.shutdown(cancel_futures=True)
        assert first.done()


ALONE = """
import sys, threading
from multiprocessing.connection import Connection
from nasplug.builtin.executors.worker_process import serve
assert "torch" not in sys.modules
print("listening", flush=True)
serve(Connection(int(sys.argv[1])), {})
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows passes no file descriptors")
def test_a_process_ends_when_its_parent_is_gone():
    parent, worker = Pipe()
    os.set_inheritable(worker.fileno(), True)
    words = [sys.executable, "-c", ALONE, str(worker.fileno())]
    with subprocess.Popen(words, pass_fds=[worker.fileno()], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "listening\n"
        worker.close()
        assert process.poll() is None
        parent.close()
        assert process.wait(timeout=60) == 1
