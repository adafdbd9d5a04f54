"""How a check ends: the exceptions that it raises, and the outcome that is reported of it."""

from __future__ import annotations

from typing import Literal

import attrs

Status = Literal["passed", "failed", "warned", "waived", "not applicable"]


class Failed(Exception):
    """What was found instead of what a check asks for, and what would fix it: two clauses without a full stop."""

    def __init__(self, found: str, remedy: str) -> None:
        super().__init__(found, remedy)
        self.found, self.remedy = found, remedy


class Warned(Exception):
    """What was found that works today and may not tomorrow, and what would be better: as of `Failed`."""

    def __init__(self, found: str, remedy: str) -> None:
        super().__init__(found, remedy)
        self.found, self.remedy = found, remedy


class NotApplicable(Exception):
    """Why a check has nothing to look at here: a clause without a full stop."""


def require(holds: bool, found: str, remedy: str) -> None:
    """Raises Failed unless `holds`."""
    if not holds:
        raise Failed(found, remedy)


@attrs.frozen
class Outcome:
    """The result of one check of one case."""

    check: str
    title: str
    """The case: its slot and name."""
    asked: str
    status: Status
    found: str = ""
    """What was found instead, why the check has nothing to look at, or why it is waived."""
    remedy: str = ""

    def __str__(self) -> str:
        what = f"{self.title}: {self.check}"
        if self.status in ("failed", "warned"):
            return f"{what}\n  asked: {self.asked}.\n  found: {self.found}.\n  fix:   {self.remedy}."
        return f"{what} ({self.found})" if self.found else what
