"""A group of commands that imports a command's module when the command is called, not before."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import attrs
import click

from nasplug.cli.environment import plugin_options
from nasplug.cli.failure import report_errors
from nasplug.errors import quote, suggest
from nasplug.runs.memory import paused_collection


@attrs.frozen
class LazyCommand:
    """Where a command is, as "module:function", and its line in the group's help."""

    target: str
    summary: str
    plugins: bool = True
    """Whether it loads plugins, and so takes the options about them."""
    runs: bool = False
    """Whether it carries out runs, which observers may watch."""


class LazyGroup(click.Group):
    """A click group over a table of `LazyCommand`s; help of the group imports none of them."""

    def __init__(self, *arguments: Any, table: Mapping[str, LazyCommand], **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.table = table

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The commands in the order of the table."""
        return list(self.table)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Imports the command, or None if there is no such command."""
        if cmd_name not in self.table:
            return None
        entry = self.table[cmd_name]
        module, _, function = entry.target.partition(":")
        with paused_collection():
            command: click.Command = getattr(importlib.import_module(module), function)
        if entry.plugins:
            known = {parameter.name for parameter in command.params}
            command.params += [option for option in plugin_options(runs=entry.runs) if option.name not in known]
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The help lines of the table."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, command.summary) for name, command in self.table.items()])

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click does; see `nasplug.cli.failure` for what becomes of errors."""
        with report_errors(ctx.obj):
            return super().parse_args(ctx, args)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click does, with the nearest name for an unknown one."""
        name = args[0]
        if name not in self.table and not name.startswith("-"):
            ctx.fail(
                f"There is no command {quote(name)}.{suggest(name, self.table)} Commands: {', '.join(self.table)}."
            )
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Runs the command; see `nasplug.cli.failure` for what becomes of errors."""
        with report_errors(ctx.obj):
            return super().invoke(ctx)
