"""How the command line reports what went wrong.

An error of the tree in `nasplug.errors` becomes one line on stderr and the exit code of its class; so does a signal. A
path that is too long or may not be accessed is reported like bad input. With NASPLUG_DEBUG=1 in the environment, errors
are shown with their tracebacks. Unexpected errors always are, because they are defects, unless they come from the code
of a plugin: then the message names the plugin.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import click

from nasplug.cli.output import echo
from nasplug.cli.parameters import shorten_message
from nasplug.errors import InputError, Interrupted, NasplugError, quote
from nasplug.plugins import Plugins, load_plugins
from nasplug.plugins.attribution import attribute_error
from nasplug.plugins.settings import is_switched_on
from nasplug.runs.signals import Signals
from nasplug.values.torchrun import follows

DEBUG = "NASPLUG_DEBUG"
"""The environment variable that shows tracebacks."""
CTRL_C = 130
PLACES = frozenset(
    {errno.ENAMETOOLONG, errno.EACCES, errno.EPERM, errno.ELOOP, errno.ENOTDIR, errno.EISDIR, errno.EROFS, errno.ENXIO}
)
"""Errors of the operating system that say of a place that it cannot be used as asked."""


@contextmanager
def report_errors(signals: Signals | None) -> Iterator[None]:
    """Ends the program as described above if the block raises; `signals` has those that the program received."""
    try:
        try:
            yield
        finally:
            if signals is not None:
                signals.settle()
    except Interrupted as error:
        # A stop that was asked for is not an error: its message says how to resume.
        raise _end(str(error), error.exit_code) from error
    except KeyboardInterrupt as error:
        if signals is None or signals.received is None:
            raise _end("Interrupted.", CTRL_C) from error
        raise _end(f"Stopped by {signals.received.name}.", signals.exit_code) from error
    except NasplugError as error:
        if is_switched_on(DEBUG):
            raise
        message = str(error).replace("\n", "\\n")  # from a name; a message is a sentence on a line
        raise _end(f"Error: {message}", error.exit_code) from error
    except OSError as error:
        if signals is not None and signals():  # the terminal was closed, and what had to be said found nobody
            raise click.exceptions.Exit(signals.exit_code) from error
        if (sentence := explain(error)) is None:
            raise
        raise _end(f"Error: {sentence}", InputError.exit_code) from error
    except click.UsageError as error:
        if follows():  # the leading rank says the same
            raise click.exceptions.Exit(error.exit_code) from error
        message = error.format_message()
        if (short := shorten_message(message)) == message:
            raise
        raise click.UsageError(short, error.ctx) from error
    except (click.ClickException, click.exceptions.Exit, click.Abort):
        raise
    except Exception as error:
        if (sentence := explain(error)) is None:
            raise
        raise _end(f"Error: {sentence}", NasplugError.exit_code) from error


def explain(error: Exception, plugins: Plugins | None = None) -> str | None:
    """What a message says of an error that is no `NasplugError`; `plugins` are those in whose code it may have arisen.

    Without `plugins`, they are loaded. None if the traceback has to be shown: that of a defect of nasplug, and each
    where tracebacks are asked for.
    """
    if is_switched_on(DEBUG):
        return None
    if isinstance(error, OSError):
        if error.errno not in PLACES or error.filename is None:
            return None
        return f"{quote(Path(os.fsdecode(error.filename)))} cannot be used: {error.strerror}; name another place."
    if _lacks_memory(error):
        return "The memory does not suffice; ask for smaller batches, images or networks."
    sentence = attribute_error(error, load_plugins(quiet=True) if plugins is None else plugins)
    return None if sentence is None else f"{sentence} Its author has to fix that; {DEBUG}=1 shows the traceback."


def _end(sentence: str, code: int) -> click.exceptions.Exit:
    """Says a sentence on stderr, and returns what ends the program with this exit code."""
    with suppress(OSError):  # the terminal may be closed
        echo(sentence, err=True)
    return click.exceptions.Exit(code)


def _lacks_memory(error: Exception) -> bool:
    """Whether it says so; torch has an exception of its own for CUDA, and for the CPU only words."""
    is_memory = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
    return is_memory or (isinstance(error, RuntimeError) and "can't allocate memory" in str(error))
