"""A training that runs beside others: which network, in which phase, for how long."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import attrs

from nasplug.runs.context import RunContext
from nasplug.store.networks import PlannedNetwork


@attrs.frozen
class TrainingTask:
    """One training of a planned network from scratch."""

    plan: PlannedNetwork
    phase: str
    epochs: int
    keeps_weights: bool
    """Whether the trained network is written; else its errors are all that is left."""
    shares_weights: bool = False
    """Whether it starts from weights of the supernet."""

    @classmethod
    def retraining(cls, context: RunContext, plan: PlannedNetwork) -> Self:
        """The training that a network is shipped with."""
        return cls(plan, plan.phase, context.recipe.retrain.epochs, keeps_weights=True)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, for another process."""
        return {
            "plan": self.plan.to_dict(),
            "phase": self.phase,
            "epochs": self.epochs,
            "keeps_weights": self.keeps_weights,
            "shares_weights": self.shares_weights,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Reads what `to_dict` wrote."""
        return cls(**{**data, "plan": PlannedNetwork.from_dict(data["plan"])})
