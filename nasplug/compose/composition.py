"""Parts that fit together; what does not is refused before any training."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import attrs

from nasplug.errors import InputError
from nasplug.parts import ArchitectureOptimizer, DataSource, DistillationTeacher, PruningSchedule, SearchSpace
from nasplug.plugins import Plugins
from nasplug.values.options import build
from nasplug.values.recipe import Part, Recipe, Retraining


@attrs.frozen
class Composition:
    """The parts of one run, built from its recipe."""

    recipe: Recipe
    space: SearchSpace
    optimizer: ArchitectureOptimizer
    schedule: PruningSchedule
    teacher: DistillationTeacher
    source: DataSource


def compose(plugins: Plugins, recipe: Recipe) -> Composition:
    """Builds the parts of `recipe`; InputError names the parts that would fit where two do not."""

    def make(slot: str, part: Part) -> Any:
        return build(plugins.resolve(plugins.find(slot, part.name)), part.options, f"{slot} {part.name}")

    composition = Composition(
        recipe=recipe,
        source=make("dataset", recipe.source),
        **{slot: make(slot, part) for slot, part in recipe.parts.items()},
    )
    _check_fit(plugins, composition)
    return composition


def _check_fit(plugins: Plugins, composition: Composition) -> None:
    names = {slot: part.name for slot, part in composition.recipe.parts.items()}
    optimizer, schedule, teacher = composition.optimizer, composition.schedule, composition.teacher
    if schedule.ranks_candidates and not optimizer.learns_alpha:
        raise InputError(
            f"The schedule '{names['schedule']}' ranks candidates by alpha, which the optimizer '{names['optimizer']}' "
            f"does not learn. Optimizers that fit: {_fitting(plugins, 'optimizer', lambda cls: cls.learns_alpha)}; "
            f"schedules that fit: {_fitting(plugins, 'schedule', lambda cls: not cls.ranks_candidates)}."
        )
    if not optimizer.trains and teacher.distils:
        raise InputError(
            f"The teacher '{names['teacher']}' guides the training of a supernet, but the optimizer "
            f"'{names['optimizer']}' trains none. Optimizers that fit: "
            f"{_fitting(plugins, 'optimizer', lambda cls: cls.trains)}; teachers that fit: "
            f"{_fitting(plugins, 'teacher', lambda cls: not cls.distils)}."
        )
    optimizer.check(composition.recipe.search)
    _check_sizes(composition.space, composition.recipe.retrain)


def _check_sizes(space: SearchSpace, retrain: Retraining) -> None:
    """Retraining comes after the search: a size that the space does not have must not wait until then."""
    try:
        for channels in (retrain.channels, *retrain.widths):
            resized = space.scaled(channels=channels, cells=retrain.cells)
            resized.check(space.random(Random(0)))  # any genotype tells whether those of this space can be resized so
    except InputError as error:
        raise InputError(f"retrain.channels, retrain.cells or retrain.widths: {error}") from error


def _fitting(plugins: Plugins, slot: str, fits: Callable[[Any], bool]) -> str:
    names = {each.name for each in plugins.registrations if each.slot == slot and fits(plugins.resolve(each))}
    return ", ".join(sorted(names)) or "none"
