"""Starting a run: everything is checked before the first file is written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nasplug.compose import recipe_sections, resolve_recorded
from nasplug.engine.ranks import ALONE, Ranks
from nasplug.plugins import Plugins
from nasplug.runs.context import RunContext, look_closely, new_context, write_start
from nasplug.runs.device import find_device
from nasplug.runs.given_teacher import provide_teacher
from nasplug.runs.memory import paused_collection
from nasplug.runs.search import rehearse
from nasplug.runs.tabular import adopt_table
from nasplug.store.lock import AlreadyRunning, lock_run
from nasplug.store.run_folder import RunFolder
from nasplug.values.recipe import Recipe


def start(out: Path | None, plugins: Plugins, recipe: Recipe, words: list[str], ranks: Ranks = ALONE) -> RunContext:
    """Creates a run in `out`, ready for its phases. Raises InputError if it cannot be carried out."""
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


def change_run_options(folder: RunFolder, plugins: Plugins, changes: Mapping[str, Any]) -> None:
    """Changes options of the section `run` of a run that was started before, such as its device, for good.

    Raises InputError for values that cannot be had, and if another process carries out the run.
    """
    folder.check_recipe()
    sections = folder.recipe()
    sections["run"] |= changes
    known = recipe_sections(plugins)
    resolve_recorded(plugins, {name: sections[name] for name in sections if name in known}, folder.path)
    find_device(sections["run"]["device"])
    with lock_run(folder):
        folder.write_recipe(sections)
