"""The executor of a recipe, by its registered name or by the import path of a function."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nasplug.parts import TrainingExecutor
from nasplug.plugins import Plugins
from nasplug.plugins.program_objects import build_part
from nasplug.register import is_import_path
from nasplug.values.options import option_values
from nasplug.values.recipe import EXECUTOR, Part, Recipe

LOCAL = "local"
"""The executor that is taken where none is named."""
FACTORY = "factory"
"""That of a function which is named by its import path."""


def complete_executor(plugins: Plugins, name: str, options: Mapping[str, Any]) -> Part:
    """The executor `name` with all its options; InputError if no plugin registers it, or for options of another one.

    A name such as "package.module:function" whose first part is no distribution stands for the executor `factory`.
    """
    distributions = {registration.distribution for registration in plugins.registrations}
    if is_import_path(name) and name.partition(":")[0] not in distributions:
        name, options = FACTORY, {**options, "target": name}
    name = name or LOCAL
    return Part(name, option_values(build_part(plugins, EXECUTOR, name, options)))


def build_executor(plugins: Plugins, recipe: Recipe) -> TrainingExecutor:
    """The executor of a recipe."""
    executor: TrainingExecutor = build_part(plugins, EXECUTOR, recipe.executor.name, recipe.executor.options)
    return executor
