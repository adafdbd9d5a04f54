"""Starting a run: everything is checked before the first file is written."""

from __future__ import annotations

from pathlib import Path

from nasplug.errors import InputError, NasplugError
from nasplug.plugins import Plugins
from nasplug.runs.context import RunContext, new_context, write_start
from nasplug.runs.search import rehearse
from nasplug.runs.tabular import adopt_table
from nasplug.store.files import write_atomically
from nasplug.store.networks import load_network
from nasplug.store.result import read_result
from nasplug.store.run_folder import RunFolder
from nasplug.values.recipe import Recipe


def start(out: Path | None, plugins: Plugins, recipe: Recipe, command: list[str]) -> RunContext:
    """Creates a run in `out`, ready for its phases. Raises InputError if it cannot be carried out."""
    folder = RunFolder.create(out)
    try:
        context = new_context(folder, plugins, recipe)
        if recipe.run.teacher_from:
            borrow_teacher(context, Path(recipe.run.teacher_from))
        adopt_table(context)
        rehearse(context)
        write_start(context, command)
    except NasplugError:
        folder.discard()
        raise
    return context


def borrow_teacher(context: RunContext, source: Path) -> None:
    """Copies the network of a run or weights file into the run, so that the run stands on its own.

    Of a run it takes the teacher, if it trained one, else its best network. InputError if there is neither, if it was
    trained on other images or has weights that are not finite, or if the method's teacher wants no network.
    """
    name = context.recipe.parts["teacher"].name
    if context.teacher() is None:
        raise InputError(f"--teacher-from names a network, but the teacher '{name}' uses none; try --teacher features.")
    path = _find_network(source)
    net, facts = load_network(path, context.plugins)
    trained_on, needed = facts["data"], context.preprocessing()
    for key in ("classes", "channels", "size"):
        if trained_on[key] != needed[key]:
            raise InputError(
                f"The teacher '{source}' was trained for {key} {trained_on[key]}, but '{context.data.name}' has "
                f"{needed[key]}; name a network trained on such images."
            )
    if not all(bool(tensor.isfinite().all()) for tensor in net.state_dict().values()):
        raise InputError(
            f"The teacher '{source}' has weights that are not finite; name a network whose training did not diverge."
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
        raise InputError(f"The run '{source}' has no trained network yet; finish it: nasplug resume {source}")
    if not folder.weights(best).is_file():
        raise InputError(f"The best network of '{source}', {best}, has no weights; name a weights file of the run.")
    return folder.weights(best)
