"""Checks of pruning schedules: how they regularise the loss, and which candidates they delete."""

from __future__ import annotations

import json
import math
from itertools import pairwise

import torch
from torch import Tensor, nn

from nasplug.parts import Choices, PruningSchedule, read_state
from nasplug.testing.case import Case
from nasplug.testing.check import check
from nasplug.testing.companion_parts import plan
from nasplug.testing.outcome import NotApplicable, require
from nasplug.testing.tiny_search import whole
from nasplug.values import StepClock, StepInfo


@check("schedule")
def deleted_candidates_stay_deleted(case: Case) -> None:
    """A candidate that was deleted is never active again.

    Its module is gone; a mask that is rewritten in every step brings candidates back that have no module.
    """
    kept = case.once(whole).kept
    for step, (before, after) in enumerate(pairwise(kept), 1):
        require(
            not bool((after & ~before).any()),
            f"in step {step} {int((after & ~before).sum())} deleted candidates are active again",
            "delete with choices.delete(mask), and never write to choices.kept",
        )


@check("schedule")
def leaves_as_many_as_a_genotype_needs(case: Case) -> None:
    """No choice is ever left with fewer candidates than its `at_least`.

    A choice without candidates cannot be decoded, or decodes to a candidate that was deleted.
    """
    search = case.once(whole)
    for row, choice in enumerate(search.net.choices):
        least = min(int(kept[row].sum()) for kept in search.kept)
        require(
            least >= choice.at_least,
            f"the choice '{choice.name}' is left with {least} of at least {choice.at_least} candidates",
            "delete with choices.delete(mask), which keeps the strongest",
        )


@check("schedule")
def counts_what_it_deletes(case: Case) -> None:
    """Every verdict states how many candidates its step deleted.

    Modules of deleted candidates are removed only after a verdict with a count above 0.
    """
    search = case.once(whole)
    for step, before, after in zip(search.steps, search.kept, search.kept[1:], strict=False):
        deleted, said = int(before.sum()) - int(after.sum()), int(step.measures.get("deleted", 0))
        require(
            deleted == said,
            f"step {step.step} deletes {deleted} candidates, and its verdict says {said}",
            "return Verdict(deleted=choices.delete(mask))",
        )


@check("schedule")
def leaves_snapshots_as_it_declares(case: Case) -> None:
    """A search leaves a snapshot if, and only if, the schedule declares `takes_snapshots = True`.

    With an optimizer that does not decide, a run without snapshots would end without an architecture.
    """
    search = case.once(whole)
    taken = any(step.snapshot is not None for step in search.steps)
    declared = search.parts.schedule.takes_snapshots
    amount = "some" if taken else "none"
    require(
        taken == declared,
        f"takes_snapshots is {declared}, and a search of {len(search.steps)} steps leaves {amount}",
        f"set takes_snapshots = {taken}; a schedule with snapshots takes one of at least the last architecture",
    )


@check("schedule")
def ranks_candidates_only_if_it_declares_so(case: Case) -> None:
    """Deletions depend on alpha only if the schedule declares `ranks_candidates = True`.

    Undeclared, it may be combined with an optimizer that never updates alpha, and then deletes by ties.
    """
    if case.once(whole).parts.schedule.ranks_candidates:
        raise NotApplicable("it declares that it ranks candidates")
    first, second = (_kept_after_each_step(case, seed) for seed in (1, 2))
    require(
        all(torch.equal(kept, other) for kept, other in zip(first, second, strict=False)),
        "with another alpha other candidates are deleted, but ranks_candidates is False",
        "set ranks_candidates = True",
    )


@check("schedule")
def penalty_is_a_differentiable_number(case: Case) -> None:
    """`penalise` gives a finite float32 scalar with finite gradients for the loss, and for alpha if it depends on it.

    A penalty that is computed from detached weights changes the loss, but not the training.
    """
    schedule, choices, clock = _begun(case)
    for now in _first_middle_last(clock):
        weight, values = nn.Parameter(torch.ones(())), []
        for seed in (1, 2):
            _set_alpha(choices, seed)
            value = schedule.penalise(1.5 * weight, choices, now)
            require(
                isinstance(value, Tensor)
                and value.ndim == 0
                and bool(value.isfinite())
                and value.dtype == weight.dtype,
                f"in step {now.step} the loss 1.5 becomes {value!r:.80}",
                "return a finite scalar tensor in float32",
            )
            values.append(float(value.detach()))
        gradients = torch.autograd.grad(value, [weight, choices.alpha], allow_unused=True)
        require(
            gradients[0] is not None and bool(gradients[0].isfinite()),
            f"in step {now.step} the weights get {'no' if gradients[0] is None else 'an infinite'} gradient",
            "compute the result from the loss that is passed, without detaching it",
        )
        has_gradient = gradients[1] is not None and bool(gradients[1].any())
        require(
            has_gradient or math.isclose(values[0], values[1], rel_tol=1e-6),
            f"in step {now.step} the penalty depends on alpha, which gets no gradient",
            "compute it from choices.weights(), without detach, no_grad or float()",
        )
        require(
            gradients[1] is None or bool(gradients[1].isfinite().all()),
            f"in step {now.step} alpha gets a gradient that is not finite",
            "keep logarithms and quotients away from 0",
        )


@check("schedule")
def penalising_changes_nothing(case: Case) -> None:
    """`penalise` returns the same value when it is called twice, and changes neither candidates nor state.

    Second-order optimizers evaluate a loss several times in one step.
    """
    schedule, choices, clock = _begun(case)
    _set_alpha(choices, 1)
    for now in _first_middle_last(clock):
        before = json.dumps(read_state(schedule), default=repr), choices.kept.clone(), choices.alpha.detach().clone()
        values = [float(schedule.penalise(torch.tensor(1.5), choices, now).detach()) for _ in range(2)]
        after = json.dumps(read_state(schedule), default=repr), choices.kept, choices.alpha.detach()
        remedy = "change state only in after_step"
        require(values[0] == values[1], f"the same loss is penalised to {values[0]:g}, then to {values[1]:g}", remedy)
        require(before[0] == after[0], "its state changes", remedy)
        require(
            torch.equal(before[1], after[1]) and torch.equal(before[2], after[2]), "candidates or alpha change", remedy
        )


def _begun(case: Case) -> tuple[PruningSchedule, Choices, StepClock]:
    """A new schedule at the start of a search of three epochs of four steps, with the choices of its space."""
    parts = case.once(plan).parts()
    choices, clock = Choices(parts.space.choice_list()), StepClock(4, 3)
    choices.relaxation = parts.optimizer.relax
    parts.optimizer.initialise(choices, torch.Generator().manual_seed(0))
    parts.schedule.begin(choices, clock)
    return parts.schedule, choices, clock


def _first_middle_last(clock: StepClock) -> list[StepInfo]:
    return [clock.at(step) for step in (0, clock.steps // 2, clock.steps - 1)]


def _set_alpha(choices: Choices, seed: int) -> None:
    """Sets alpha to positive values that differ widely between candidates."""
    with torch.no_grad():
        uniform = torch.rand(choices.alpha.shape, generator=torch.Generator().manual_seed(seed))
        choices.alpha.copy_(0.5 + 2 * uniform)


def _kept_after_each_step(case: Case, seed: int) -> list[Tensor]:
    schedule, choices, clock = _begun(case)
    kept = []
    for now in clock.since(0):
        _set_alpha(choices, seed + 10 * now.step)
        stop = schedule.after_step(choices, now).stop
        kept.append(choices.kept.clone())
        if stop:
            break
    return kept
