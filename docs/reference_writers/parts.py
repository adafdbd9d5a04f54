"""The pages on what is registered: parts and data sets with their options, methods with their presets."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import attrs

from nasplug.plugins import SLOT_WORDS, Plugins, Registration
from nasplug.values import Method
from nasplug.values.options import option_fields
from nasplug.values.recipe import SLOTS, DataOptions, RetrainOptions, RunOptions, SearchOptions, SelectOptions
from reference_writers.environment import load, of_slot
from reference_writers.markdown import code, table, text

SECTIONS: Mapping[str, type] = {
    "run": RunOptions,
    "data": DataOptions,
    "search": SearchOptions,
    "retrain": RetrainOptions,
    "select": SelectOptions,
}
PARTS_HEAD = """# Parts and their options

Every part, data set, cost measure, reference network and executor that this repository supplies, with its options. An
option is set by its key: `--set optimizer.alpha_lr=0.1`, or under `[optimizer]` in a file for `--config`.
`nasplug show NAME` prints the same.
"""
BUDGET = """
### `[budget]`

The most that a network may cost, by [cost measure](#cost-measures): `budget.params = 50000`, `budget.memory = "64KB"`,
`budget.latency = "2ms"`, or lists for networks within each of several limits; on the command line
`--budget params=50k`. See [how to set a budget](../how-to/set-a-budget.md).

| option | type | default | allowed | meaning |
|---|---|---|---|---|
| `budget.MEASURE` | `number or text, or a list of these` | unset |  | the most that a network may cost |
| `budget.weight` | `float` | 0.0; `compact`: 2.0 | at least 0 | weight of the expected cost in the loss of alpha |

Options of a measure are in a section of its name: `--set latency.runtime=torch`.
"""
CHOSEN: Mapping[str, str] = {
    "dataset": "Chosen by `--data`.",
    "cost": "Chosen by `nasplug cost --measure`.",
    "reference": (
        "Chosen by `--set select.references=NAME,NAME`. A run chooses the width; other options have their defaults."
    ),
}
"""How a part is chosen, where no flag is called like its slot."""
METHODS_HEAD = """# Methods and their presets

A method names one part per slot, options of these parts, and presets. Later ones of these override earlier ones:
defaults of the parts, options of the method, those of the preset (`--preset`, by default `laptop`), those of
`--config`, those of `--set`. `nasplug show NAME` prints the same.
"""


def parts() -> Iterator[str]:
    """The page on parts, data sets, and the sections of a recipe that belong to no part."""
    plugins = load()
    yield PARTS_HEAD
    for slot in (*SLOTS, "dataset", "cost", "reference", "executor"):
        yield f"\n## {SLOT_WORDS[slot].capitalize()}s\n"
        yield CHOSEN.get(slot, f"Chosen by `--{slot}`.")
        for registration in of_slot(plugins, slot):
            yield from _part(plugins, registration)
    yield "\n## Sections of a recipe that belong to no part\n"
    for section, cls in SECTIONS.items():
        yield f"\n### `[{section}]`\n"
        yield f"{text(cls.__doc__)}\n"
        yield from _options(section, cls)
    yield BUDGET


def methods() -> Iterator[str]:
    """The page on methods."""
    plugins = load()
    yield METHODS_HEAD
    for registration in of_slot(plugins, "method"):
        method: Method = plugins.resolve(registration)
        yield f"\n## `{registration.name}`\n"
        yield f"{text(registration.summary)} (package `{registration.distribution}`)\n"
        yield from table(
            ["slot", "part"], [[code(slot), code(getattr(method, slot))] for slot in SLOTS if getattr(method, slot)]
        )
        yield from _values("Options of the method", method.options)
        for name, preset in method.presets.items():
            constants = ", the paper's constants" if name == method.paper else ""
            yield from _values(f"Preset `{name}`{constants}", preset)


def _part(plugins: Plugins, registration: Registration) -> Iterator[str]:
    cls: type = plugins.resolve(registration)
    yield f"\n### `{registration.name}`\n"
    yield f"{text(registration.summary)} (package `{registration.distribution}`)\n"
    if vars(cls).get("__doc__"):
        yield f"{text(cls.__doc__)}\n"
    yield from _options(registration.section, cls)


def _options(section: str, cls: type) -> Iterator[str]:
    options = option_fields(cls)
    if not options:
        yield "It has no options."
        return
    yield from table(
        ["option", "type", "default", "allowed", "meaning"],
        [
            [
                code(f"{section}.{name}"),
                code(field.type if isinstance(field.type, str) else getattr(field.type, "__name__", field.type)),
                _default(field),
                _allowed(field),
                text(field.metadata.get("summary")),
            ]
            for name, field in options.items()
        ],
    )


def _default(field: attrs.Attribute[Any]) -> str:
    return "required" if field.default is attrs.NOTHING else "unset" if field.default is None else _value(field.default)


def _allowed(field: attrs.Attribute[Any]) -> str:
    choices = field.metadata.get("choices")
    return ", ".join(map(_value, choices)) if choices else str(field.metadata.get("range", ""))


def _values(title: str, sections: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    rows = [
        [code(f"{section}.{name}"), _value(value)]
        for section, options in sections.items()
        for name, value in options.items()
    ]
    if rows:
        yield f"\n{title}:\n"
        yield from table(["option", "value"], rows)


def _value(value: Any) -> str:
    """A value in the form that `--set` takes."""
    if isinstance(value, bool):
        return code(str(value).lower())
    if isinstance(value, list | tuple):
        return code(", ".join(map(str, value))) if value else "none"
    return code(value) if value != "" else "empty"
