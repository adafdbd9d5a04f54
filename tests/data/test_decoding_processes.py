from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from nasplug.data import decoding_processes
from nasplug.data.decode_request import DecodeRequest
from nasplug.data.decoding_processes import DecodingProcesses, start_processes
from nasplug.errors import InputError, RunFailure


@pytest.mark.parametrize(("cores", "count"), [(1, 0), (3, 0), (4, 2), (12, 6), (64, 8)])
def test_the_number_of_processes_follows_from_the_cores(monkeypatch, cores, count):
    monkeypatch.setattr(decoding_processes, "count_cores", lambda: cores)
    monkeypatch.setattr(decoding_processes, "DecodingProcesses", int)
    assert start_processes(None) == (count or None)
    assert start_processes(3) == 3
    assert start_processes(0) is None


def test_without_shared_memory_threads_decode_unless_processes_are_asked_for(monkeypatch):
    def refuse(count: int) -> None:
        raise OSError(38, "Function not implemented")

    monkeypatch.setattr(decoding_processes, "count_cores", lambda: 8)
    monkeypatch.setattr(decoding_processes, "DecodingProcesses", refuse)
    assert start_processes(None) is None
    with pytest.raises(
        InputError, match=r"cannot start \(.*not implemented; they need shared .*\); use data\.workers=0"
    ):
        start_processes(2)


def test_beside_others_that_train_there_are_no_processes_by_default(monkeypatch):
    monkeypatch.setattr(decoding_processes, "count_cores", lambda: 8)
    monkeypatch.setattr(decoding_processes.multiprocessing, "parent_process", object)
    assert start_processes(None) is None


PROGRAM = """
import signal, sys, time
from nasplug.data.decoding_processes import DecodingProcesses
signal.signal(signal.SIGINT, signal.default_int_handler)  # background jobs of a shell are started without it
processes = DecodingProcesses(2)
print(*processes._pool._processes, flush=True)
[future.result() for future in [processes._pool.submit(int) for _ in range(2)]]
print("ready", flush=True)
time.sleep(600)
"""


def is_there(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_until(is_so: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_no_process_is_left_behind(tmp_path, number):
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)  # without a guard: processes do not import it
    parent = subprocess.Popen([sys.executable, program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    children = [int(word) for word in parent.stdout.readline().split()]
    assert len(children) == 2
    assert parent.stdout.readline() == "ready\n"
    parent.send_signal(number)
    _, errors = parent.communicate()
    assert errors.count("Traceback") == (number == signal.SIGINT)  # the parent's own
    wait_until(lambda: not any(map(is_there, children)))


@pytest.mark.slow
def test_a_process_that_is_killed_is_a_failure_with_a_sentence():
    processes = DecodingProcesses(1)
    os.kill(processes._pool.submit(os.getpid).result(), signal.SIGKILL)
    request = DecodeRequest((Path("a.png"),), 8, 3, None, (True,))
    wait_until(lambda: processes._pool._broken)
    with pytest.raises(RunFailure, match=r"was killed, perhaps for lack of memory; lower data\.workers"):
        list(processes.decode(request))


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
def test_processes_end_with_their_object():
    processes = DecodingProcesses(1)
    (child,) = processes._pool._processes
    del processes
    wait_until(lambda: not is_there(child))
