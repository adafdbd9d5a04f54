"""Calls one implementation of a hook, and traces the call on request."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

from nasplug.errors import printable


def call_hook(
    label: str, hook: str, function: Callable[..., Any], arguments: Mapping[str, Any], *, trace: bool
) -> None:
    """Calls `function`, the implementation of `hook` by the plugin `label`, with `arguments`.

    With `trace`, one line on stderr gives the hook, its arguments, the time taken and the exception raised.
    """
    if not trace:
        function(**arguments)
        return
    shown = ", ".join(f"{name}={value!s:.60}" for name, value in arguments.items())
    started, outcome = time.perf_counter(), ""
    try:
        function(**arguments)
    except BaseException as error:
        outcome = f", raised {type(error).__name__}: {error}"
        raise
    finally:
        milliseconds = 1000 * (time.perf_counter() - started)
        note(f"{hook}({shown}) of {label}: {milliseconds:.1f} ms{outcome}")


def note(message: str) -> None:
    """Writes one line to stderr."""
    sys.stderr.write(f"{printable(message)}\n")
