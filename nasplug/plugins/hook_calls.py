"""Calls a hook of one plugin, and says so where the user wants to see it."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from typing import Any


def call_hook(
    label: str, hook: str, function: Callable[..., Any], arguments: Mapping[str, Any], *, trace: bool
) -> None:
    """Calls `function`, one plugin's implementation of `hook`, with those of `arguments` that it asks for.

    With `trace`, one line on stderr gives the call, its arguments, how long it took and what it raised.
    """
    if not trace:
        function(**arguments)
        return
    shown = ", ".join(f"{name}={value!s:.60}" for name, value in arguments.items())
    started, ending = time.perf_counter(), ""
    try:
        function(**arguments)
    except BaseException as error:
        ending = f", raised {type(error).__name__}: {error}"
        raise
    finally:
        milliseconds = 1000 * (time.perf_counter() - started)
        note(f"{hook}({shown}) of {label}: {milliseconds:.1f} ms{ending}")


def note(message: str) -> None:
    """One line on stderr."""
    sys.stderr.write(f"{message}\n")
