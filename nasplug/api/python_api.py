"""A run in the hands of a Python program: it happens while somebody looks."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import closing, suppress
from pathlib import Path
from typing import Any
from weakref import finalize

from nasplug.api.user_objects import call_of, extract_objects, match_objects
from nasplug.compose import read_config
from nasplug.errors import InputError, Interrupted, NasplugError
from nasplug.parts import SearchSpace
from nasplug.plugins import load_plugins
from nasplug.plugins.program_objects import resume_hint, with_objects
from nasplug.results.result import Result, load
from nasplug.results.torch_state import IsolatedTorchState
from nasplug.runs.context import RunContext, reopen_context
from nasplug.runs.create import start
from nasplug.runs.defaults import note_jobs, resolve_recipe
from nasplug.runs.pipeline import run_pipeline
from nasplug.runs.signals import Signals
from nasplug.runs.training import Progress
from nasplug.runs.workers import check_jobs
from nasplug.store.events import EventCallback, ignore_event
from nasplug.store.run_folder import RunFolder
from nasplug.values.recipe import Recipe

Show = Callable[[Iterable[Progress]], None]
"""Goes through the progress of a run to its end, and shows it."""


class Search:
    """A run that was started, or one that goes on.

    Iterating over it carries the run out and yields its events, the lines of `events.jsonl`, as they happen: each once,
    those of one phase in their order. Phases that run beside each other (`run.jobs`) take turns. Leaving the loop stops
    the run where it is, with everything saved; another loop, `result` or `nasplug.resume` goes on from there.

    Ctrl-C (the interrupt of a notebook) stops it after the present step and raises nasplug.errors.Interrupted; a second
    one stops at once, and what happened since the last checkpoint will happen again. nasplug.errors.RunFailure says
    that the run broke.
    """

    def __init__(self, context: RunContext, show: Show) -> None:
        self._folder = context.folder
        self._plugins = context.plugins
        self._recipe = context.recipe
        self._study: RunContext | None = context  # ready to go; later ones are opened anew
        self._show = show
        self._torch_state = IsolatedTorchState()
        self._happened: deque[dict[str, Any]] = deque()
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
        with closing(self._steps(self._note)) as steps:
            going = True
            while going:
                failure: BaseException | None = None
                try:
                    going = next(steps, None) is not None
                except (NasplugError, KeyboardInterrupt) as error:
                    failure = error
                while self._happened:
                    yield self._happened.popleft()
                if failure is not None:
                    raise failure

    def result(self, progress: bool = False) -> Result:
        """Carries out what is left of the run; with `progress` it is shown. What the run has come to: its networks."""
        steps = self._steps(ignore_event)
        self._happened.clear()
        if progress:
            self._show(steps)
        for _ in steps:
            pass
        return load(self.run, self._plugins)

    def _note(self, event: Mapping[str, Any]) -> None:
        self._happened.append(dict(event))

    def _steps(self, on_event: EventCallback) -> Generator[Progress, None, None]:
        """The run, step by step, each a turn between two of the program's own."""
        if self._under_way:
            raise InputError(f"'{self.run}' is under way in another loop; leave that one first.")
        if self._done:
            return
        with self._torch_state.active():
            context, self._study = self._study or reopen_context(self._folder, self._plugins), None
        signals = Signals()
        steps = run_pipeline(context, signals, on_event)
        leave = finalize(
            self, _leave, self._torch_state, steps
        )  # at the latest when the program ends, while it still can
        self._under_way = True
        try:
            while (step := self._turn(steps, signals)) is not None:
                yield step
            self._done = True
        except Interrupted:
            again = f"search.result() or another loop, or later {resume_hint(self._plugins, self.run)}"
            raise signals.interrupted(again) from None
        finally:
            leave()
            self._under_way = False

    def _turn(self, steps: Iterator[Progress], signals: Signals) -> Progress | None:
        with signals.watching(), self._torch_state.active():
            return next(steps, None)


def _leave(torch_state: IsolatedTorchState, steps: Generator[Progress, None, None]) -> None:
    """Stops a run between two steps; one that another thread is busy with just then cannot be helped."""
    with suppress(ValueError), torch_state.active():
        steps.close()


def begin(
    sections: Mapping[str, Mapping[str, Any]], out: str | Path | None, config: str | Path | None, show: Show
) -> Search:
    """A new run, ready to go: `sections` of a recipe, in which objects may stand where a recipe has names."""
    plugins = load_plugins()
    layer, objects = extract_objects(plugins, sections)
    plugins = with_objects(plugins, objects)
    layers = [*([read_config(Path(config).expanduser())] if config else []), layer]
    recipe = resolve_recipe(plugins, layers)
    check_jobs(plugins, recipe)
    call = call_of({**sections, **({"config": str(config)} if config else {})})
    with IsolatedTorchState().active():
        context = start(Path(out).expanduser() if out else None, plugins, recipe, [call])
    note_jobs(plugins, layers)
    return Search(context, show)


def open_result(run: str | Path, space: SearchSpace | None) -> Result:
    """The result of a run folder; `space` is the own space that it was started with, if there is one."""
    path = Path(run).expanduser()
    if space is None:
        return load(path)
    layer = RunFolder.existing(path).recipe_layer()
    return load(path, with_objects(load_plugins(), match_objects(layer, {"space": space})))


def resume_search(run: str | Path, given: Mapping[str, Any], show: Show) -> Search:
    """A run that was stopped, with the objects that it needs, by slot."""
    folder = RunFolder.existing(Path(run).expanduser())
    plugins = with_objects(load_plugins(), match_objects(folder.recipe_layer(), given))
    with IsolatedTorchState().active():
        context = reopen_context(folder, plugins)
    check_jobs(plugins, context.recipe)
    return Search(context, show)
