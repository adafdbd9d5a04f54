"""Many runs that differ in method, space or seed: which of them are finished, and how they are carried out."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

import attrs

from nasplug.compose import build_executor
from nasplug.errors import InputError, Interrupted, NasplugError
from nasplug.parts import Workload
from nasplug.plugins import Plugins
from nasplug.runs.context import reopen_context
from nasplug.runs.device import find_device
from nasplug.runs.executor_calls import Call, ExecutorCalls
from nasplug.runs.pipeline import run_pipeline
from nasplug.runs.same_run import refuse_other_run
from nasplug.runs.signals import ShouldStop, Signals
from nasplug.runs.worker import Outcome, Program, load_for, must_stop, work_alone
from nasplug.store.lock import PHASE_PATIENCE, is_under_way
from nasplug.store.result import RESULT, read_result
from nasplug.store.run_folder import RunFolder
from nasplug.store.run_state import is_run
from nasplug.store.worker_token import WorkerToken
from nasplug.values import Progress
from nasplug.values.recipe import Recipe, decisive_options

POLL_SECONDS = 0.2
"""Time between two looks at whether a run has to be stopped."""


@attrs.frozen
class SweepRun:
    """One run of a sweep."""

    folder: Path
    recipe: Recipe
    """What is asked for."""
    status: Literal["new", "stopped", "finished"]
    """Whether its folder holds nothing yet, a run that can be resumed, or one that is done."""


def plan_sweep(plugins: Plugins, recipes: Mapping[Path, Recipe]) -> list[SweepRun]:
    """What there is to do for the recipe of every folder.

    Raises InputError if a folder holds a run with another recipe, or if two of the recipes, but for the name of their
    method, are the same: then options override everything in which the methods differ.
    """
    folders: dict[str, Path] = {}
    for folder, recipe in recipes.items():
        sections = decisive_options(recipe.to_dict())
        sections["run"].pop("method")
        twin = folders.setdefault(repr(sections), folder)
        if twin != folder:
            raise InputError(
                f"'{twin.name}' and '{folder.name}' would be the same run: the options of this sweep replace "
                f"everything in which '{recipes[twin].run.method}' and '{recipe.run.method}' differ; leave out one of "
                f"the methods, or the parts that --config or other options name."
            )
    return [SweepRun(folder, recipe, _find_status(plugins, folder, recipe)) for folder, recipe in recipes.items()]


def _find_status(plugins: Plugins, folder: Path, recipe: Recipe) -> Literal["new", "stopped", "finished"]:
    if not is_run(folder):
        return "new"
    refuse_other_run(plugins, folder, recipe)
    is_done = (folder / RESULT).is_file() and read_result(folder).status == "done"
    return "finished" if is_done else "stopped"


def carry_out(folder: Path, should_stop: ShouldStop) -> int:
    """Carries out a run that was started, in a process of its own, and returns the exit code of that process.

    So a run has its own peak of memory, and whatever ends it ends nothing else. Its output goes where that of this
    process goes. Where `should_stop` says so, it is stopped at its next step and can be resumed.
    """
    words = [sys.executable, "-P", "-m", "nasplug", "resume", str(folder.absolute())]
    process = subprocess.Popen(words)  # noqa: S603 - this program itself
    is_told = False
    while True:
        try:
            return process.wait(POLL_SECONDS)
        except subprocess.TimeoutExpired:
            # A terminal sends Ctrl-C to both processes, and of several signals the first decides how a run ends, so
            # that this one then changes nothing. On Windows it would end the process at once.
            if should_stop() and not is_told and sys.platform != "win32":
                process.terminate()
                is_told = True


class TokenSignals(Signals):
    """Stops a run when the program that has asked for it does."""

    def __init__(self, token: WorkerToken) -> None:
        super().__init__()
        self._token = token

    def __call__(self) -> bool:
        """Whether the run must stop at this step."""
        return super().__call__() or must_stop(self._token)


def carry_out_by_executor(
    plugins: Plugins,
    recipe: Recipe,
    out: Path,
    folders: Sequence[Path],
    should_stop: ShouldStop,
    resume_hint: str,
    on_failure: Callable[[str, NasplugError], None],
) -> Iterator[Progress]:
    """Carries out runs that were started, each whole in a process of the executor that `recipe` names.

    `run.jobs` of them are under way at a time. A run that fails, by its folder's name, goes to `on_failure`. Returns
    early, with all runs stopped, if `should_stop` says so.
    """
    executor, run = build_executor(plugins, recipe), recipe.run
    workload = Workload(run.jobs, str(find_device(run.device)), out.resolve())
    token = WorkerToken.issue(out)
    program = Program.here(out, plugins, token, executor.threads)
    calls = [Call(folder.name, carry_out_run, (program, str(folder.resolve())), folder / RESULT) for folder in folders]
    work = ExecutorCalls(
        recipe.executor.name,
        executor,
        workload,
        run.retries,
        token,
        resume_hint,
        doing="carried out a run",
        on_failure=lambda call, error: on_failure(call.name, error),
    )
    left, shown = list(folders), -1
    for _ in work.carry_out(calls, should_stop):
        states = {folder: _read_status(folder) for folder in left}
        left = [folder for folder, status in states.items() if status != "done"]
        if (done := len(folders) - len(left)) != shown:
            shown = done
            running = [folder.name for folder, status in states.items() if status == "running"]
            yield Progress("runs", done, len(folders), ", ".join(running))


def carry_out_run(program: Program, folder: str) -> Outcome:
    """Carries out a run in this process, from where it stands."""
    return work_alone(program, lambda token: _carry_out(program, Path(folder), token))


def _carry_out(program: Program, folder: Path, token: WorkerToken) -> bool:
    deadline = time.monotonic() + PHASE_PATIENCE
    while is_under_way(folder) and time.monotonic() < deadline:  # by a process that was told to stop
        if must_stop(token):
            return False
        time.sleep(POLL_SECONDS)
    try:
        for _ in run_pipeline(reopen_context(RunFolder(folder), load_for(program)), TokenSignals(token)):
            pass
    except Interrupted:
        return False
    return True


def _read_status(folder: Path) -> str:
    return read_result(folder).status if (folder / RESULT).is_file() else ""
