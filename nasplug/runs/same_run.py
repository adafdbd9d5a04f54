"""Whether a folder holds the run that is asked for: the options that decide what a run computes are the same."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from nasplug.compose import OptionLayer, resolve_recorded
from nasplug.errors import InputError, quote
from nasplug.plugins import Plugins
from nasplug.runs.create import change_run_options
from nasplug.store.run_folder import RunFolder
from nasplug.values.recipe import EXECUTOR, MACHINE, Recipe, decisive_options

SHOWN = 3
"""Differences that a message names, at most."""


def refuse_other_run(plugins: Plugins, folder: Path, asked: Recipe) -> None:
    """Raises InputError if the run in `folder` has another recipe than the one that is asked for."""
    recorded = resolve_recorded(plugins, RunFolder.existing(folder).recipe_layer(), folder)
    left_to_images = plugins.resolve(plugins.find("dataset", asked.source.name)).chosen_from_images
    if differences := list(find_differences(recorded, asked, left_to_images)):
        more = len(differences) - SHOWN
        named = "; ".join(differences[:SHOWN]) + (f"; and {more} more" if more > 0 else "")
        raise InputError(
            f"{quote(folder)} holds a run with another recipe: {named}. Ask for the same options, or name another "
            f"folder with --out."
        )


def find_differences(recorded: Recipe, asked: Recipe, left_to_images: Collection[str] = ()) -> Iterator[str]:
    """In which options that decide what a run computes two recipes differ, in words.

    What is asked for may leave options of the data set to the images, which are the same in both.
    """
    there, here = decisive_options(recorded.to_dict()), decisive_options(asked.to_dict())
    for section in dict.fromkeys((*there, *here)):
        old, new = there.get(section, {}), here.get(section, {})
        for name in dict.fromkeys((*old, *new)):
            is_left = section == "data" and name in left_to_images and name not in new
            if old.get(name) != new.get(name) and not is_left:
                yield f"{section}.{name} is {_show(old.get(name))} there and {_show(new.get(name))} here"


def asked_of_machine(layers: Iterable[OptionLayer]) -> dict[str, list[str]]:
    """By section, the options of the machine that `layers` ask for, instead of leaving them to defaults.

    Of an executor, these are all options.
    """
    asked: dict[str, list[str]] = {}
    for layer in layers:
        for section, options in layer.items():
            if names := [name for name in options if section == EXECUTOR or name in MACHINE.get(section, ())]:
                asked.setdefault(section, []).extend(names)
    return asked


def adopt_machine_options(plugins: Plugins, folder: Path, asked: Recipe, names: Mapping[str, Collection[str]]) -> None:
    """Changes for good where and how the run in `folder` computes: in the options `names`, it becomes as `asked` for.

    The executor changes with all its options if one of them is named. Raises InputError for values that cannot be had,
    and if another process carries out the run.
    """
    run, wanted = RunFolder.existing(folder), asked.to_dict()
    recorded = run.recipe()
    changes: dict[str, dict[str, Any]] = {}
    for section, options in names.items():
        there, here = recorded.get(section, {}), wanted[section]
        chosen = here if section == EXECUTOR else {name: here[name] for name in options}
        if any(there.get(name) != value for name, value in chosen.items()):
            changes[section] = chosen
    if changes:
        change_run_options(run, plugins, changes)


def _show(value: object) -> str:
    return "unset" if value is None else quote(value)
