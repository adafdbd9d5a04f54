"""What this package registers; imports nothing of it."""

from __future__ import annotations

from nasplug.hookspecs import hookimpl
from nasplug.plugins import Register


@hookimpl
def nasplug_register(register: Register) -> None:
    """The executor `slurm`."""
    register.executor(
        "slurm",
        "nasplug_slurm.slurm:Slurm",
        summary="Jobs of a SLURM cluster, submitted by submitit.",
    )
