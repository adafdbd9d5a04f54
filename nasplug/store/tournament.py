"""The tournament of a run, as `result.json` has it: who competed with whom, and how each rung ended.

Importing this module imports no torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import attrs

from nasplug.formats.fields import NUMBER, OBJECT, TEXT, WHOLE, Kind, check_fields, list_of, object_of
from nasplug.values import Budget

BRACKET: Mapping[str, Kind] = {
    "role": TEXT,
    "budget": object_of(NUMBER),
    "rungs": list_of(OBJECT),
    "winners": list_of(TEXT),
}
RUNG: Mapping[str, Kind] = {"epochs": WHOLE, "kept": WHOLE, "ranking": list_of(OBJECT)}
STANDING: Mapping[str, Kind] = {"id": TEXT, "origin": TEXT, "params": WHOLE, "val_error": NUMBER}


@attrs.frozen
class Standing:
    """A candidate after one rung."""

    id: str
    origin: str
    """Where its architecture comes from: "search" (left by it), "rating" (rated well by it), "mutation" (of one of
    these) or "random"."""
    params: int
    val_error: float

    @classmethod
    def from_entry(cls, entry: Mapping[str, Any]) -> Self:
        """Reads an entry; FormatError if it is none."""
        check_fields(entry, STANDING)
        return cls(**{name: entry[name] for name in STANDING})


@attrs.frozen
class RungResult:
    """One finished rung."""

    epochs: int
    kept: int
    """How many went on: the first of the ranking."""
    ranking: tuple[Standing, ...]
    """From the best to the worst."""

    @property
    def best(self) -> tuple[Standing, ...]:
        """Those that went on."""
        return self.ranking[: self.kept]

    @classmethod
    def from_entry(cls, entry: Mapping[str, Any]) -> Self:
        """Reads an entry; FormatError if it is none."""
        check_fields(entry, RUNG)
        return cls(entry["epochs"], entry["kept"], tuple(map(Standing.from_entry, entry["ranking"])))


@attrs.frozen
class BracketResult:
    """Candidates that competed with one another: those of the search within one budget, or random ones."""

    role: str
    """The role of its winners: "found" or "random"."""
    budget: Budget
    rungs: tuple[RungResult, ...]
    """Those that are finished."""
    winners: tuple[str, ...]
    """Ids of the networks of the run that its best candidates became, the best first; empty before it is decided."""
    sharing: int = 0
    """How many of its candidates start every training from weights of the supernet."""

    @classmethod
    def from_entry(cls, entry: Mapping[str, Any]) -> Self:
        """Reads an entry; FormatError if it is none."""
        check_fields(entry, BRACKET, {"sharing": WHOLE})
        rungs = tuple(map(RungResult.from_entry, entry["rungs"]))
        return cls(entry["role"], entry["budget"], rungs, tuple(entry["winners"]), entry.get("sharing", 0))

    def to_entry(self) -> dict[str, Any]:
        """Plain data."""
        return {**attrs.asdict(self), "budget": dict(self.budget)}
