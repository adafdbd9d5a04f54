"""What this plugin registers. Imports none of its other modules, so that listing plugins stays fast."""

from __future__ import annotations

from nasplug.hookspecs import hookimpl
from nasplug.plugins import Register

RESUMES = ">=0.1,<0.3"
"""The versions of this package whose runs this one continues.

A run of 0.1 goes on by the rules of today: its search ends with an epoch, and from the step at which it is resumed,
adaptors are clipped apart from the network. Its teacher is trained as its recipe says.
"""


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
