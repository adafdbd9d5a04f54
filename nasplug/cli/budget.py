"""The options of commands that set limits on costs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

from nasplug.compose.budget import SHORTHANDS
from nasplug.errors import InputError, quote

F = TypeVar("F", bound=Callable[..., Any])


def budget_options(meaning: str) -> Callable[[F], F]:
    """Adds --budget and its shorthands to a command, whose help says what the limits are for."""

    def add(command: F) -> F:
        for option in (
            click.option("--max-macs", type=int, metavar="N", help="Short for --budget macs=N."),
            click.option("--max-params", type=int, metavar="N", help="Short for --budget params=N."),
            click.option("--budget", "budgets", multiple=True, metavar="COST=LIMIT", help=meaning),
        ):
            command = option(command)
        return command

    return add


def read_budget_options(budgets: Sequence[str], max_params: int | None, max_macs: int | None) -> dict[str, Any]:
    """The limits by cost measure, as written; a later one for the same measure replaces an earlier one.

    Raises InputError for text that is no `COST=LIMIT`.
    """
    limits: dict[str, Any] = {}
    for shorthand, limit in (("max_params", max_params), ("max_macs", max_macs)):
        if limit is not None:
            limits[SHORTHANDS[shorthand]] = limit
    for text in budgets:
        name, equals, limit_text = text.partition("=")
        if not (name.strip() and equals and limit_text.strip()):
            raise InputError(
                f"--budget takes COST=LIMIT, for example params=50k or latency=2ms, but got {quote(text)}; "
                f"'nasplug list cost' names the costs."
            )
        limits[name.strip()] = limit_text.strip()
    return limits
