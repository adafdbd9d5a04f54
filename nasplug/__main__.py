"""The program `nasplug`, and `python -m nasplug`: what a process needs before the command line is imported."""

from __future__ import annotations

import atexit
import io
import os
import sys
from typing import NoReturn

from nasplug.runs.signals import Signals

REFUSED = 2
"""Exit code of a command that cannot be carried out as it was asked for."""


def run_program() -> None:
    """Runs the command line, and ends the process as the first signal asks, if one is received."""
    signals = Signals()
    signals.install()
    try:
        _replace_unknown_letters()
        from nasplug.cli import main  # here, because a signal that is received meanwhile must find its handler

        main(prog_name="nasplug", obj=signals)
    except SystemExit as end:
        if end.code == REFUSED:
            _leave_at_once()
        raise
    except KeyboardInterrupt:  # before the command line was there to report it
        sys.stderr.write(f"Stopped by {signals.received.name if signals.received else 'SIGINT'}.\n")
        sys.exit(signals.exit_code)
    finally:
        signals.uninstall()
        _flush_output()


def _replace_unknown_letters() -> None:
    """Makes output print a question mark for a letter that its encoding does not have, instead of failing."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _leave_at_once() -> NoReturn:
    """Ends a process that was refused something without taking torch apart, for which the interpreter takes a second.

    Whatever was to be done at the end of the process is done.
    """
    atexit._run_exitfuncs()
    _flush_output()
    os._exit(REFUSED)


def _flush_output() -> None:
    """Writes what is buffered, or drops it if nobody reads it any more: Python would fail at that later."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


if __name__ == "__main__":
    run_program()
