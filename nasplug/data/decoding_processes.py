"""Processes that decode image files for this one."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.util import Finalize

from nasplug.data.decode_request import DecodedFile, DecodeRequest, decode_files
from nasplug.errors import InputError, RunFailure
from nasplug.parts.child_processes import blocked_signals, hidden_main_program
from nasplug.values.cores import count_cores
from nasplug.values.worker import STOPPING

FILES = 16
"""Files that a process decodes at a time, so that several share the work of one batch."""
FROM_CORES, MOST_DEFAULT = 4, 8
"""From how many cores on there are such processes by default, and how many at most."""


class DecodingProcesses:
    """A pool of `count` processes, which start at once; they end with this object, or with this process.

    Any thread may ask for files. One pool serves all streams of a run, in whatever order their batches are asked for. A
    DataLoader of torch reads one sequence of batches, from processes of its own: a run has several streams, begins
    them at any step and goes back in them, and a cache of decoded images would be divided among its processes.

    Raises OSError, ImportError or NotImplementedError where the system has no semaphores, which need shared memory.
    """

    def __init__(self, count: int) -> None:
        spawn = multiprocessing.get_context("spawn")
        self._pool = ProcessPoolExecutor(count, mp_context=spawn, initializer=_prepare)
        with hidden_main_program(), blocked_signals():
            for _ in range(count):  # each task starts one process more, as long as none of them is ready
                self._pool.submit(os.getpid)
        # A process of multiprocessing that ends closes its queues first (priority 10) and then waits for its children,
        # which must have been told to leave before that.
        Finalize(self, _dismiss, args=(self._pool,), exitpriority=20)

    def decode(self, request: DecodeRequest) -> Iterator[DecodedFile | str]:
        """As `decode_files`. Raises RunFailure if a process was killed."""
        try:
            for files in self._pool.map(_decode_all, request.split(FILES)):
                yield from files
        except BrokenProcessPool as error:
            raise RunFailure(
                "A process that decoded images was killed, perhaps for lack of memory; lower data.workers, or set it "
                "to 0, and go on with nasplug resume."
            ) from error


def start_processes(workers: int | None) -> DecodingProcesses | None:
    """The processes that `data.workers` asks for; None for none.

    By default half as many as there are cores. With few cores there are none: threads are as fast, since Pillow decodes
    without Python's lock. Nor are there any beside a process that trains one of several networks at a time, where each
    has one core. Raises InputError if processes are asked for that the system cannot have.
    """
    if workers is None:
        beside_others = multiprocessing.parent_process() is not None
        count = 0 if beside_others or count_cores() < FROM_CORES else min(count_cores() // 2, MOST_DEFAULT)
    else:
        count = workers
    if count == 0:
        return None
    try:
        return DecodingProcesses(count)
    except (OSError, ImportError, NotImplementedError) as error:
        if workers is None:
            return None
        raise InputError(
            f"data.workers={workers} decodes images in other processes, which this system cannot start ({error}; they "
            f"need shared memory, which is /dev/shm on Linux); use data.workers=0, which decodes in threads."
        ) from error


def _dismiss(pool: ProcessPoolExecutor) -> None:
    """Ends the processes of a pool; the main thread waits for them, and no other does, which may be the pool's own."""
    pool.shutdown(wait=threading.current_thread() is threading.main_thread(), cancel_futures=True)


def _prepare() -> None:
    """Leaves signals to the parent, which gets them too when they go to a whole terminal, and ends with the parent."""
    for number in STOPPING:
        signal.signal(number, signal.SIG_DFL if number == signal.SIGTERM else signal.SIG_IGN)
    if sys.platform != "win32":
        signal.pthread_sigmask(signal.SIG_UNBLOCK, STOPPING)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _decode_all(request: DecodeRequest) -> list[DecodedFile | str]:
    return list(decode_files(request))
