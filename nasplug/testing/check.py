"""What a check is: a named function that looks at one case of a plugin."""

from __future__ import annotations

import inspect
from collections.abc import Callable

import attrs

from nasplug.testing.case import Case

PLUGIN, OBSERVER = "plugin", "observer"
"""What is checked besides the things that a plugin registers: the package as such, and its way to watch a run."""


@attrs.frozen
class Check:
    """One demand of the contract.

    The first sentence of its function's docstring says what is asked; the rest says which mistake the check is there
    to find. `nasplug check` and the documentation print both.
    """

    function: Callable[[Case], None]
    slots: tuple[str, ...]
    """What it looks at: slots of `nasplug.plugins.SLOT_WORDS`, or PLUGIN or OBSERVER."""
    first: bool = False
    """Whether all later checks of the same case are pointless where this one fails."""
    of_options: bool = False
    """Whether it looks at the options of a part one by one, so that a waiver can name one of them."""

    @property
    def name(self) -> str:
        """The function's name, in words joined by hyphens."""
        return self.function.__name__.replace("_", "-")

    @property
    def summary(self) -> str:
        """What is asked, one sentence."""
        return self._docstring().partition("\n")[0].rstrip(".")

    @property
    def story(self) -> str:
        """The mistake that the check is there to find."""
        return " ".join(self._docstring().partition("\n")[2].split())

    def _docstring(self) -> str:
        return inspect.getdoc(self.function) or ""


def check(*slots: str, first: bool = False, of_options: bool = False) -> Callable[[Callable[[Case], None]], Check]:
    """Decorator: makes a check of cases in these slots from a function that returns, or raises Failed or NotApplicable.

    `first` says that later checks of a case are not applicable where this one fails; `of_options`, that it looks at
    those options that `Case.option_fields` gives.
    """
    return lambda function: Check(function, slots, first, of_options)
