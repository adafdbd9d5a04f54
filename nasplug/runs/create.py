"""Starting a run: everything is checked before the first file is written."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nasplug.compose import OptionLayer, recipe_sections, resolve_recorded
from nasplug.engine.ranks import ALONE, Ranks
from nasplug.plugins import Plugins
from nasplug.runs.context import RunContext, look_closely, new_context, write_start
from nasplug.runs.device import find_device
from nasplug.runs.given_teacher import provide_teacher
from nasplug.runs.memory import paused_collection
from nasplug.runs.search import rehearse
from nasplug.runs.tabular import adopt_table
from nasplug.runs.workers import check_executor
from nasplug.store.lock import AlreadyRunning, lock_run
from nasplug.store.run_folder import RunFolder
from nasplug.values.checksum import recipe_was_changed
from nasplug.values.recipe import EXECUTOR, Recipe


def start(out: Path | None, plugins: Plugins, recipe: Recipe, words: list[str], ranks: Ranks = ALONE) -> RunContext:
    """Creates a run in `out`, ready for its phases. Raises InputError if it cannot be carried out."""
    check_executor(plugins, recipe)
    with new_folder(out) as folder:
        context = new_context(folder, plugins, recipe, ranks)
        provide_teacher(context)
        adopt_table(context)
        with paused_collection():
            rehearse(context)
        context = look_closely(context)
        write_start(context, words)
    return context


@contextmanager
def new_folder(out: Path | None) -> Iterator[RunFolder]:
    """A new run folder, locked while the block fills it; whatever ends the block early, nothing is left of it.

    What a process that was killed in such a block has left is removed. Raises InputError if `out` is in use.
    """
    folder = RunFolder.create(out)
    try:
        with lock_run(folder):
            folder.begin()
            yield folder
            folder.unfinished.unlink()
    except AlreadyRunning:
        raise
    except BaseException:
        folder.discard()
        raise


def change_run_options(folder: RunFolder, plugins: Plugins, changes: OptionLayer) -> None:
    """Changes for good how a run that was started before is carried out, such as its device or its executor.

    `changes` are options of the machine, in the sections `run`, `data` and `executor`. An executor that is named does
    not have the options of the one before. Raises InputError for values that cannot be had, and if another process
    carries out the run.
    """
    folder.check_recipe()
    sections = folder.recipe()
    was_changed = recipe_was_changed(sections)
    for name, options in changes.items():
        before = {} if name == EXECUTOR and "part" in options else sections.get(name, {})
        sections[name] = {**before, **options}
    known = recipe_sections(plugins)
    recipe = resolve_recorded(plugins, {name: sections[name] for name in sections if name in known}, folder.path)
    sections[EXECUTOR] = recipe.executor.to_dict()
    find_device(recipe.run.device)
    check_executor(plugins, recipe)
    with lock_run(folder):
        folder.write_recipe(sections, was_changed=was_changed)
