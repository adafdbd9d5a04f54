"""What a check is, and how it says that something fails it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING

import attrs

if TYPE_CHECKING:
    from nasplug.testing.case import Case

PLUGIN, OBSERVER = "plugin", "observer"
"""What is checked besides the things that a plugin registers: the package as such, and its way to watch a run."""


class Failed(Exception):
    """What was found instead of what a check asks for, and what would mend it: two clauses without a full stop."""

    def __init__(self, found: str, remedy: str) -> None:
        super().__init__(found, remedy)
        self.found, self.remedy = found, remedy


class NotApplicable(Exception):
    """Why a check has nothing to look at here: a clause without a full stop."""


@attrs.frozen
class Check:
    """One demand of the contract.

    The docstring of its function says what is asked, then which mistake it stands for.
    """

    function: Callable[[Case], None]
    slots: tuple[str, ...]
    """What it looks at: slots of `nasplug.plugins.SLOT_WORDS`, or PLUGIN or OBSERVER."""
    first: bool = False
    """Whether all later checks of the same thing are pointless where this one fails."""

    @property
    def name(self) -> str:
        """Its name, in words joined by hyphens."""
        return self.function.__name__.replace("_", "-")

    @property
    def summary(self) -> str:
        """What is asked, one sentence."""
        return self._words().partition("\n")[0].rstrip(".")

    @property
    def story(self) -> str:
        """The mistake that it stands for."""
        return " ".join(self._words().partition("\n")[2].split())

    def _words(self) -> str:
        return inspect.getdoc(self.function) or ""


def check(*slots: str, first: bool = False) -> Callable[[Callable[[Case], None]], Check]:
    """Makes a function that raises Failed or NotApplicable, or returns, a check of things in these slots."""
    return lambda function: Check(function, slots, first)


def require(holds: bool, found: str, remedy: str) -> None:
    """Raises Failed unless it holds."""
    if not holds:
        raise Failed(found, remedy)
