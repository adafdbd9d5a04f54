"""The commands that only read: `nasplug list` and `nasplug show`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from nasplug.cli.describe import describe, summarise
from nasplug.cli.output import echo
from nasplug.cli.tables import write_rows, write_table
from nasplug.errors import choose_from, command
from nasplug.plugins import SLOT_WORDS, Plugins, load_plugins
from nasplug.store.result import RESULT, RunResult, read_result

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON, for other programs.")


@click.command("list")
@click.argument("slot", required=False, type=click.Choice(list(SLOT_WORDS)))
@as_json
def list_names(slot: str | None, as_json: bool) -> None:
    """What is installed: parts of a search, data sets, cost measures, reference networks and methods.

    With SLOT, only what fits there.
    """
    order = list(SLOT_WORDS)
    registrations = [registration for registration in load_plugins().registrations if slot in (None, registration.slot)]
    registrations.sort(key=lambda registration: (order.index(registration.slot), registration.name))
    rows = [summarise(registration) for registration in registrations]
    if as_json:
        echo(json.dumps(rows, indent=2))
    else:
        write_rows(["slot", "name", "from", "version", "summary"], [list(row.values()) for row in rows])


@click.command()
@click.argument("name")
@click.option("--slot", type=click.Choice(list(SLOT_WORDS)), help="Which of several things of that name.")
@as_json
def show(name: str, slot: str | None, as_json: bool) -> None:
    """What NAME stands for, where it comes from and its options.

    NAME is a part, method or data set of `nasplug list` (all that have the name are shown), written
    DISTRIBUTION:NAME where two distributions supply it; or the folder of a run, whose results are shown.
    """
    if slot is None and (Path(name) / RESULT).is_file():
        result = read_result(Path(name))
        echo(json.dumps(result.entries, indent=2)) if as_json else _write_result(result, Path(name))
        return
    descriptions = _describe_all(load_plugins(), name, slot)
    if as_json:
        echo(json.dumps(descriptions, indent=2))
        return
    for number, description in enumerate(descriptions):
        if number:
            echo()
        _write_description(description)


def _describe_all(plugins: Plugins, name: str, slot: str | None) -> list[dict[str, Any]]:
    if slot is not None:
        return [describe(plugins, plugins.find(slot, name))]
    slots = [slot for slot in SLOT_WORDS if plugins.find_all(slot, name)]
    if not slots:
        known = {registration.qualified if ":" in name else registration.name for registration in plugins.registrations}
        raise choose_from("part, method, data set or run folder", name, known)
    return [describe(plugins, plugins.find(slot, name)) for slot in slots]


def _write_description(description: dict[str, Any]) -> None:
    echo("{name}: {summary}".format(**description))
    echo("{word} of {distribution} {version}".format(word=SLOT_WORDS[description["slot"]], **description))
    if "parts" in description:
        _write_recipe(description)
    elif description["options"]:
        echo()
        write_rows(
            ["option", "type", "default", "choices", "meaning"],
            [
                [
                    option["key"],
                    option["type"],
                    "required" if option["required"] else _format_value(option["default"]),
                    _format_value(option["choices"]) if option["choices"] else "",
                    option["meaning"],
                ]
                for option in description["options"]
            ],
        )
    else:
        echo("It has no options.")


def _write_result(result: RunResult, folder: Path) -> None:
    from nasplug.ui.table import class_table, result_table  # here, because rich is slow to import

    write_table(result_table(result))
    if (by_class := class_table(result)) is not None:
        write_table(by_class)
    if result.status in ("stopped", "failed"):
        echo(f"It is not finished; go on with: {command('resume', folder)}")


def _write_recipe(description: dict[str, Any]) -> None:
    echo()
    write_rows(["slot", "part"], [[slot, part] for slot, part in description["parts"].items()])
    layers = {"recipe": description["options"], **description["presets"]}
    for name, sections in layers.items():
        kind = "Options of the recipe" if name == "recipe" else f"Preset {name}"
        echo(f"\n{kind}{' (the constants of the paper)' if name == description['paper'] else ''}:")
        for section, options in sections.items():
            for option, value in options.items():
                echo(f"  {section}.{option} = {_format_value(value)}")


def _format_value(value: Any) -> str:
    """A value as it is written after `--set`."""
    if value is None:
        return "unset"
    if isinstance(value, bool):
        return str(value).lower()
    return ", ".join(map(_format_value, value)) if isinstance(value, list) else str(value)
