"""`nasplug doctor`: whether this machine is ready."""

from __future__ import annotations

import json
from pathlib import Path

import attrs
import click

from nasplug.cli.health import Finding, findings
from nasplug.errors import InputError
from nasplug.plugins import Settings, load_plugins

MARKS = {"ok": "ok", "note": "note", "problem": "PROBLEM"}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for other programs.")
@click.pass_context
def doctor(ctx: click.Context, as_json: bool) -> None:
    """Look at Python, torch, device, precision, disk and plugins; say what would mend what is wrong.

    Ends with 1 if there is a problem. Notes are worth knowing, but nothing is wrong with them.
    """
    # Strictness, or a path that names no plugin, would end the examination at the first finding.
    settings = attrs.evolve(Settings.from_environment(), strict=False)
    unusable = []
    try:
        plugins = load_plugins(settings, quiet=True)
    except InputError as error:
        unusable = [Finding("plugin paths", "problem", str(error), "Mend NASPLUG_PLUGIN, or what --plugin names.")]
        plugins = load_plugins(attrs.evolve(settings, paths=()), quiet=True)
    found = [*findings(plugins, Path()), *unusable]
    if as_json:
        click.echo(json.dumps([attrs.asdict(each) for each in found], indent=2))
    else:
        width = max(len(each.subject) for each in found)
        for each in found:
            click.echo(f"{MARKS[each.health]:<8}{each.subject:<{width + 2}}{each.found}")
            if each.remedy:
                click.echo(f"{'':<{width + 10}}{each.remedy}")
    if any(each.health == "problem" for each in found):
        ctx.exit(1)
