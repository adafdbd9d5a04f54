"""`nasplug new`: something to start from."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from nasplug.cli.output import echo
from nasplug.plugins import load_plugins
from nasplug.scaffold import (
    KINDS,
    LICENCES,
    Kind,
    Names,
    combine,
    new_folder,
    package_files,
    refuse_taken,
    write_package,
)
from nasplug.scaffold.package import commands


@click.group()
def new() -> None:
    """Start a plugin of your own."""


@new.command()
@click.argument("asked", metavar="NAME", type=click.Path(path_type=Path))
@click.option(
    "--kind",
    "kinds",
    type=click.Choice(list(KINDS)),
    multiple=True,
    default=["method"],
    show_default=True,
    help="What it supplies; may be given several times, for a package of several parts.",
)
@click.option(
    "--licence",
    "--license",
    "licence",
    type=click.Choice(list(LICENCES)),
    default="apache-2.0",
    show_default=True,
    help="Whose full text is in the package.",
)
@click.option("--author", default="", help="Name for the licence and the package's description.")
def plugin(asked: Path, kinds: tuple[str, ...], licence: str, author: str) -> None:
    """Write a plugin package into the new folder NAME: it works, is tested and passes `nasplug check`.

    NAME may be a path. Its last part, without a leading "nasplug-", is the name by which the plugin is used.
    """
    folder = new_folder(asked)
    names, chosen = Names.of_folder(folder), combine([KINDS[kind] for kind in kinds])
    refuse_taken(names, chosen, load_plugins())
    write_package(folder, package_files(names, chosen, licence, author))
    echo(_next_steps(folder, names, chosen))


def _next_steps(folder: Path, names: Names, kind: Kind) -> str:
    listings, runs = commands(names, kind)
    steps = [
        f"cd {shlex.quote(str(folder))}",
        "pip install -e '.[test]'        # or, in an active environment that uv has made: uv pip install -e '.[test]'",
        *listings,
        "pytest",
        "nasplug check .",
    ]
    lines = [
        f"Wrote the {kind.name} '{names.short}' to {folder}: {names.distribution}, imported as {names.package}.",
        "",
        "Try it as it is:",
        *(f"  {run} --plugin {shlex.quote(str(folder))}" for run in runs),
        "",
        "Then install it, where nasplug is installed, list it, test it and check it:",
        *(f"  {step}" for step in steps),
    ]
    return "\n".join(lines)
