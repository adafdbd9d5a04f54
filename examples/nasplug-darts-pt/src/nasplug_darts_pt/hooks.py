"""What this plugin registers. Imports none of its other modules, so that listing plugins stays fast."""

from __future__ import annotations

from nasplug.hookspecs import hookimpl
from nasplug.plugins import Register


@hookimpl
def nasplug_register(register: Register) -> None:
    """Registers the selector, and the method that is DARTS with it."""
    register.selector(
        "perturbation",
        "nasplug_darts_pt.perturbation:Perturbation",
        summary="Keeps in each choice the candidate that the supernet misses most, and tunes the rest in between.",
    )
    register.method(
        "darts-pt",
        "nasplug_darts_pt.method:DARTS_PT",
        summary="DARTS, whose operations are selected by perturbing the supernet instead of by alpha.",
    )
