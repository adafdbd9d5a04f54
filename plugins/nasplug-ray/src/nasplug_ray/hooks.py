"""What this package registers; imports nothing of it."""

from __future__ import annotations

from nasplug.hookspecs import hookimpl
from nasplug.plugins import Register


@hookimpl
def nasplug_register(register: Register) -> None:
    """The executor `ray`."""
    register.executor(
        "ray",
        "nasplug_ray.ray:Ray",
        summary="Tasks of a Ray cluster, each with the CPU cores and GPUs that it needs.",
    )
