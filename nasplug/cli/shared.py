"""Commands that the processes which torchrun has started carry out together."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, wraps
from typing import Concatenate, ParamSpec

import click

from nasplug.engine.ranks import Ranks
from nasplug.plugins import load_plugins
from nasplug.runs.ranks import follow, rank_group
from nasplug.runs.signals import Signals

P = ParamSpec("P")


def shared_by_ranks(command: Callable[Concatenate[Ranks, P], None]) -> Callable[P, None]:
    """A command that the leading rank carries out, and whose trainings the others join; it is given its rank first.

    Without torchrun there is one rank, which leads.
    """

    @wraps(command)
    def carry_out(*arguments: P.args, **options: P.kwargs) -> None:
        with rank_group() as ranks:
            if ranks.leads:
                command(ranks, *arguments, **options)
            else:
                signals = click.get_current_context().obj or Signals()
                follow(ranks, partial(load_plugins, quiet=True), signals)

    return carry_out
