"""The page on the command line, from the click commands."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import click

from nasplug.cli import main
from reference_writers.markdown import code, table, text

HEAD = """# Commands

Every command with its options; `nasplug COMMAND --help` prints the same. Exit codes: 0; 2 for bad input, with one
sentence on what would work; 1 for a run that failed; 130 after Ctrl-C and 75 after SIGTERM or SIGHUP, both with a run
that `nasplug resume` continues.
"""


def commands() -> Iterator[str]:
    """The whole page."""
    yield HEAD
    root = click.Context(main, info_name="nasplug", **main.context_settings)
    yield from _options(root, main)
    yield from _subcommands(root, main, "##")


def _subcommands(parent: click.Context, group: click.Group, level: str) -> Iterator[str]:
    for name in group.list_commands(parent):
        command = group.get_command(parent, name)
        if command is None or command.hidden:
            continue
        context = click.Context(command, info_name=name, parent=parent)
        yield f"\n{level} {code(' '.join([context.command_path, *command.collect_usage_pieces(context)]))}\n"
        yield f"{_help(command)}\n"
        yield from _options(context, command)
        if isinstance(command, click.Group):
            yield from _subcommands(context, command, level + "#")


def _help(command: click.Command) -> str:
    """The help text; a paragraph after click's mark for preformatted text becomes a code block."""
    paragraphs = inspect.cleandoc(command.help or "").split("\n\n")
    return "\n\n".join(_preformatted(words) if words.startswith("\b") else text(words) for words in paragraphs)


def _preformatted(paragraph: str) -> str:
    return "\n".join(["```text", *paragraph.splitlines()[1:], "```"])


def _options(context: click.Context, command: click.Command) -> Iterator[str]:
    options = [parameter for parameter in command.get_params(context) if isinstance(parameter, click.Option)]
    records = [option.get_help_record(context) for option in options]
    rows = [[code(names), text(meaning)] for names, meaning in filter(None, records)]
    yield from table(["option", "meaning"], rows)
