"""Results of networks from the table of a benchmark, in place of training them (`--table`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from nasplug.errors import InputError, command, quote
from nasplug.formats.regular_file import read_file
from nasplug.runs.context import RunContext
from nasplug.runs.training import no_cost
from nasplug.store.files import write_atomically
from nasplug.store.networks import PlannedNetwork
from nasplug.values import Genotype, KnownResult, Progress
from nasplug.values.checksum import checksum


def adopt_table(context: RunContext) -> None:
    """Copies the table that the recipe names, if any, into the run, so that the run does not depend on other files.

    InputError if it is damaged or does not fit the run's space and data.
    """
    name = context.recipe.run.table
    if not name:
        return
    _check_fit(context)
    content = read_file(Path(name), "table")
    _read_results(context, content)
    write_atomically(context.folder.table, content)
    context.folder.finish("table", {"content": checksum([content])})


def look_up(context: RunContext, plans: Sequence[PlannedNetwork]) -> Iterator[Progress]:
    """Records the errors of every unfinished network that the run's table holds; the others are left to be trained."""
    size = context.composition.space.table_size
    left = [plan for plan in plans if context.folder.done(plan.phase) is None and dict(plan.size) == size]
    if not (context.recipe.run.table and left):
        return
    try:
        content = read_file(context.folder.table, "table")
    except InputError as error:
        raise InputError(f"{error} Restore it from a copy of the run.") from error
    record = context.folder.done("table")  # None in runs of 0.1
    if record is not None and record.get("content") != checksum([content]):
        raise InputError(
            f"'{context.folder.table}' is damaged: its content does not match its checksum; restore it from a copy of "
            f"the run, or copy the table again: {command('retrain', context.folder.path)} --set run.table=FILE"
        )
    results = _read_results(context, content)
    for plan in left:
        if plan.genotype is not None and plan.genotype in results:
            known = results[plan.genotype]
            errors = {"val_error": known.val_error, "test_error": known.test_error, "train_loss": None}
            context.folder.finish(plan.phase, {"source": "table", **errors, "cost": no_cost(context)})
            yield Progress(plan.phase, 1, 1, "looked up in the table")


def _check_fit(context: RunContext) -> None:
    if context.composition.space.table_size is None:
        raise _no_tables(context)
    if len(context.splits.validation) == 0:
        raise InputError(
            "Networks of a table have validation errors, and networks that are trained without validation images "
            "cannot be compared with them; set data.validation=0.1, or leave --table out."
        )


def _read_results(context: RunContext, content: bytes) -> Mapping[Genotype, KnownResult]:
    try:
        results = context.composition.space.read_results(content, _data_name(context), context.shape)
    except InputError as error:
        raise InputError(
            f"The table {quote(Path(context.recipe.run.table))} cannot be used: {str(error).rstrip('.')}."
        ) from error
    if results is None:
        raise _no_tables(context)
    return results


def _no_tables(context: RunContext) -> InputError:
    """The refusal of a table for a space that knows none; it names the spaces that do."""
    plugins = context.plugins
    spaces = {
        registration.name
        for registration in plugins.registrations
        if registration.slot == "space" and plugins.resolve(registration).table_size is not None
    }
    names = sorted(spaces) or ["none"]
    return InputError(
        f"--table holds architectures of the space {' or '.join(map(repr, names))}, but the space is "
        f"'{context.composition.space.name}'; add --space {' or '.join(names)}, or leave --table out."
    )


def _data_name(context: RunContext) -> str:
    """What the data set is called; a user's own folder or file goes by its name."""
    recipe = context.recipe
    return Path(recipe.location).stem if recipe.location else recipe.source.name.rpartition(":")[2]
