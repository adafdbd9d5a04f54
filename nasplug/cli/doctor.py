"""`nasplug doctor`: whether this machine is ready."""

from __future__ import annotations

import json
from pathlib import Path

import attrs
import click

from nasplug.cli.health import Finding, examine_machine
from nasplug.cli.optional import examine_optional
from nasplug.cli.output import echo
from nasplug.errors import InputError
from nasplug.plugins import Settings, load_plugins

MARKS = {"ok": "ok", "note": "note", "problem": "PROBLEM"}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for other programs.")
@click.pass_context
def doctor(ctx: click.Context, as_json: bool) -> None:
    """Look at Python, torch, device, precision, disk and plugins; say how to fix what is wrong.

    Below them stands what runs can use beyond one process: torchrun, Ray, SLURM, MLflow, Weights & Biases.

    Ends with 1 if there is a problem. Notes are worth knowing, but nothing is wrong with them.
    """
    # Strictness, or a path that names no plugin, would end the examination at the first finding.
    settings = attrs.evolve(Settings.from_environment(), strict=False)
    unusable = []
    try:
        plugins = load_plugins(settings, quiet=True)
    except InputError as error:
        unusable = [Finding("plugin paths", "problem", str(error), "Correct NASPLUG_PLUGIN, or what --plugin names.")]
        plugins = load_plugins(attrs.evolve(settings, paths=()), quiet=True)
    findings = [*examine_machine(plugins, Path()), *examine_optional(), *unusable]
    if as_json:
        echo(json.dumps([attrs.asdict(finding) for finding in findings], indent=2))
    else:
        width = max(len(finding.subject) for finding in findings)
        for finding in findings:
            echo(f"{MARKS[finding.health]:<8}{finding.subject:<{width + 2}}{finding.found}")
            if finding.remedy:
                echo(f"{'':<{width + 10}}{finding.remedy}")
    if any(finding.health == "problem" for finding in findings):
        ctx.exit(1)
