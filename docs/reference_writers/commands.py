"""The page on the command line, from the commands themselves."""

from __future__ import annotations

import inspect
from collections.abc import Iterator

import click

from nasplug.cli import main
from reference_writers.markdown import code, table, text

HEAD = """# Commands

Every command with its options; `nasplug COMMAND --help` prints the same. Exit codes: 0; 2 for bad input, with one
sentence on what would work; 1 for a run that broke; 130 after Ctrl-C and 75 after SIGTERM, both with a run that
`nasplug resume` continues.
"""


def commands() -> Iterator[str]:
    """The whole page."""
    yield HEAD
    root = click.Context(main, info_name="nasplug", **main.context_settings)
    yield from _options(root, main)
    yield from _below(root, main, "##")


def _below(above: click.Context, group: click.Group, level: str) -> Iterator[str]:
    for name in group.list_commands(above):
        command = group.get_command(above, name)
        if command is None or command.hidden:
            continue
        context = click.Context(command, info_name=name, parent=above)
        yield f"\n{level} {code(' '.join([context.command_path, *command.collect_usage_pieces(context)]))}\n"
        yield f"{_help(command)}\n"
        yield from _options(context, command)
        if isinstance(command, click.Group):
            yield from _below(context, command, level + "#")


def _help(command: click.Command) -> str:
    """The help, in which a paragraph after click's mark for it is laid out by hand."""
    paragraphs = inspect.cleandoc(command.help or "").split("\n\n")
    return "\n\n".join(_drawn(each) if each.startswith("\b") else text(each) for each in paragraphs)


def _drawn(paragraph: str) -> str:
    return "\n".join(["```text", *paragraph.splitlines()[1:], "```"])


def _options(context: click.Context, command: click.Command) -> Iterator[str]:
    records = [each.get_help_record(context) for each in command.get_params(context) if isinstance(each, click.Option)]
    rows = [[code(names), text(meaning)] for names, meaning in filter(None, records)]
    yield from table(["option", "meaning"], rows)
