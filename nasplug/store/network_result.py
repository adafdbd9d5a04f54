"""A network of a run, and what a phase of it took, as `result.json` has them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from nasplug.errors import quote
from nasplug.formats.fields import WHOLE, list_of
from nasplug.store.entries import DamagedError, amounts, identifier, inner_path, number, whole, word
from nasplug.values import Budget, Costs


@attrs.frozen
class NetworkResult:
    """One network of a run; a figure is None until it has been measured."""

    id: str
    role: str
    """One of "found", by the search; "random": sampled, for comparison with the found one of its size; and "reference":
    designed by hand, for comparison at equal cost."""
    matched_to: str | None
    """Id of the found network whose size a random one has, or whose cost a reference network has."""
    costs: Costs
    """By cost measure, what was counted or measured; params and MACs at least."""
    estimates: Mapping[str, float]
    """By cost measure, what a measured cost was estimated to be."""
    budget: Budget
    """What it was selected to keep; empty: no limits."""
    score: float | None
    """How good the selector of the search took it to be, the lower the better; None: it gave no score."""
    val_error: float | None
    test_error: float | None
    train_loss: float | None
    balanced_val_error: float | None
    """The mean of the validation errors by class."""
    val_standard_error: float | None
    """Of the validation error, where it is that of a cross-validation."""
    selection_error: float | None
    """The validation error that decides which network is the best: `val_error`, unless the run says otherwise."""
    balanced_test_error: float | None
    confusion: tuple[tuple[int, int, int], ...]
    """Class, answer and number of test images, for each pair that occurs; empty: not recorded."""
    source: str
    """Either "trained", or "table": looked up instead of trained."""
    reference: str | None
    """The name of a reference network; None for others."""
    entry: Mapping[str, Any] = attrs.field(eq=False, repr=False)
    """Its entry in `result.json`, whole."""

    @classmethod
    def from_entry(cls, entry: Mapping[str, Any], bound: float = 1.0) -> NetworkResult:
        """A network from its entry.

        InputError if an id could be no part of a file name, a path leaves the run folder, params, macs or a count is no
        whole number from 0 on, or an error is no number from 0 to `bound`.
        """
        for name in ("genotype", "weights"):
            inner_path(entry, name)
        return cls(
            id=identifier(entry, "id"),
            role=word(entry, "role"),
            matched_to=None if entry.get("matched_to") is None else identifier(entry, "matched_to"),
            costs=Costs(amounts(entry, "costs"), params=whole(entry, "params"), macs=whole(entry, "macs")),
            estimates=amounts(entry, "estimates"),
            budget=amounts(entry, "budget"),
            score=number(entry, "score"),
            val_error=number(entry, "val_error", 0, bound),
            test_error=number(entry, "test_error", 0, bound),
            train_loss=number(entry, "train_loss"),
            balanced_val_error=number(entry, "balanced_val_error", 0, bound),
            val_standard_error=number(entry, "val_standard_error", 0),
            selection_error=number(entry, "selection_error" if "selection_error" in entry else "val_error", 0, bound),
            balanced_test_error=number(entry, "balanced_test_error", 0, bound),
            confusion=_confusion(entry),
            source=word(entry, "source") if "source" in entry else "trained",
            reference=None if entry.get("reference") is None else word(entry, "reference"),
            entry=entry,
        )

    @property
    def params(self) -> int:
        """Its number of parameters."""
        return self.costs.params

    @property
    def macs(self) -> int:
        """Its multiply-accumulates for one image."""
        return self.costs.macs

    @property
    def kind(self) -> str:
        """What it is, for tables: its role, and which reference network it is."""
        return self.role if self.reference is None else f"{self.role} {self.reference}"

    @property
    def found(self) -> bool:
        """Whether the search found it, as opposed to the networks that it is compared with."""
        return self.role == "found"


@attrs.frozen
class PhaseCost:
    """What one phase took; None where it was not recorded."""

    seconds: float | None
    peak_memory: int | None
    """Bytes."""
    device: str

    @classmethod
    def from_entry(cls, entry: Mapping[str, Any]) -> PhaseCost:
        """A cost from its entry; InputError if a figure is no number."""
        peak = number(entry, "peak_memory_bytes", 0)
        return cls(
            seconds=number(entry, "seconds", 0),
            peak_memory=None if peak is None else int(peak),
            device=str(entry.get("device") or ""),
        )


def _confusion(entry: Mapping[str, Any]) -> tuple[tuple[int, int, int], ...]:
    rows = entry.get("confusion") or []
    kind = list_of(list_of(WHOLE))
    if not kind.holds(rows) or any(len(row) != 3 for row in rows):
        raise DamagedError(f"is damaged: 'confusion' must be a list of three whole numbers each, not {quote(rows)}")
    return tuple((true, answer, images) for true, answer, images in rows)
