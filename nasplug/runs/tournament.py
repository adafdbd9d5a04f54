"""A tournament: short trainings that decide which networks a run retrains in full, by successive halving.

Every rung starts anew, with the recipe of the retraining over fewer epochs: weights that went on from the rung before
would come from a learning rate that had fallen to its end already, or would need another schedule than the one that
the networks are chosen for. With two rungs this is at most a third more than going on would cost.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence

import attrs

from nasplug.runs.bracket import PHASE, Bracket, read_brackets
from nasplug.runs.candidates import plan_brackets
from nasplug.runs.context import RunContext
from nasplug.runs.measuring import measure_plan
from nasplug.runs.references import plan_references
from nasplug.runs.retrain_size import scales
from nasplug.runs.search import found_genotypes
from nasplug.runs.signals import ShouldStop
from nasplug.runs.summary import write_result
from nasplug.runs.training import Stopped
from nasplug.runs.training_task import TrainingTask
from nasplug.runs.workers import train_networks
from nasplug.store.events import EventCallback
from nasplug.store.networks import PlannedNetwork
from nasplug.values import Progress


def enter_candidates(context: RunContext, should_stop: ShouldStop) -> Generator[Progress, None, list[Bracket]]:
    """The brackets of this run: planned once, then kept in the run folder."""
    brackets = read_brackets(context.folder)
    if brackets is None:
        brackets = yield from plan_brackets(context, found_genotypes(context), should_stop)
        context.folder.finish(PHASE, {"brackets": [bracket.to_dict() for bracket in brackets]})
    return brackets


def hold_tournament(
    context: RunContext, should_stop: ShouldStop, on_event: EventCallback
) -> Generator[Progress, None, list[PlannedNetwork]]:
    """The networks to train: for each budget the winners, and the references beside them.

    What is finished of the tournament is not done again. The rungs of all brackets are trained side by side. Raises
    Stopped if `should_stop` says so.
    """
    brackets = yield from enter_candidates(context, should_stop)
    while tasks := _next_tasks(context, brackets):
        yield from train_networks(context, tasks, should_stop, on_event)
        write_result(context, "running", [])
    plans: dict[str, PlannedNetwork] = {}
    for plan in choose_networks(context, brackets):
        plans.setdefault(plan.id, plan)
        yield Progress("select", len(plans), 0, "winners and references measured")
        if should_stop():
            raise Stopped
    return list(plans.values())


def choose_networks(context: RunContext, brackets: Sequence[Bracket]) -> Iterator[PlannedNetwork]:
    """For each budget the winners of the search, the random ones, each matched to one of the search, and references.

    Winners are matched by their places. Where they keep their sizes, which differ, they are matched in the order of
    these.
    """
    winners = [[each.plan for each in bracket.finished_rungs(context.folder)[1]] for bracket in brackets]
    for place, (bracket, found) in enumerate(zip(brackets, winners, strict=True)):
        if bracket.role != "found":
            continue
        by_place = scales(context, bracket.budget)
        yield from (measure_plan(context, plan) for plan in found)
        for other, drawn in zip(brackets[place + 1 :], winners[place + 1 :], strict=True):
            if other.role == "found":
                break
            pairs = zip(*(_in_order(plans, by_place) for plans in (found, drawn)), strict=False)
            yield from (attrs.evolve(measure_plan(context, random), matched_to=plan.id) for plan, random in pairs)
        yield from plan_references(context, found, bracket.budget)


def _next_tasks(context: RunContext, brackets: Sequence[Bracket]) -> list[TrainingTask]:
    tasks = [task for bracket in brackets for task in bracket.next_tasks(context.folder)]
    return list({task.phase: task for task in tasks}.values())


def _in_order(plans: Sequence[PlannedNetwork], by_place: bool) -> Sequence[PlannedNetwork]:
    return plans if by_place else sorted(plans, key=lambda plan: plan.costs.params)
