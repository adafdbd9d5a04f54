"""One process at a time carries out a run."""

from __future__ import annotations

import os
import subprocess
import sys
from threading import Thread

import pytest

from nasplug.errors import InputError, RunFailure
from nasplug.store.lock import is_under_way, lock_phase, lock_run
from nasplug.store.run_folder import RunFolder

HOLD = """
import fcntl, os, sys
stream = open(sys.argv[1], "w")
fcntl.flock(stream, fcntl.LOCK_EX)
print(os.getpid(), file=stream, flush=True)
print("held", flush=True)
sys.stdin.read()
"""


def take(folder):
    with lock_run(folder):
        return folder.lock.read_text()


def test_a_run_is_held_once_and_free_afterwards(tmp_path):
    folder = RunFolder(tmp_path)
    with lock_run(folder):
        with pytest.raises(InputError, match="under way in this program already"):
            take(RunFolder(tmp_path / ".." / tmp_path.name))
        assert folder.lock.read_text() == str(os.getpid())  # the refusal changed nothing
    assert folder.lock.read_text() == ""
    with pytest.raises(KeyError), lock_run(folder):
        raise KeyError
    assert take(folder) == str(os.getpid())


def test_a_lock_is_released_by_whichever_thread_leaves_the_block(tmp_path):
    def hold():
        with lock_run(RunFolder(tmp_path)):
            yield

    held = hold()
    next(held)
    thread = Thread(target=held.close)
    thread.start()
    thread.join()
    assert take(RunFolder(tmp_path)) == str(os.getpid())


def test_a_process_that_holds_a_run_is_named_and_its_end_frees_the_run(tmp_path):
    folder = RunFolder(tmp_path)
    words = [sys.executable, "-S", "-c", HOLD, str(folder.lock)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(InputError, match=rf"is under way in process {holder.pid}; wait for it, or stop it"):
            take(folder)
        assert is_under_way(tmp_path)
        assert folder.lock.read_text().strip() == str(holder.pid)  # asking changed nothing
        holder.kill()
        holder.wait()
        assert not is_under_way(tmp_path)
        assert take(folder) == str(os.getpid())


def test_a_run_goes_on_where_the_file_system_has_no_locks(tmp_path, monkeypatch):
    def no_locks(*_):
        raise OSError("no locks available")

    monkeypatch.setattr("fcntl.flock", no_locks)
    (tmp_path / "lock").write_text("12")
    assert is_under_way(tmp_path)  # for all that can be known
    assert take(RunFolder(tmp_path)) == str(os.getpid())


def test_two_processes_never_carry_out_one_phase(tmp_path):
    folder = RunFolder(tmp_path)
    with lock_phase(folder, "retrain/a") as is_locked:
        assert is_locked
        with (
            pytest.raises(InputError, match=rf"'retrain/a' of '.*' is under way in process {os.getpid()} on "),
            lock_phase(folder, "retrain/a", patience=0),
        ):
            pass
        with lock_phase(folder, "retrain/b", patience=0) as other:
            assert other
        with lock_phase(folder, "retrain/a", should_stop=lambda: True) as is_locked:
            assert not is_locked
        assert (folder.phase("retrain/a") / "lock").read_text().startswith(str(os.getpid()))
    assert (folder.phase("retrain/a") / "lock").read_text() == ""


def test_the_lock_of_a_phase_is_waited_for(tmp_path):
    folder, order = RunFolder(tmp_path), []

    def take_next():
        with lock_phase(folder, "retrain/a", patience=60):
            order.append("second")

    with lock_phase(folder, "retrain/a"):
        thread = Thread(target=take_next)
        thread.start()
        thread.join(0.4)
        order.append("first")
    thread.join()
    assert order == ["first", "second"]


def test_a_run_folder_that_is_gone_is_named(tmp_path):
    with pytest.raises(RunFailure, match=r"gone/lock' cannot be written: No such file"):
        take(RunFolder(tmp_path / "gone"))


@pytest.mark.parametrize("name", ["lock", "weights", "phases/search/checkpoint.safetensors.draft"])
def test_a_run_with_links_in_it_is_refused(tmp_path, name):
    run, outside = tmp_path / "run", tmp_path / "outside"
    path = run / name
    path.parent.mkdir(parents=True)
    outside.write_text("kept")
    path.symlink_to(outside)
    with pytest.raises(InputError, match=f"{name}' is a symbolic link"):
        take(RunFolder(run))
    assert outside.read_text() == "kept"
