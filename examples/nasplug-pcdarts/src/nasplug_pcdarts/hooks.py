"""What this plugin registers. Imports none of its other modules, so that listing plugins stays fast."""

from __future__ import annotations

from nasplug.hookspecs import hookimpl
from nasplug.plugins import Register


@hookimpl
def nasplug_register(register: Register) -> None:
    """Registers the search space, and the method that searches it."""
    register.space(
        "pc-darts",
        "nasplug_pcdarts.space:PCDarts",
        summary="The cells of darts, searched on a share of the channels and with a weight for every edge.",
    )
    register.method(
        "pc-darts",
        "nasplug_pcdarts.method:PC_DARTS",
        summary="Search on partial channels: DARTS with less memory, and with normalised edges.",
    )
