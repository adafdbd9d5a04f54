"""What a worker and its parent say to each other, and what the parent says of one that is gone."""

from __future__ import annotations

import os
import subprocess
import sys
from multiprocessing import Pipe
from queue import SimpleQueue
from types import SimpleNamespace

import pytest

from nasplug.errors import RunFailure
from nasplug.runs.worker import READY, Orders
from nasplug.runs.workers import _check_end, _Worker

WAY = "go on with: nasplug resume RUN"


def end(code, dismissed):
    process = SimpleNamespace(join=lambda: None, exitcode=code)
    _check_end(SimpleNamespace(resume_hint="nasplug resume RUN"), _Worker(process, None, dismissed))


@pytest.mark.parametrize(
    ("code", "dismissed", "sentence"),
    [
        (-9, True, f"was killed by SIGKILL, perhaps for lack of memory; lower --jobs, or {WAY}"),
        (-11, True, f"was killed by SIGSEGV; {WAY}"),
        (3, True, f"ended with code 3; its error is above; {WAY}"),
        (0, False, f"ended before its network was finished; {WAY}"),
    ],
)
def test_a_process_that_did_not_leave_in_order_is_a_failure(code, dismissed, sentence):
    with pytest.raises(RunFailure) as failure:
        end(code, dismissed)
    assert str(failure.value) == f"A process that trained a network {sentence}"


def test_a_process_that_was_told_to_leave_may():
    end(0, dismissed=True)


def test_a_worker_asks_for_tasks_until_there_are_no_more(monkeypatch):
    exits = SimpleQueue()
    monkeypatch.setattr(os, "_exit", exits.put)
    parent, worker = Pipe()
    orders = Orders(worker)
    tasks = iter(orders)
    parent.send({"role": "found"})
    assert next(tasks) == {"role": "found"}
    assert parent.recv() == READY
    assert not orders.should_stop()
    parent.send(None)
    assert next(tasks, "no more") == "no more"
    assert orders.should_stop()
    assert exits.empty()
    parent.close()
    assert exits.get(timeout=60) == 1


def test_a_worker_that_has_not_begun_ends_at_once_when_it_is_told_to(monkeypatch):
    exits = SimpleQueue()
    monkeypatch.setattr(os, "_exit", exits.put)
    parent, worker = Pipe()
    Orders(worker)
    parent.send(None)
    assert exits.get(timeout=60) == 0
    parent.close()
    assert exits.get(timeout=60) == 1


ALONE = """
import os, sys, threading
from multiprocessing.connection import Connection
from nasplug.runs.worker import Orders
assert "torch" not in sys.modules
Orders(Connection(int(sys.argv[1])))
print("listening", flush=True)
threading.Event().wait()
"""


def test_a_worker_ends_when_its_parent_is_gone():
    parent, worker = Pipe()
    os.set_inheritable(worker.fileno(), True)
    words = [sys.executable, "-c", ALONE, str(worker.fileno())]
    with subprocess.Popen(words, pass_fds=[worker.fileno()], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "listening\n"
        worker.close()
        assert process.poll() is None
        parent.close()
        assert process.wait(timeout=60) == 1
