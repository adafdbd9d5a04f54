"""Starting a run: everything is checked before the first file is written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from nasplug.compose import recipe_sections, resolve_recorded
from nasplug.errors import InputError, command
from nasplug.plugins import Plugins
from nasplug.runs.context import RunContext, new_context, write_start
from nasplug.runs.device import find_device
from nasplug.runs.memory import paused_collection
from nasplug.runs.search import rehearse
from nasplug.runs.tabular import adopt_table
from nasplug.store.files import write_atomically
from nasplug.store.lock import AlreadyRunning, lock_run
from nasplug.store.networks import load_network
from nasplug.store.result import read_result
from nasplug.store.run_folder import RunFolder
from nasplug.values.recipe import Recipe


def start(out: Path | None, plugins: Plugins, recipe: Recipe, words: list[str]) -> RunContext:
    """Creates a run in `out`, ready for its phases. Raises InputError if it cannot be carried out."""
    with new_folder(out) as folder:
        context = new_context(folder, plugins, recipe)
        if recipe.run.teacher_from:
            borrow_teacher(context, Path(recipe.run.teacher_from))
        adopt_table(context)
        with paused_collection():
            rehearse(context)
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


def borrow_teacher(context: RunContext, source: Path) -> None:
    """Copies the network of a run or weights file into the run, so that the run stands on its own.

    Of a run it takes the teacher, if it trained one, else its best network. InputError if there is neither, if it was
    trained on other images or has weights that are not finite, or if the method's teacher wants no network.
    """
    name = context.recipe.parts["teacher"].name
    if context.teacher() is None:
        raise InputError(f"--teacher-from names a network, but the teacher '{name}' uses none; try --teacher features.")
    path = _find_network(source)
    facts = load_network(path, context.plugins)[1]
    if "reference" in facts:
        raise InputError(
            f"The network of '{source}' is the reference network '{facts['reference']['part']}', and a teacher is a "
            f"network of a search space; name another one."
        )
    trained_on, needed = facts["data"], context.preprocessing()
    for key in ("classes", "channels", "size"):
        if trained_on[key] != needed[key]:
            raise InputError(
                f"The teacher '{source}' was trained for {key} {trained_on[key]}, but '{context.data.name}' has "
                f"{needed[key]}; name a network trained on such images."
            )
    write_atomically(context.folder.teacher, path.read_bytes())


def _find_network(source: Path) -> Path:
    if source.is_file():
        return source
    if not source.exists():
        raise InputError(f"There is no '{source}'; --teacher-from takes the folder of a run or a weights file.")
    folder = RunFolder.existing(source)
    if folder.teacher.is_file():
        return folder.teacher
    best = read_result(source).best
    if best is None:
        raise InputError(f"The run '{source}' has no trained network yet; finish it: {command('resume', source)}")
    if not folder.weights(best).is_file():
        raise InputError(f"The best network of '{source}', {best}, has no weights; name a weights file of the run.")
    return folder.weights(best)
