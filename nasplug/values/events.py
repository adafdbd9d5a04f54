"""What a search reports while it runs: the lines of `events.jsonl`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from nasplug.values.genotype import Genotype


@attrs.frozen
class Step:
    """One step of a phase. It carries its snapshot, so that none is lost between two events."""

    step: int
    """Steps done, this one included; those of earlier stages too."""
    epoch: int
    """Epochs completed before this step."""
    loss: float
    measures: Mapping[str, float] = attrs.field(factory=dict)
    snapshot: Genotype | None = None
    reason: str | None = None
    """Why there is a snapshot."""
    stop: bool = False
    stage: int | None = None
    """The stage, where a phase has several."""

    def record(self) -> dict[str, Any]:
        """This event as plain data."""
        row: dict[str, Any] = {
            "event": "step",
            "step": self.step,
            "epoch": self.epoch,
            "loss": self.loss,
            **self.measures,
        }
        if self.stage is not None:
            row["stage"] = self.stage
        if self.snapshot is not None:
            row |= {"snapshot": self.snapshot.to_dict(), "reason": self.reason}
        if self.stop:
            row["stop"] = True
        return row


@attrs.frozen
class Found:
    """An architecture that the search settled on."""

    genotype: Genotype
    step: int
    reason: str
    measures: Mapping[str, float] = attrs.field(factory=dict)

    def record(self) -> dict[str, Any]:
        """This event as plain data."""
        return {
            "event": "found",
            "step": self.step,
            "reason": self.reason,
            "genotype": self.genotype.to_dict(),
            **self.measures,
        }


@attrs.frozen
class Rated:
    """How good one path through a block is, as far as the supernet tells."""

    block: int | None
    """The block; None: the whole network."""
    path: Genotype
    """The picks of the block's places alone."""
    rating: float
    """The lower the better; ratings of different blocks can be added."""

    def record(self) -> dict[str, Any]:
        """This event as plain data."""
        picks = self.path.to_dict()["picks"]
        return {"event": "rated", "block": self.block, "rating": self.rating, "space": self.path.space, "path": picks}


Event = Step | Found | Rated
