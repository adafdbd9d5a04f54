"""The events that a training yields while it runs; each becomes one line of `events.jsonl`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs

from nasplug.values.genotype import Genotype


@attrs.frozen
class Step:
    """One step of a training. It carries its snapshot, so that a crash cannot separate the two."""

    step: int
    """Steps completed, this one and those of earlier stages included."""
    epoch: int
    """Epochs completed before this step."""
    loss: float
    """The loss of the last update of this step, before that update."""
    measures: Mapping[str, float] = attrs.field(factory=dict)
    """Further figures by name, such as those of the schedule's verdict."""
    snapshot: Genotype | None = None
    reason: str | None = None
    """Why a snapshot was taken; None if none was."""
    stop: bool = False
    """Whether the schedule ended the stage with this step."""
    stage: int | None = None
    """The number of the stage, if the training has several."""

    def record(self) -> dict[str, Any]:
        """This event as plain data, ready for JSON."""
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
    """An architecture that was chosen at the end of the search."""

    genotype: Genotype
    step: int
    """Steps completed when it was chosen."""
    reason: str
    """How it was chosen, such as "decoded"."""
    measures: Mapping[str, float] = attrs.field(factory=dict)

    def record(self) -> dict[str, Any]:
        """This event as plain data, ready for JSON."""
        return {
            "event": "found",
            "step": self.step,
            "reason": self.reason,
            "genotype": self.genotype.to_dict(),
            **self.measures,
        }


@attrs.frozen
class Rated:
    """The rating of one path through a block, measured in the trained supernet."""

    block: int | None
    """The block; None: the whole network."""
    path: Genotype
    """The picks of the block's places alone."""
    rating: float
    """The lower the better; ratings of different blocks can be added."""

    def record(self) -> dict[str, Any]:
        """This event as plain data, ready for JSON."""
        picks = self.path.to_dict()["picks"]
        return {"event": "rated", "block": self.block, "rating": self.rating, "space": self.path.space, "path": picks}


@attrs.frozen
class Evaluated:
    """What the supernet answered with some of its candidates alone, on images that it was not trained on."""

    trainings: int
    """Trainings that the selector had asked for before."""
    candidates: str
    """The digest of the candidates."""
    images: int
    loss: float
    """The mean cross entropy of the labels."""
    error: float
    """The share of images that were answered wrongly, from 0 to 1."""

    def record(self) -> dict[str, Any]:
        """This event as plain data, ready for JSON."""
        return {"event": "evaluated", **attrs.asdict(self)}


@attrs.frozen
class SearchWarning:
    """What a search has shown that endangers its result; each sign is reported once, when it is first seen."""

    sign: str
    """What was seen, in one word."""
    step: int
    """Steps completed when it was seen."""
    epoch: int
    """Epochs completed before the last of these steps."""
    value: float
    """The figure that crossed its limit."""
    limit: float
    text: str
    """What was seen and when, and what to try, in sentences for the user."""

    def record(self) -> dict[str, Any]:
        """This event as plain data, ready for JSON."""
        return {"event": "warning", **attrs.asdict(self)}


Event = Step | Found | Rated | Evaluated | SearchWarning
