"""What this plugin registers; imports nothing of it."""

from __future__ import annotations

from nasplug.hookspecs import hookimpl
from nasplug.plugins import Register


@hookimpl
def nasplug_register(register: Register) -> None:
    """The sampling optimizer, and the method that is DARTS with it."""
    register.optimizer(
        "gdas",
        "nasplug_gdas.optimizer:Gdas",
        summary="Draws one candidate per choice (Gumbel-softmax), trains it alone, and differentiates the draw.",
    )
    register.method(
        "gdas",
        "nasplug_gdas.method:GDAS",
        summary="Search by sampling: each step trains one architecture, drawn in a way that can be differentiated.",
    )
