"""A training that runs beside others: which network, in which phase, for how long, and on which images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import attrs

from nasplug.data import Fold
from nasplug.runs.context import RunContext
from nasplug.runs.validation import fold_phase
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
    fold: Fold | None = None
    """The fold that it is trained without and validated on; None: as `RunContext.division` says."""
    held_out: str = ""
    """The share of the training images that it is trained without and validated on; empty: none."""
    competes: bool = False
    """Whether it is one of many among which is chosen: if it diverges, it is the worst of them, and the run goes on."""

    @classmethod
    def retraining(cls, context: RunContext, plan: PlannedNetwork) -> Self:
        """The training that a network is shipped with."""
        return cls(plan, plan.phase, context.recipe.retrain.epochs, keeps_weights=True)

    def over_folds(self, folds: int) -> list[TrainingTask]:
        """The trainings by which the network is validated: one without each fold; without folds, this one itself."""
        if not folds:
            return [self]
        return [
            attrs.evolve(self, phase=fold_phase(self.phase, fold), fold=fold, keeps_weights=False)
            for fold in Fold.all(folds)
        ]

    def to_dict(self) -> dict[str, Any]:
        """Plain data, for another process."""
        return {
            "plan": self.plan.to_dict(),
            "phase": self.phase,
            "epochs": self.epochs,
            "keeps_weights": self.keeps_weights,
            "shares_weights": self.shares_weights,
            "fold": None if self.fold is None else self.fold.to_dict(),
            "held_out": self.held_out,
            "competes": self.competes,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Reads what `to_dict` wrote."""
        fold = None if data["fold"] is None else Fold(**data["fold"])
        return cls(**{**data, "plan": PlannedNetwork.from_dict(data["plan"]), "fold": fold})


def plan_retrainings(context: RunContext, plans: Sequence[PlannedNetwork]) -> list[TrainingTask]:
    """All trainings of the networks of a run: those of their cross-validation, if there is one, then the final ones."""
    final = [TrainingTask.retraining(context, plan) for plan in plans]
    folds = context.recipe.data.folds
    return [*(task for each in final for task in each.over_folds(folds) if folds), *final]
