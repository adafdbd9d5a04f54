"""Options about plugins that every command takes that loads any: kept in the environment until the program ends.

So the processes that a run starts load the same plugins.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import attrs
import click

from nasplug.errors import InputError, quote
from nasplug.plugins import Settings


def plugin_options(*, runs: bool) -> list[click.Parameter]:
    """`--plugin` and `--without`, which act before the command does; with `runs` also `--observe`."""
    options: list[click.Parameter] = [
        _build_option(
            "--plugin",
            "plugin_paths",
            "PATH",
            "Load a Python file, or the folder of a package, as a plugin without installing it.",
        ),
        _build_option("--without", "left_out", "NAME[,NAME]", "Leave out a plugin, by distribution or entry point."),
    ]
    if runs:
        summary = "Show the run in an experiment tracker: mlflow, wandb, or another observer that waits to be asked."
        options.append(_build_option("--observe", "observers", "NAME[,NAME]", summary))
    return options


def _build_option(flag: str, name: str, metavar: str, summary: str) -> click.Option:
    return click.Option(
        [flag, name],
        multiple=True,
        is_eager=True,
        expose_value=False,
        callback=_add_to_settings,
        metavar=metavar,
        help=summary,
    )


def _add_to_settings(ctx: click.Context, parameter: click.Parameter, values: Sequence[str]) -> None:
    if not values or ctx.resilient_parsing:
        return
    settings = Settings.from_environment()
    if parameter.name == "plugin_paths":
        for value in values:
            if not value or os.pathsep in value or "\0" in value:  # the environment could not hold it
                raise InputError(f"--plugin takes a path without '{os.pathsep}', but got {quote(value)}.")
        settings = attrs.evolve(settings, paths=(*settings.paths, *map(Path, values)))
    else:
        if any("\0" in value for value in values):
            raise InputError(f"{parameter.opts[0]} takes names of plugins, but got {quote(values)}.")
        names = tuple(filter(None, (name.strip() for value in values for name in value.split(","))))
        if parameter.name == "observers":
            settings = attrs.evolve(settings, observe=(*settings.observe, *names))
        else:
            settings = attrs.evolve(settings, without=(*settings.without, *names))
    # For the whole program, not the command alone: an error is put down to these plugins when the command has ended.
    ctx.find_root().with_resource(_set_environment(settings.to_environment()))


@contextmanager
def _set_environment(variables: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name)
            else:
                os.environ[name] = value
