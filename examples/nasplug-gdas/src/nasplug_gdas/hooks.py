"""What this plugin registers. Imports none of its other modules, so that listing plugins stays fast."""

from __future__ import annotations

from nasplug.hookspecs import hookimpl
from nasplug.plugins import Register


@hookimpl
def nasplug_register(register: Register) -> None:
    """Registers the sampling optimizer, and the method that is DARTS with it."""
    register.optimizer(
        "gdas",
        "nasplug_gdas.optimizer:Gdas",
        summary="Samples and trains one candidate per choice, with gradients of alpha by Gumbel-softmax.",
    )
    register.method(
        "gdas",
        "nasplug_gdas.method:GDAS",
        summary="Search by sampling: each step trains one architecture, sampled in a differentiable way.",
    )
