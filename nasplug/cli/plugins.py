"""`nasplug plugins`: what is installed, and what is wrong with those that fail."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import attrs
import click

from nasplug.cli.output import echo
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
        echo(json.dumps(rows, indent=2))
    else:
        _write(loaded, rows)
    if settings.strict and loaded.broken:
        raise InputError(f"{loaded.broken[0]} ({STRICT} is set.)")


def _write(loaded: Plugins, rows: Sequence[dict[str, Any]]) -> None:
    write_rows(
        ["plugin", "version", "entry point", "status", "nasplug", "registers"],
        [
            [
                row["distribution"],
                row["version"],
                row["name"],
                row["status"],
                row["supports"] or "any",
                _format_registrations(row),
            ]
            for row in rows
        ],
    )
    for row in rows:
        if row["reason"]:
            echo(f"\n{row['distribution']} {row['version']} is {row['status']}. {row['reason']} {row['remedy']}")
    for conflict in describe_conflicts(loaded):
        echo(f"\n{conflict}")


def describe_conflicts(loaded: Plugins) -> list[str]:
    """A sentence for every name that several distributions claim."""
    sentences = []
    for claims in loaded.conflicts:
        sources = " and by ".join(claim.source for claim in claims)
        choices = " or ".join(claim.qualified for claim in claims)
        sentences.append(
            f"The {claims[0].slot} '{claims[0].name}' is registered by {sources}; choose one as {choices}."
        )
    return sentences


def _row(loaded: Plugins, plugin: Plugin) -> dict[str, Any]:
    return {
        "distribution": plugin.distribution,
        "version": plugin.version,
        "name": plugin.name,
        "status": plugin.status,
        "supports": plugin.supports,
        "hooks": list(plugin.hooks),
        "registers": [{"slot": registration.slot, "name": registration.name} for registration in plugin.registers],
        "path": None if plugin.path is None else str(plugin.path),
        "conflicts": [
            {"slot": claims[0].slot, "name": claims[0].name, "choices": [claim.qualified for claim in claims]}
            for claims in loaded.conflicts
            if plugin.distribution in (claim.distribution for claim in claims)
        ],
        "reason": plugin.reason,
        "remedy": plugin.remedy,
    }


def _format_registrations(row: dict[str, Any]) -> str:
    """What it registers in words, slot by slot; observers register nothing."""
    slots: dict[str, list[str]] = {}
    for registration in row["registers"]:
        slots.setdefault(registration["slot"], []).append(registration["name"])
    words = [f"{slot} {', '.join(names)}" for slot, names in slots.items()]
    return "; ".join([*words, *(["observes events"] if "nasplug_event" in row["hooks"] else [])])
