"""What this plugin registers; imports nothing of it."""

from __future__ import annotations

from nasplug.hookspecs import hookimpl
from nasplug.plugins import Register

RESUMES = ">=0.1,<0.3"
"""The versions of this package whose runs this one continues, with the same results bit by bit."""


@hookimpl
def nasplug_register(register: Register) -> None:
    """Registers the block-wise teacher, and the method that uses it."""
    register.teacher(
        "blockwise",
        "nasplug_dna.blockwise:Blockwise",
        summary="Trains and rates every block of the supernet against the same block of a trained network.",
    )
    register.method(
        "dna",
        "nasplug_dna.method:DNA",
        summary="Trains each block against a teacher network, rates all paths, and combines the best under a budget.",
    )
