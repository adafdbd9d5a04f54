"""`nasplug plugins`: what is installed, and what is wrong with those that fail."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import attrs
import click

from nasplug.cli.tables import write_rows
from nasplug.errors import InputError
from nasplug.plugins import Plugin, Plugins, Settings, load_plugins
from nasplug.plugins.settings import STRICT


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for other programs.")
def plugins(as_json: bool) -> None:
    """Every plugin: what it registers, the versions of nasplug that it works with, and whether it can be used.

    A plugin is a distribution with an entry point in the group "nasplug", or what --plugin names.
    """
    settings = Settings.from_environment()
    loaded = load_plugins(attrs.evolve(settings, strict=False), quiet=True)
    rows = [_row(loaded, plugin) for plugin in loaded.all]
    if as_json:
        click.echo(json.dumps(rows, indent=2))
    else:
        _write(loaded, rows)
    if settings.strict and loaded.broken:
        raise InputError(f"{loaded.broken[0]} ({STRICT} is set.)")


def _write(loaded: Plugins, rows: Sequence[dict[str, Any]]) -> None:
    write_rows(
        ["plugin", "version", "entry point", "status", "nasplug", "registers"],
        [
            [row["distribution"], row["version"], row["name"], row["status"], row["supports"] or "any", _words(row)]
            for row in rows
        ],
    )
    for row in rows:
        if row["reason"]:
            click.echo(f"\n{row['distribution']} {row['version']} is {row['status']}. {row['reason']} {row['remedy']}")
    for conflict in conflicts(loaded):
        click.echo(f"\n{conflict}")


def conflicts(loaded: Plugins) -> list[str]:
    """A sentence for every name that several distributions claim."""
    return [
        f"The {several[0].slot} '{several[0].name}' is registered by {' and by '.join(one.source for one in several)}; "
        f"choose one as {' or '.join(one.qualified for one in several)}."
        for several in loaded.conflicts
    ]


def _row(loaded: Plugins, plugin: Plugin) -> dict[str, Any]:
    return {
        "distribution": plugin.distribution,
        "version": plugin.version,
        "name": plugin.name,
        "status": plugin.status,
        "supports": plugin.supports,
        "hooks": list(plugin.hooks),
        "registers": [{"slot": one.slot, "name": one.name} for one in plugin.registers],
        "path": None if plugin.path is None else str(plugin.path),
        "conflicts": [
            {"slot": several[0].slot, "name": several[0].name, "choices": [one.qualified for one in several]}
            for several in loaded.conflicts
            if plugin.distribution in (one.distribution for one in several)
        ],
        "reason": plugin.reason,
        "remedy": plugin.remedy,
    }


def _words(row: dict[str, Any]) -> str:
    """What it registers in words, slot by slot; observers register nothing."""
    slots: dict[str, list[str]] = {}
    for one in row["registers"]:
        slots.setdefault(one["slot"], []).append(one["name"])
    words = [f"{slot} {', '.join(names)}" for slot, names in slots.items()]
    return "; ".join([*words, *(["observes events"] if "nasplug_event" in row["hooks"] else [])])
