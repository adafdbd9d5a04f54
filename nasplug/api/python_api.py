"""Runs that a Python program starts, drives step by step and opens."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import Any
from weakref import finalize

from nasplug.api.user_objects import extract_objects, format_call, match_objects
from nasplug.compose import read_config, recipe_sections
from nasplug.errors import InputError, Interrupted, NasplugError
from nasplug.formats.regular_file import expand_home
from nasplug.parts import SearchSpace
from nasplug.plugins import load_plugins
from nasplug.plugins.program_objects import add_objects, resume_hint
from nasplug.results.result import Result, load
from nasplug.results.torch_state import IsolatedTorchState
from nasplug.runs.context import RunContext, reopen_context, show_notes
from nasplug.runs.create import start
from nasplug.runs.defaults import note_jobs, resolve_recipe
from nasplug.runs.pipeline import run_pipeline
from nasplug.runs.signals import Signals
from nasplug.runs.workers import check_executor
from nasplug.store.events import EventCallback, ignore_event
from nasplug.store.run_folder import RunFolder
from nasplug.values import Progress
from nasplug.values.recipe import Recipe

Show = Callable[[Iterable[Progress]], None]
"""Shows the progress of a run while it iterates over it to the end."""


class Search:
    """A run that was started or is resumed.

    Iterating over it carries the run out and yields its events, the lines of `events.jsonl`, as they happen: each once,
    those of one phase in their order. Phases that run beside each other (`run.jobs`) take turns. Leaving the loop stops
    the run where it is, with everything saved; another loop, `result` or `nasplug.resume` continues from there.

    Ctrl-C (the interrupt of a notebook) stops it after the present step and raises nasplug.errors.Interrupted; a third
    one stops at once, and what happened since the last checkpoint will happen again. nasplug.errors.RunFailure says
    that the run broke.
    """

    def __init__(self, context: RunContext, show: Show) -> None:
        self._folder = context.folder
        self._plugins = context.plugins
        self._recipe = context.recipe
        self._context: RunContext | None = context  # used up by the first loop; later ones reopen the run
        self._show = show
        self._torch_state = IsolatedTorchState()
        self._events: deque[dict[str, Any]] = deque()
        self._under_way = self._done = False

    @property
    def run(self) -> Path:
        """The run folder."""
        return self._folder.path

    @property
    def recipe(self) -> Recipe:
        """Everything that decides this run."""
        return self._recipe

    def __repr__(self) -> str:
        about = f"{self._recipe.run.method} on {self._recipe.data.name}"
        return f"<nasplug search of {about}, seed {self._recipe.run.seed}, in '{self.run}'>"

    def __iter__(self) -> Iterator[dict[str, Any]]:
        with closing(self._steps(self._add_event)) as steps:
            more = True
            while more:
                failure: BaseException | None = None
                try:
                    more = next(steps, None) is not None
                except (NasplugError, KeyboardInterrupt) as error:
                    failure = error
                while self._events:
                    yield self._events.popleft()
                if failure is not None:
                    raise failure

    def result(self, progress: bool = False) -> Result:
        """Carries out what is left of the run, with `progress` shown, and returns its networks."""
        steps = self._steps(ignore_event)
        self._events.clear()
        if progress:
            self._show(steps)
        for _ in steps:
            pass
        return load(self.run, self._plugins)

    def _add_event(self, event: Mapping[str, Any]) -> None:
        self._events.append(dict(event))

    def _steps(self, on_event: EventCallback) -> Generator[Progress, None, None]:
        """Carries out the run step by step, with its own torch state in each step, and yields the progress."""
        if self._under_way:
            raise InputError(f"'{self.run}' is under way in another loop; leave that one first.")
        if self._done:
            return
        with self._torch_state.active():
            context, self._context = self._context or reopen_context(self._folder, self._plugins), None
        signals = Signals()
        steps = run_pipeline(context, signals, on_event)
        close = finalize(
            self, _close_run, self._torch_state, steps
        )  # at the latest when the program ends, while it still can
        self._under_way = True
        try:
            while (step := self._run_step(steps, signals)) is not None:
                yield step
            self._done = True
        except Interrupted:
            remedy = f"search.result() or another loop, or later {resume_hint(self._plugins, self.run)}"
            raise signals.interrupted(remedy) from None
        finally:
            close()
            self._under_way = False

    def _run_step(self, steps: Iterator[Progress], signals: Signals) -> Progress | None:
        with signals.watching(), self._torch_state.active():
            return next(steps, None)


def _close_run(torch_state: IsolatedTorchState, steps: Generator[Progress, None, None]) -> None:
    """Stops a run between two steps. Does nothing if another thread is in the middle of a step."""
    with suppress(ValueError), torch_state.active():
        steps.close()


def begin(
    sections: Mapping[str, Mapping[str, Any]], out: str | Path | None, config: str | Path | None, show: Show
) -> Search:
    """Creates a run from `sections` of a recipe, in which objects may be in place of names."""
    plugins = load_plugins()
    layer, objects = extract_objects(plugins, sections)
    plugins = add_objects(plugins, objects)
    layers = [*([read_config(expand_home(config), recipe_sections(plugins))] if config else []), layer]
    recipe = resolve_recipe(plugins, layers)
    call = format_call({**sections, **({"config": str(config)} if config else {})})
    with IsolatedTorchState().active():
        context = start(expand_home(out) if out else None, plugins, recipe, [call])
    note_jobs(plugins, layers)
    show_notes(context)
    return Search(context, show)


def open_result(run: str | Path, space: SearchSpace | None) -> Result:
    """The result of a run folder; `space` is the object of a space that it was started with, if there was one."""
    path = expand_home(run)
    if space is None:
        return load(path)
    layer = RunFolder.existing(path).recipe_layer()
    return load(path, add_objects(load_plugins(), match_objects(layer, {"space": space})))


def resume_search(run: str | Path, given: Mapping[str, Any], show: Show) -> Search:
    """Reopens a run that was stopped; `given` has the objects that it needs by slot."""
    folder = RunFolder.existing(expand_home(run))
    plugins = add_objects(load_plugins(), match_objects(folder.recipe_layer(), given))
    with IsolatedTorchState().active():
        context = reopen_context(folder, plugins)
    check_executor(plugins, context.recipe)
    show_notes(context)
    return Search(context, show)
