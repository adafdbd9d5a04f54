"""A lock on a run folder: one program at a time carries out a run."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
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


class AlreadyRunning(InputError):
    """Another process, or another loop of this one, carries out the run."""


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
    try:
        folder.lock.open("ab").close()
    except OSError as error:
        raise RunFailure(f"'{folder.lock}' cannot be written: {error.strerror}.") from error
    # Not local to a thread: the generator that holds the lock may be closed by another thread than the one that ran it.
    lock = FileLock(folder.lock, thread_local=False, fallback_to_soft=False)
    try:
        lock.acquire(timeout=PATIENCE, poll_interval=PATIENCE / 10)
    except Timeout as error:
        raise _refusal(folder) from error
    except (OSError, NotImplementedError):  # the file system has no locks
        pass
    try:
        _write_holder(folder.lock, str(os.getpid()))
        yield
    finally:
        _write_holder(folder.lock, "")
        with suppress(OSError):
            lock.release()


def is_under_way(folder: Path) -> bool:
    """Whether a process carries out the run in this folder; where the file system has no locks, whether one may."""
    path = folder / LOCK
    if not path.is_file():
        return False
    lock = FileLock(path, thread_local=False, fallback_to_soft=False)
    try:
        lock.acquire(blocking=False)
    except Timeout:
        return True
    except (OSError, NotImplementedError):
        return bool(_read_holder(path))
    lock.release()
    return False


def _refusal(folder: RunFolder) -> AlreadyRunning:
    holder = _read_holder(folder.lock)
    if holder == str(os.getpid()):
        return AlreadyRunning(f"'{folder.path}' is under way in this program already; finish or leave that one.")
    return AlreadyRunning(
        f"'{folder.path}' is under way in process {holder or 'unknown'}; wait for it, or stop it with Ctrl-C or "
        f"kill{f' {holder}' if holder else ''}."
    )


def _read_holder(path: Path) -> str:
    """The process id of the holder, or an empty string where the file does not say."""
    with suppress(OSError), path.open("rb", buffering=0) as stream:
        stream.seek(PID_OFFSET)
        return stream.read().decode(errors="replace").strip()
    return ""


def _write_holder(path: Path, pid: str) -> None:
    """Replaces the process id in the lock file. It is for messages only, so a full disk is not reported here."""
    with suppress(OSError), path.open("r+b", buffering=0) as stream:
        stream.truncate(PID_OFFSET)
        stream.seek(PID_OFFSET)
        stream.write(pid.encode())
