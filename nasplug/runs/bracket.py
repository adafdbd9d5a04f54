"""A bracket of a tournament: candidates that compete with one another, rung after rung."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import attrs

from nasplug.errors import InputError
from nasplug.runs.halving import Rung, rank
from nasplug.runs.training_task import TrainingTask
from nasplug.runs.validation import read_validation
from nasplug.store.networks import PlannedNetwork
from nasplug.store.run_folder import RunFolder
from nasplug.store.tournament import BracketResult, RungResult, Standing
from nasplug.values import Budget

PHASE = "candidates"
"""The phase that plans the brackets."""


@attrs.frozen
class Candidate:
    """A network that competes."""

    plan: PlannedNetwork
    origin: str
    """As in `Standing`."""
    shares_weights: bool = False
    """Whether its trainings start from weights of the supernet."""


@attrs.frozen
class Bracket:
    """Candidates of one budget that compete with one another, and how."""

    role: str
    """The role of its winners: "found" or "random"."""
    budget: Budget
    candidates: tuple[Candidate, ...]
    rungs: tuple[Rung, ...]
    folds: int = 0
    """Of the cross-validation that decides; 0: the validation split does."""
    by: str = "error"
    """Which validation error decides, as in `SelectOptions.by`."""

    def finished_rungs(self, folder: RunFolder) -> tuple[list[RungResult], list[Candidate]]:
        """The rungs of which every training is finished, and the candidates that are left after them, best first."""
        left, results = list(self.candidates), list[RungResult]()
        for number, rung in enumerate(self.rungs, 1):
            phases = [_rung_phase(number, candidate.plan.id) for candidate in left]
            validations = [read_validation(folder, phase, self.folds) for phase in phases]
            errors = [validation.chosen_by(self.by) for validation in validations if validation is not None]
            if len(errors) < len(left):
                break
            places = rank(errors, [candidate.plan.costs.params for candidate in left])
            standings = [
                Standing(left[place].plan.id, left[place].origin, left[place].plan.costs.params, errors[place])
                for place in places
            ]
            results.append(RungResult(rung.epochs, rung.kept, tuple(standings)))
            left = [left[place] for place in places[: rung.kept]]
        return results, left

    def next_tasks(self, folder: RunFolder) -> list[TrainingTask]:
        """The trainings of the first rung that is not finished; empty after the last."""
        results, left = self.finished_rungs(folder)
        rungs = list(enumerate(self.rungs, 1))[len(results) :][:1]
        return [task for number, _ in rungs for each in left for task in self._trainings(number, each)]

    def phases(self, folder: RunFolder) -> list[str]:
        """The phases that train its candidates: of all finished rungs, and of the one after them."""
        results, _ = self.finished_rungs(folder)
        candidates = {each.plan.id: each for each in self.candidates}
        finished = [
            task.phase
            for number, result in enumerate(results, 1)
            for each in result.ranking
            for task in self._trainings(number, candidates[each.id])
        ]
        return [*finished, *(task.phase for task in self.next_tasks(folder))]

    def _trainings(self, number: int, candidate: Candidate) -> list[TrainingTask]:
        """The trainings of a candidate in the rung of this number, which counts from 1."""
        phase, epochs = _rung_phase(number, candidate.plan.id), self.rungs[number - 1].epochs
        shares = candidate.shares_weights
        task = TrainingTask(candidate.plan, phase, epochs, keeps_weights=False, shares_weights=shares, competes=True)
        return task.over_folds(self.folds)

    def result(self, folder: RunFolder, plans: Sequence[PlannedNetwork]) -> BracketResult:
        """How far it is; `plans` are the networks of the run, as far as they are decided."""
        rungs, left = self.finished_rungs(folder)
        networks = {attrs.evolve(plan, matched_to=None).id: plan.id for plan in plans if plan.role == self.role}
        winners = [networks[each.plan.id] for each in left if each.plan.id in networks]
        sharing = sum(each.shares_weights for each in self.candidates)
        return BracketResult(self.role, self.budget, tuple(rungs), tuple(winners) if plans else (), sharing)

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "role": self.role,
            "budget": dict(self.budget),
            "candidates": [
                {**attrs.asdict(each, recurse=False), "plan": each.plan.to_dict()} for each in self.candidates
            ],
            "rungs": [attrs.asdict(rung) for rung in self.rungs],
            "folds": self.folds,
            "by": self.by,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Reads what `to_dict` wrote. Raises KeyError, TypeError or InputError if it is anything else."""
        candidates = [
            Candidate(PlannedNetwork.from_dict(each["plan"]), each["origin"], each.get("shares_weights", False))
            for each in data["candidates"]
        ]
        rungs = tuple(Rung(**rung) for rung in data["rungs"])
        later = {name: data[name] for name in ("folds", "by") if name in data}
        return cls(data["role"], data["budget"], tuple(candidates), rungs, **later)


def read_brackets(folder: RunFolder) -> list[Bracket] | None:
    """The brackets that were planned, or None before that; InputError if the record is damaged."""
    record = folder.done(PHASE)
    if record is None:
        return None
    try:
        return [Bracket.from_dict(bracket) for bracket in record["brackets"]]
    except (AttributeError, KeyError, TypeError) as error:
        path = folder.phase(PHASE)
        raise InputError(f"The tournament in '{path}' is damaged ({error!r}); remove it to plan it again.") from error


def tournament_phases(folder: RunFolder) -> list[str]:
    """The phases of a run's tournament, as far as it is known who takes part in them, rung after rung."""
    phases = [phase for bracket in read_brackets(folder) or () for phase in bracket.phases(folder)]
    return sorted(dict.fromkeys(phases), key=lambda phase: int(phase.split("/")[-2]))


def _rung_phase(number: int, network: str) -> str:
    """The phase that trains a candidate in a rung, which counts from 1; one phase where two brackets have a network."""
    return f"tournament/{number}/{network}"
