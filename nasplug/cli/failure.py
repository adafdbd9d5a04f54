"""How the command line reports what went wrong.

An error of the tree in `nasplug.errors` becomes one line on stderr and the exit code of its class; Ctrl-C gives 130. A
path that is too long or may not be accessed is reported like bad input. With NASPLUG_DEBUG=1 in the environment, errors
are shown with their tracebacks. Unexpected errors always are, because they are defects, unless they come from the code
of a plugin: then the message names the plugin.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from nasplug.cli.parameters import shorten_message
from nasplug.errors import InputError, Interrupted, NasplugError, quote
from nasplug.plugins import load_plugins
from nasplug.plugins.attribution import attribute_error
from nasplug.plugins.settings import is_switched_on

DEBUG = "NASPLUG_DEBUG"
"""The environment variable that shows tracebacks."""
CTRL_C = 130
PLACES = frozenset(
    {errno.ENAMETOOLONG, errno.EACCES, errno.EPERM, errno.ELOOP, errno.ENOTDIR, errno.EISDIR, errno.EROFS, errno.ENXIO}
)
"""Errors of the operating system that say of a place that it cannot be used as asked."""


@contextmanager
def report_errors() -> Iterator[None]:
    """Ends the program as described above if the block raises."""
    try:
        yield
    except KeyboardInterrupt as error:
        click.echo("Interrupted.", err=True)
        raise click.exceptions.Exit(CTRL_C) from error
    except NasplugError as error:
        if is_switched_on(DEBUG):
            raise
        # A stop that was asked for is not an error: its message says how to resume.
        message = str(error).replace("\n", "\\n")  # from a name; a message is a sentence on a line
        click.echo(message if isinstance(error, Interrupted) else f"Error: {message}", err=True)
        raise click.exceptions.Exit(error.exit_code) from error
    except OSError as error:
        if error.errno not in PLACES or error.filename is None or is_switched_on(DEBUG):
            raise
        place = quote(Path(os.fsdecode(error.filename)))
        click.echo(f"Error: {place} cannot be used: {error.strerror}; name another place.", err=True)
        raise click.exceptions.Exit(InputError.exit_code) from error
    except click.UsageError as error:
        message = error.format_message()
        if (short := shorten_message(message)) == message:
            raise
        raise click.UsageError(short, error.ctx) from error
    except (click.ClickException, click.exceptions.Exit, click.Abort):
        raise
    except Exception as error:
        if _lacks_memory(error) and not is_switched_on(DEBUG):
            click.echo("Error: The memory does not suffice; ask for smaller batches, images or networks.", err=True)
            raise click.exceptions.Exit(NasplugError.exit_code) from error
        sentence = None if is_switched_on(DEBUG) else attribute_error(error, load_plugins(quiet=True))
        if sentence is None:
            raise
        click.echo(f"Error: {sentence} Its author has to fix that; {DEBUG}=1 shows the traceback.", err=True)
        raise click.exceptions.Exit(NasplugError.exit_code) from error


def _lacks_memory(error: Exception) -> bool:
    """Whether it says so; torch has an exception of its own for CUDA, and for the CPU only words."""
    is_memory = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
    return is_memory or (isinstance(error, RuntimeError) and "can't allocate memory" in str(error))
