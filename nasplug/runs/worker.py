"""What an executor carries out in some process, on this machine or another one: one training of a run.

Importing this module imports no torch, which takes seconds: a process first listens to whoever has started it.
"""

from __future__ import annotations

import os
import pickle
import socket
import threading
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import attrs

from nasplug.errors import InputError, NasplugError, RunFailure, quote
from nasplug.plugins import Plugins, Settings, load_plugins
from nasplug.plugins.program_objects import add_objects, objects_for_workers
from nasplug.store.worker_token import FILE, WorkerToken
from nasplug.values.worker import stop_requested

if TYPE_CHECKING:
    from nasplug.runs.context import RunContext

_ONE_AT_A_TIME = threading.Lock()
"""Random numbers and threads belong to the whole process: calls in several threads of one wait for each other."""


@attrs.frozen
class Program:
    """The program that asks for work: what another process needs to go on where it left off."""

    run: str
    """The folder that the work is done in, absolute."""
    directory: str
    """The working directory of the program, in which paths of a recipe may be relative."""
    settings: Settings
    """With them the plugins are loaded that the program has."""
    objects: bytes
    """A pickle of the objects of a Python program by slot."""
    token: str
    """The word of the `WorkerToken` in `run`."""
    threads: int
    """CPU threads of each piece of work."""
    process: tuple[str, int]
    """Its machine and process."""
    thread: int
    """The thread of it that waits for the work."""

    @classmethod
    def here(cls, run: Path, plugins: Plugins, token: WorkerToken, threads: int) -> Self:
        """This program."""
        return cls(
            run=str(run.resolve()),
            directory=str(Path.cwd()),
            settings=plugins.settings,
            objects=pickle.dumps(objects_for_workers(plugins) or {}),
            token=token.word,
            threads=threads,
            process=_this_process(),
            thread=threading.get_ident(),
        )


@attrs.frozen
class Crash:
    """An error of nasplug itself, as the traceback that Python prints."""

    traceback: str


Outcome = bool | NasplugError | Crash
"""What comes of a piece of work: whether it is finished (else it was stopped, with everything saved), or what failed.

Failures are returned, not raised: executors wrap exceptions in their own."""


def train_phase(program: Program, task: Mapping[str, Any]) -> Outcome:
    """Carries out a training task (`TrainingTask.to_dict`) of a run, from its checkpoint if there is one."""
    return work_alone(program, lambda token: _train(program, task, token))


def work_alone(program: Program, work: Callable[[WorkerToken], bool]) -> Outcome:
    """What comes of a piece of work, for which this process is prepared; `work` returns whether it is finished."""
    plugins: Plugins | None = None
    try:
        with _ONE_AT_A_TIME:
            token = WorkerToken(Path(program.run) / FILE, program.token)
            if must_stop(token):
                return False
            with _prepared_process(program):
                plugins = load_for(program)
                return work(token)
    except NasplugError as error:
        return error
    except Exception as error:
        from nasplug.plugins.attribution import attribute_error

        sentence = None if plugins is None else attribute_error(error, plugins)
        if sentence is None:
            return Crash(traceback.format_exc())
        return RunFailure(f"{sentence} Its author has to fix that.")


def must_stop(token: WorkerToken) -> bool:
    """Whether work must stop at this step: its program says so, or this process is to end."""
    return stop_requested.is_set() or not token.is_valid()


@contextmanager
def _prepared_process(program: Program) -> Iterator[None]:
    """Gives this process the working directory and the threads that the work needs.

    Raises InputError in a thread of the program itself, which has the same random numbers and settings of torch.
    """
    import torch  # here, because it takes seconds

    from nasplug.runs.memory import keep_freed_memory

    if program.process == _this_process():
        if program.thread != threading.get_ident():
            raise InputError(
                "This executor carries out trainings in threads of the program that waits for them, where they would "
                "disturb each other; take one that does so in other processes."
            )
        before = torch.get_num_threads()
        torch.set_num_threads(program.threads)
        try:
            yield
        finally:
            torch.set_num_threads(before)
        return
    torch.set_num_threads(program.threads)
    keep_freed_memory()
    try:
        os.chdir(program.directory)
    except OSError as error:
        raise InputError(
            f"The folder {quote(Path(program.directory))}, from which the run was started, is not there on the machine "
            f"{socket.gethostname()} ({error.strerror}); run folder, images and working directory have to lie on a "
            f"file system that all machines see."
        ) from error
    yield


@lru_cache(maxsize=1)
def load_for(program: Program) -> Plugins:
    """The plugins of the program, with its objects; they are kept for its next piece of work."""
    # The objects come second: their classes may be in a file that is loaded as a plugin.
    plugins = load_plugins(program.settings, quiet=True)
    plugins = add_objects(plugins, pickle.loads(program.objects))  # noqa: S301 - from the program that this works for
    plugins.silence_observers()  # the program passes the events on that it reads in the journals
    return plugins


@lru_cache(maxsize=1)
def _open_context(program: Program) -> RunContext:
    """The run with its images, which are kept for the next training."""
    from nasplug.runs.context import reopen_context
    from nasplug.store.run_folder import RunFolder

    return reopen_context(RunFolder(Path(program.run)), load_for(program))


def _train(program: Program, task: Mapping[str, Any], token: WorkerToken) -> bool:
    # Here, because these import torch.
    from nasplug.runs.training import Stopped
    from nasplug.runs.training_task import TrainingTask
    from nasplug.runs.workers import train_alone
    from nasplug.store.events import ignore_event

    training = TrainingTask.from_dict(task)
    try:
        for _ in train_alone(_open_context(program), training, ignore_event, lambda: must_stop(token)):
            pass
    except Stopped:
        return False
    return True


def _this_process() -> tuple[str, int]:
    return socket.gethostname(), os.getpid()
