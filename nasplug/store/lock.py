"""One program at a time carries out a run."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TextIO

from nasplug.errors import InputError, RunFailure
from nasplug.store.run_folder import RunFolder

if sys.platform != "win32":  # which has no such locks
    import fcntl


@contextmanager
def lock_run(folder: RunFolder) -> Iterator[None]:
    """Holds the run inside the block; InputError if another process, or another loop of this one, holds it.

    The lock is the kernel's, on the file `lock`: it ends with the process, however that ends. The file stays, because
    whoever removes a locked file lets others lock two different files of the same name.
    """
    try:
        stream = folder.lock.open("a+", encoding="utf-8")
    except OSError as error:
        raise RunFailure(f"'{folder.lock}' cannot be written: {error.strerror}.") from error
    with stream:
        _lock(folder, stream)
        try:
            _write(stream, str(os.getpid()))
            yield
        finally:
            _write(stream, "")
            _unlock(stream)


def _lock(folder: RunFolder, stream: TextIO) -> None:
    if sys.platform == "win32":
        return
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        stream.seek(0)
        holder = stream.read().strip()
        if holder == str(os.getpid()):
            raise InputError(
                f"'{folder.path}' is under way in this program already; finish or leave that one."
            ) from error
        raise InputError(
            f"'{folder.path}' is under way in process {holder or 'unknown'}; wait for it, or stop it with Ctrl-C or "
            f"kill{f' {holder}' if holder else ''}."
        ) from error
    except OSError:  # some network file systems have no locks; runs there are not guarded
        return


def _unlock(stream: TextIO) -> None:
    """Also for processes that were forked meanwhile, which hold the same lock."""
    if sys.platform != "win32":
        with suppress(OSError):
            fcntl.flock(stream, fcntl.LOCK_UN)


def _write(stream: TextIO, words: str) -> None:
    """What the file says is for people: a full disk is reported by what must be written."""
    with suppress(OSError):
        stream.seek(0)
        stream.truncate()
        stream.write(words)
        stream.flush()
