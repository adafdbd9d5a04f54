"""Looking networks up in the table of a benchmark instead of training them (`--table`)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from nasplug.builtin.nb201 import NasBench201
from nasplug.builtin.nb201.table import SIZE, Errors, find_data_set, read_table
from nasplug.checkpoint import write_atomically
from nasplug.errors import InputError
from nasplug.phases.networks import Plan
from nasplug.phases.study import Study
from nasplug.phases.training import Progress, no_cost
from nasplug.values import Genotype


def adopt_table(study: Study) -> None:
    """Copies the table that the recipe names, if any, into the run, so that the run stands on its own.

    InputError if it is damaged or does not fit the run's space and data.
    """
    name = study.recipe.run.table
    if not name:
        return
    _check_fit(study)
    try:
        content = Path(name).read_bytes()
    except OSError as error:
        raise InputError(f"The table '{name}' cannot be read: {error.strerror}.") from error
    _read(study, content)
    write_atomically(study.folder.table, content)


def look_up(study: Study, plans: Sequence[Plan]) -> Iterator[Progress]:
    """Records the errors of every unfinished network that the run's table holds; the others are left to be trained."""
    left = [plan for plan in plans if study.folder.done(plan.phase) is None and dict(plan.size) == SIZE]
    if not (study.recipe.run.table and left):
        return
    try:
        content = study.folder.table.read_bytes()
    except OSError as error:
        raise InputError(f"'{study.folder.table}' cannot be read: {error.strerror}; restore it.") from error
    table = _read(study, content)
    for plan in left:
        if plan.genotype in table:
            errors = table[plan.genotype]
            found = {"source": "table", "val_error": errors.validation, "test_error": errors.test, "train_loss": None}
            study.folder.finish(plan.phase, {**found, "cost": no_cost(study)})
            yield Progress(plan.phase, 1, 1, "looked up in the table")


def _check_fit(study: Study) -> None:
    space = study.composition.space
    if not isinstance(space, NasBench201):
        raise InputError(
            f"--table holds architectures of the space '{NasBench201.name}', but the space is '{space.name}'; add "
            f"--space {NasBench201.name}, or leave --table out."
        )
    if len(study.splits.validation) == 0:
        raise InputError(
            "Networks of a table have validation errors, and networks that are trained without validation images "
            "cannot be compared with them; set data.validation=0.1, or leave --table out."
        )


def _read(study: Study, content: bytes) -> Mapping[Genotype, Errors]:
    data = find_data_set(_data_name(study), study.shape)
    try:
        return read_table(content, data)
    except InputError as error:
        raise InputError(f"The table '{study.recipe.run.table}' cannot be used: {str(error).rstrip('.')}.") from error


def _data_name(study: Study) -> str:
    """What the data set is called; a user's own folder or file goes by its name."""
    recipe = study.recipe
    return Path(recipe.location).stem if recipe.location else recipe.source.name.rpartition(":")[2]
