"""Text on standard output and standard error: whatever a command prints passes here or through `PrintableConsole`."""

from __future__ import annotations

import click

from nasplug.errors import printable


def echo(text: object = "", *, err: bool = False) -> None:
    """Prints a line, on standard error with `err`, with control characters as escapes."""
    click.echo(printable(str(text)), err=err)
