"""What this plugin registers. Imports none of its other modules, so that listing plugins stays fast."""

from __future__ import annotations

from nasplug.hookspecs import hookimpl
from nasplug.plugins import Register


@hookimpl
def nasplug_register(register: Register) -> None:
    """Registers the schedule, the selector, and the method that is DARTS with both."""
    register.schedule(
        "progressive",
        "nasplug_pdarts.progressive:Progressive",
        summary="Trains several supernets one after the other, each deeper and with fewer candidates than the last.",
    )
    register.selector(
        "few-skips",
        "nasplug_pdarts.few_skips:FewSkips",
        summary="The decoded supernet with at most a few skip connections in its normal cells.",
    )
    register.method(
        "p-darts",
        "nasplug_pdarts.method:P_DARTS",
        summary="DARTS in three supernets of growing depth, with dropout after skip connections.",
    )
