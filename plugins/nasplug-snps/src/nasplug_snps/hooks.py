"""What this plugin registers. Imports none of its other modules, so that listing plugins stays fast."""

from __future__ import annotations

from nasplug.hookspecs import hookimpl
from nasplug.plugins import Register

RESUMES = ">=0.1,<0.3"
"""The versions of this package whose runs this one continues.

A run of 0.1 goes on by the rules of today: its search ends with an epoch. Otherwise it has the same results bit by bit.
"""


@hookimpl
def nasplug_register(register: Register) -> None:
    """Registers the shrinking schedule, and the method that is built on it."""
    register.schedule(
        "shrink",
        "nasplug_snps.shrink:Shrink",
        summary="Regularises alpha towards sparsity and deletes weak candidates, from dense to sparse.",
    )
    register.method(
        "snps",
        "nasplug_snps.method:SNPS",
        summary="Search by deleting: a supernet that shrinks leaves networks of many sizes in one run.",
    )
