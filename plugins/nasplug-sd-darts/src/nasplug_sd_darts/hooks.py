"""What this plugin registers. Imports none of its other modules, so that listing plugins stays fast."""

from __future__ import annotations

from nasplug.hookspecs import hookimpl
from nasplug.plugins import Register

RESUMES = ">=0.1,<0.3"
"""The versions of this package whose runs this one continues, with the same results bit by bit."""


@hookimpl
def nasplug_register(register: Register) -> None:
    """Registers the teacher `voting`, and the method that is DARTS with it."""
    register.teacher(
        "voting",
        "nasplug_sd_darts.voting:Voting",
        summary="Learns from votes of the supernet's own past states.",
    )
    register.method(
        "sd-darts",
        "nasplug_sd_darts.method:SD_DARTS",
        summary="Self-distillation: DARTS whose supernet also learns from its past states, to become flatter.",
    )
