"""Builds the parts of a recipe and refuses those that do not fit together, before any training."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random
from typing import Any

import attrs

from nasplug.compose.recorded_size import check_recorded_size
from nasplug.compose.references import build_reference
from nasplug.errors import InputError
from nasplug.parts import (
    ArchitectureOptimizer,
    CostMeasure,
    DataSource,
    DistillationTeacher,
    PruningSchedule,
    ReferenceNetwork,
    SearchSpace,
    Selector,
    supernet_spaces,
)
from nasplug.plugins import Plugins
from nasplug.values.options import build
from nasplug.values.recipe import Part, Recipe, RetrainOptions


@attrs.frozen
class Composition:
    """The parts of one run, built from its recipe."""

    recipe: Recipe
    space: SearchSpace
    optimizer: ArchitectureOptimizer
    schedule: PruningSchedule
    teacher: DistillationTeacher
    selector: Selector
    source: DataSource
    costs: Mapping[str, CostMeasure]
    """By name, the cost measures that the run uses beside params and MACs."""
    references: Mapping[str, ReferenceNetwork]
    """By name, the reference networks that the run compares with."""


def compose(plugins: Plugins, recipe: Recipe) -> Composition:
    """Builds the parts of `recipe`; InputError names the parts that would fit where two do not."""

    def build_slot(slot: str, part: Part) -> Any:
        return build(plugins.resolve(plugins.find(slot, part.name)), part.options, f"{slot} {part.name}")

    composition = Composition(
        recipe=recipe,
        source=build_slot("dataset", recipe.source),
        costs={name: build_slot("cost", part) for name, part in recipe.costs.items()},
        references={name: build_reference(plugins, name, part.options) for name, part in recipe.references.items()},
        **{slot: build_slot(slot, part) for slot, part in recipe.parts.items()},
    )
    _check_fit(plugins, composition)
    return composition


def _check_fit(plugins: Plugins, composition: Composition) -> None:
    names = {slot: part.name for slot, part in composition.recipe.parts.items()}
    optimizer, schedule, teacher = composition.optimizer, composition.schedule, composition.teacher
    selector = composition.selector
    if schedule.ranks_candidates and not optimizer.learns_alpha:
        raise InputError(
            f"The schedule '{names['schedule']}' ranks candidates by alpha, which the optimizer '{names['optimizer']}' "
            f"does not learn. Optimizers that fit: {_list_names(plugins, 'optimizer', lambda cls: cls.learns_alpha)}; "
            f"schedules that fit: {_list_names(plugins, 'schedule', lambda cls: not cls.ranks_candidates)}."
        )
    if not optimizer.trains and teacher.distils:
        raise InputError(
            f"The teacher '{names['teacher']}' guides the training of a supernet, but the optimizer "
            f"'{names['optimizer']}' trains none. Optimizers that fit: "
            f"{_list_names(plugins, 'optimizer', lambda cls: cls.trains)}; teachers that fit: "
            f"{_list_names(plugins, 'teacher', lambda cls: not cls.distils)}."
        )
    if selector.decodes and not (optimizer.decides or schedule.takes_snapshots):
        raise InputError(
            f"Neither the optimizer '{names['optimizer']}' nor the schedule '{names['schedule']}' settles on an "
            f"architecture, which is what the selector '{names['selector']}' takes, so a search with them finds "
            f"nothing. Optimizers that do: {_list_names(plugins, 'optimizer', lambda cls: cls.decides)}; schedules "
            f"that do: {_list_names(plugins, 'schedule', lambda cls: cls.takes_snapshots)}; selectors that fit: "
            f"{_list_names(plugins, 'selector', lambda cls: not cls.decodes)}."
        )
    if selector.needs_supernet and not optimizer.trains:
        raise InputError(
            f"The selector '{names['selector']}' needs a trained supernet, but the optimizer '{names['optimizer']}' "
            f"trains none. Optimizers that fit: {_list_names(plugins, 'optimizer', lambda cls: cls.trains)}; selectors "
            f"that fit: {_list_names(plugins, 'selector', lambda cls: not cls.needs_supernet)}."
        )
    if selector.evaluates and teacher.blockwise:
        raise InputError(
            f"The selector '{names['selector']}' evaluates the supernet as a whole, which the teacher "
            f"'{names['teacher']}' trains block by block. Selectors that fit: "
            f"{_list_names(plugins, 'selector', lambda cls: not cls.evaluates)}; teachers that fit: "
            f"{_list_names(plugins, 'teacher', lambda cls: not cls.blockwise)}."
        )
    if composition.recipe.search.balance == "weights" and not teacher.weighs_classes:
        raise InputError(
            f"search.balance=weights gives classes weights in the loss, which the teacher '{names['teacher']}' has no "
            f"place for; set search.balance=sampling. Teachers that fit: "
            f"{_list_names(plugins, 'teacher', lambda cls: cls.weighs_classes)}."
        )
    if teacher.blockwise:
        _check_blocks(plugins, composition.space, names)
    supernet_spaces(schedule, composition.space)
    teacher.check(composition.space)
    optimizer.check(composition.space, composition.recipe.search)
    selector.check(composition.space)
    if composition.recipe.retrain.auxiliary > 0 and not composition.space.auxiliary_heads:
        raise InputError(
            f"Networks of the space '{names['space']}' have no auxiliary head; set retrain.auxiliary=0. Spaces with "
            f"one: {_list_names(plugins, 'space', lambda cls: cls.auxiliary_heads)}."
        )
    _check_sizes(composition.space, composition.recipe.retrain)


def _check_blocks(plugins: Plugins, space: SearchSpace, names: dict[str, str]) -> None:
    shared = next((choice for choice in space.choice_list() if len(choice.blocks) > 1), None)
    if shared is None:
        return
    remedy = " ".join(f"--set space.{option}={value}" for option, value in space.unshared.items())
    raise InputError(
        f"The teacher '{names['teacher']}' trains every block on its own, but the choice '{shared.name}' of the space "
        f"'{names['space']}' is shared by blocks {', '.join(map(str, shared.blocks))}. "
        + (f"Give each block choices of its own: {remedy}." if remedy else "This space always shares its choices.")
        + f" Teachers that fit as it is: {_list_names(plugins, 'teacher', lambda cls: not cls.blockwise)}."
    )


def _check_sizes(space: SearchSpace, retrain: RetrainOptions) -> None:
    """Retraining comes after the search: a size that the space does not have must not wait until then."""
    for channels in (retrain.channels, *retrain.widths):
        try:
            resized = space.scaled(channels=channels, cells=retrain.cells)
            resized.check(space.random(Random(0)))  # any genotype tells whether those of this space can be resized so
        except InputError as error:
            raise InputError(f"retrain.channels, retrain.cells or retrain.widths: {error}") from error
        check_recorded_size(space, resized)


def _list_names(plugins: Plugins, slot: str, fits: Callable[[Any], bool]) -> str:
    registrations = [registration for registration in plugins.registrations if registration.slot == slot]
    names = {registration.name for registration in registrations if fits(plugins.resolve(registration))}
    return ", ".join(sorted(names)) or "none"
