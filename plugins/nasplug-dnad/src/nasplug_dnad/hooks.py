"""What this plugin registers. Imports none of its other modules, so that listing plugins stays fast."""

from __future__ import annotations

from nasplug.hookspecs import hookimpl
from nasplug.plugins import Register

RESUMES = ">=0.1,<0.3"
"""The versions of this package whose runs this one continues, with the same results bit by bit."""


@hookimpl
def nasplug_register(register: Register) -> None:
    """Registers the teacher `features`, and the method that is SNPS with it."""
    register.teacher(
        "features",
        "nasplug_dnad.features:Features",
        summary="Learns to imitate the features of a trained network at several depths.",
    )
    register.method(
        "dnad",
        "nasplug_dnad.method:DNAD",
        summary="Search by imitating: a shrinking supernet that learns from a teacher network.",
        preferred=True,
    )
