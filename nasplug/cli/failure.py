"""How the command line reports what went wrong.

Whatever nasplug raises for its user becomes one line on stderr and the error's own exit code; Ctrl-C gives 130. So does
a name that the system does not take or a place that it does not let anybody into. With
NASPLUG_DEBUG=1 in the environment, errors pass through with their tracebacks. Errors that nasplug does not expect
always do, for they are defects, unless they come from the code of a plugin: then its author has to know.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

import click

from nasplug.errors import InputError, Interrupted, NasplugError
from nasplug.plugins import load_plugins
from nasplug.plugins.attribution import attribute_error
from nasplug.plugins.settings import is_switched_on

DEBUG = "NASPLUG_DEBUG"
"""The environment variable that shows tracebacks."""
CTRL_C = 130


@contextmanager
def reported() -> Iterator[None]:
    """Lets what is raised inside end the program as described above."""
    try:
        yield
    except KeyboardInterrupt as error:
        click.echo("Interrupted.", err=True)
        raise click.exceptions.Exit(CTRL_C) from error
    except NasplugError as error:
        if is_switched_on(DEBUG):
            raise
        # A stop that was asked for is not an error: its message says how to go on.
        click.echo(str(error) if isinstance(error, Interrupted) else f"Error: {error}", err=True)
        raise click.exceptions.Exit(error.exit_code) from error
    except OSError as error:
        if error.errno not in (errno.ENAMETOOLONG, errno.EACCES) or is_switched_on(DEBUG):
            raise
        click.echo(f"Error: '{error.filename}' cannot be used: {error.strerror}; name another place.", err=True)
        raise click.exceptions.Exit(InputError.exit_code) from error
    except (click.ClickException, click.exceptions.Exit, click.Abort):
        raise
    except Exception as error:
        blame = None if is_switched_on(DEBUG) else attribute_error(error, load_plugins(quiet=True))
        if blame is None:
            raise
        click.echo(f"Error: {blame} Its author has to fix that; {DEBUG}=1 shows the traceback.", err=True)
        raise click.exceptions.Exit(NasplugError.exit_code) from error
