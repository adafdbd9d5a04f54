"""Looking networks up in the table of a benchmark instead of training them (`--table`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from nasplug.builtin.nb201 import NasBench201
from nasplug.builtin.nb201.table import SIZE, Errors, find_data_set, read_table
from nasplug.errors import InputError
from nasplug.runs.context import RunContext
from nasplug.runs.training import Progress, no_cost
from nasplug.store.files import write_atomically
from nasplug.store.networks import PlannedNetwork
from nasplug.values import Genotype


def adopt_table(context: RunContext) -> None:
    """Copies the table that the recipe names, if any, into the run, so that the run stands on its own.

    InputError if it is damaged or does not fit the run's space and data.
    """
    name = context.recipe.run.table
    if not name:
        return
    _check_fit(context)
    try:
        content = Path(name).read_bytes()
    except OSError as error:
        raise InputError(f"The table '{name}' cannot be read: {error.strerror}.") from error
    _read(context, content)
    write_atomically(context.folder.table, content)


def look_up(context: RunContext, plans: Sequence[PlannedNetwork]) -> Iterator[Progress]:
    """Records the errors of every unfinished network that the run's table holds; the others are left to be trained."""
    left = [plan for plan in plans if context.folder.done(plan.phase) is None and dict(plan.size) == SIZE]
    if not (context.recipe.run.table and left):
        return
    try:
        content = context.folder.table.read_bytes()
    except OSError as error:
        raise InputError(f"'{context.folder.table}' cannot be read: {error.strerror}; restore it.") from error
    table = _read(context, content)
    for plan in left:
        if plan.genotype in table:
            errors = table[plan.genotype]
            found = {"source": "table", "val_error": errors.validation, "test_error": errors.test, "train_loss": None}
            context.folder.finish(plan.phase, {**found, "cost": no_cost(context)})
            yield Progress(plan.phase, 1, 1, "looked up in the table")


def _check_fit(context: RunContext) -> None:
    space = context.composition.space
    if not isinstance(space, NasBench201):
        raise InputError(
            f"--table holds architectures of the space '{NasBench201.name}', but the space is '{space.name}'; add "
            f"--space {NasBench201.name}, or leave --table out."
        )
    if len(context.splits.validation) == 0:
        raise InputError(
            "Networks of a table have validation errors, and networks that are trained without validation images "
            "cannot be compared with them; set data.validation=0.1, or leave --table out."
        )


def _read(context: RunContext, content: bytes) -> Mapping[Genotype, Errors]:
    data = find_data_set(_data_name(context), context.shape)
    try:
        return read_table(content, data)
    except InputError as error:
        raise InputError(f"The table '{context.recipe.run.table}' cannot be used: {str(error).rstrip('.')}.") from error


def _data_name(context: RunContext) -> str:
    """What the data set is called; a user's own folder or file goes by its name."""
    recipe = context.recipe
    return Path(recipe.location).stem if recipe.location else recipe.source.name.rpartition(":")[2]
