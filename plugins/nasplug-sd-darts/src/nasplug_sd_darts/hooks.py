"""What this plugin registers; imports nothing of it."""

from __future__ import annotations

from nasplug.hookspecs import hookimpl
from nasplug.plugins import Register

RESUMES = ">=0.1,<0.3"
"""The versions of this package whose runs this one continues, with the same results bit by bit."""


@hookimpl
def nasplug_register(register: Register) -> None:
    """The teacher of past supernets, and the method that is DARTS with it."""
    register.teacher(
        "voting",
        "nasplug_sd_darts.voting:Voting",
        summary="Learns from votes of the supernet's own past states.",
    )
    register.method(
        "sd-darts",
        "nasplug_sd_darts.method:SD_DARTS",
        summary="Self-distillation: DARTS with a flatter supernet, which learns from its past states.",
    )
