"""Locks in a run folder: one program at a time carries out a run, and one process at a time a phase of it."""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from nasplug.errors import InputError, RunFailure

if TYPE_CHECKING:  # it imports torch, which reading a result does not need
    from nasplug.store.run_folder import RunFolder

LOCK = "lock"
PID_OFFSET = 1 if sys.platform == "win32" else 0
"""Where the holder's process id begins in the lock file: on Windows others cannot read the locked first byte."""

PATIENCE = 0.3
"""Seconds for which a lock is waited for: `is_under_way` holds it for a moment."""


PHASE_PATIENCE = 120.0
"""Seconds for which the lock of a phase is waited for: its holder may have been told to stop, and saves its state; and
that of a machine that is gone is held until the file server notices."""


class AlreadyRunning(InputError):
    """Another process, or another loop of this one, carries out the run or the phase."""


@contextmanager
def lock_run(folder: RunFolder) -> Iterator[None]:
    """Holds the lock of the run inside the block.

    The lock is the operating system's, on the file `lock` of the run folder: it ends with the process, however that
    ends. For messages the file contains the process id of the holder. On a file system that has no locks, such as some
    network file systems, the block runs without one.

    Raises AlreadyRunning if another process, or another loop of this one, holds the lock, InputError if the folder has
    symbolic links in it, and RunFailure if the lock file cannot be written.
    """
    folder.refuse_links()
    with lock_folder(folder.path):
        yield


@contextmanager
def lock_folder(folder: Path) -> Iterator[None]:
    """As `lock_run` does, also where there are symbolic links in the folder: for what follows none."""
    path = folder / LOCK
    try:
        path.open("ab").close()
    except OSError as error:
        raise RunFailure(f"'{path}' cannot be written: {error.strerror}.") from error
    lock = _lock_of(path)
    try:
        lock.acquire(timeout=PATIENCE, poll_interval=PATIENCE / 10)
    except Timeout as error:
        raise _refusal(folder) from error
    except (OSError, NotImplementedError):  # the file system has no locks
        pass
    with _held(lock, path, str(os.getpid())):
        yield


@contextmanager
def lock_phase(
    folder: RunFolder, phase: str, should_stop: Callable[[], bool] = bool, patience: float = PHASE_PATIENCE
) -> Iterator[bool]:
    """Holds the lock of a phase inside the block, where trainings are carried out beside one another.

    It lies in the folder of the phase, and is like that of `lock_run`, which the program that asks for these trainings
    holds. It is waited for up to `patience` seconds. If `should_stop` says so meanwhile, the block gets False, has no
    lock and must leave the phase alone; else it gets True.

    Raises AlreadyRunning if another process keeps the lock, and RunFailure if the lock file cannot be written.
    """
    path = folder.phase(phase) / LOCK
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.open("ab").close()
    except OSError as error:
        raise RunFailure(f"'{path}' cannot be written: {error.strerror}.") from error
    lock, deadline = _lock_of(path), time.monotonic() + patience
    while True:
        if should_stop():
            yield False
            return
        try:
            lock.acquire(timeout=PATIENCE, poll_interval=PATIENCE / 10)
            break
        except Timeout as error:
            if time.monotonic() >= deadline:
                holder = _read_holder(path)
                raise AlreadyRunning(
                    f"The phase '{phase}' of '{folder.path}' is under way in process {holder or 'unknown'}; wait for "
                    f"it, or stop it, then go on with the run."
                ) from error
        except (OSError, NotImplementedError):  # the file system has no locks
            break
    with _held(lock, path, f"{os.getpid()} on {socket.gethostname()}"):
        yield True


def _lock_of(path: Path) -> FileLock:
    # Not local to a thread: the generator that holds the lock may be closed by another thread than the one that ran it.
    return FileLock(path, thread_local=False, fallback_to_soft=False)


@contextmanager
def _held(lock: FileLock, path: Path, holder: str) -> Iterator[None]:
    """Names the holder of a lock inside the block, and releases the lock after it."""
    try:
        _write_holder(path, holder)
        yield
    finally:
        _write_holder(path, "")
        with suppress(OSError):
            lock.release()


def is_under_way(folder: Path) -> bool:
    """Whether a process carries out the run in this folder; where the file system has no locks, whether one may.

    The same is told of a phase by its folder.
    """
    path = folder / LOCK
    if not path.is_file():
        return False
    lock = _lock_of(path)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        return True
    except (OSError, NotImplementedError):
        return bool(_read_holder(path))
    lock.release()
    return False


def _refusal(folder: Path) -> AlreadyRunning:
    holder = _read_holder(folder / LOCK)
    if holder == str(os.getpid()):
        return AlreadyRunning(f"'{folder}' is under way in this program already; finish or leave that one.")
    return AlreadyRunning(
        f"'{folder}' is under way in process {holder or 'unknown'}; wait for it, or stop it with Ctrl-C or "
        f"kill{f' {holder}' if holder else ''}."
    )


def _read_holder(path: Path) -> str:
    """The process id of the holder, for a phase with its machine, or an empty string where the file does not say."""
    with suppress(OSError), path.open("rb", buffering=0) as stream:
        stream.seek(PID_OFFSET)
        return stream.read().decode(errors="replace").strip()
    return ""


def _write_holder(path: Path, holder: str) -> None:
    """Replaces the holder in the lock file. It is for messages only, so a full disk is not reported here."""
    with suppress(OSError), path.open("r+b", buffering=0) as stream:
        stream.truncate(PID_OFFSET)
        stream.seek(PID_OFFSET)
        stream.write(holder.encode())
