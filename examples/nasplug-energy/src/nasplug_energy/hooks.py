"""What this plugin registers. Imports none of its other modules, so that listing plugins stays fast."""

from __future__ import annotations

from nasplug.hookspecs import hookimpl
from nasplug.plugins import Register


@hookimpl
def nasplug_register(register: Register) -> None:
    """Registers the cost measure."""
    register.cost(
        "energy",
        "nasplug_energy.energy:Energy",
        summary="Joules for one image: multiply-accumulates and bytes moved, by a table.",
    )
