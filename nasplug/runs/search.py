"""The phases `teacher` and `search` of a run: from a supernet to the architectures that the search leaves."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from nasplug.engine import Trainer
from nasplug.runs.budget_check import refuse_impossible
from nasplug.runs.candidates import refuse_tournament
from nasplug.runs.collapse import CollapseGuard, read_warnings
from nasplug.runs.context import RunContext
from nasplug.runs.decision import decide, initial_search_state, write_ratings
from nasplug.runs.distillation import refuse_missing_teacher
from nasplug.runs.references import references_of
from nasplug.runs.retrain import make_teacher_trainer, train_teacher
from nasplug.runs.search_trainer import make_search_trainer, search_teacher
from nasplug.runs.signals import ShouldStop
from nasplug.runs.training import Progress, cost_record, count_further_work, no_cost, run_training
from nasplug.runs.validation import refuse_validation
from nasplug.store.events import Journal, read_events
from nasplug.store.networks import PlannedNetwork
from nasplug.values import Genotype


def prepare_teacher(context: RunContext, journal: Journal, should_stop: ShouldStop) -> Iterator[Progress]:
    """Provides the teacher's network, if the teacher wants one: trains it, unless one was given."""
    asked = context.teacher()
    if asked is None or context.folder.teacher.exists():
        return
    space, genotype = asked
    plan = PlannedNetwork.found(space, genotype, context.shape)
    yield from train_teacher(context, space, plan, journal, should_stop)


def search(context: RunContext, journal: Journal, should_stop: ShouldStop) -> Iterator[Progress]:
    """Searches, and records every architecture that the search finds."""
    if context.composition.optimizer.trains:
        torch.manual_seed(context.seed("search", "weights"))
        net = context.composition.space.supernet(context.shape)
        trainer = make_search_trainer(context, net, search_teacher(context))
        yield from run_training(context, trainer, journal, should_stop, guard=CollapseGuard(context.recipe))
        with count_further_work(context, trainer, journal):
            yield from decide(context, net, trainer.stages, journal, should_stop)
        record = {
            "cost": cost_record(context, "search"),
            "expected_costs": _explained_variance(trainer),
            "warnings": read_warnings(context),
        }
    else:
        record = {"cost": no_cost(context)}
        yield from decide(context, None, (), journal, should_stop)
    context.folder.finish("search", {**record, "ratings": write_ratings(context)})


def rehearse(context: RunContext) -> None:
    """Assembles the search and throws it away, so that what would be refused later is refused now, as InputError.

    Validations and tournaments that cannot be held, budgets that no architecture keeps, and a retraining without the
    network that it is to learn from, are refused first.

    In place of a teacher that has yet to be trained stands its network with initial weights.
    """
    composition = context.composition
    refuse_validation(context)
    refuse_tournament(context)
    refuse_impossible(context)
    refuse_missing_teacher(context)
    for reference in references_of(context).values():
        reference.load_weights(reference.network(context.shape))
    if composition.optimizer.trains:
        teacher = search_teacher(context)
        if teacher is None and (untrained := make_teacher_trainer(context)) is not None:
            teacher = untrained.net
        net = composition.space.supernet(context.shape)
        trainer = make_search_trainer(context, net, teacher)
        state = initial_search_state(context, net, trainer.stages)
        composition.optimizer.check_limits(state)


def found_genotypes(context: RunContext) -> list[Genotype]:
    """Every architecture that the search left, in its order: snapshots, then those it decided on at its end."""
    events = [event for event in read_events(context.folder.events) if event["phase"] == "search"]
    records = [event.get("snapshot") or event.get("genotype") for event in events]
    return [Genotype.from_dict(record) for record in records if record]


def _explained_variance(trainer: Trainer) -> dict[str, float]:
    """By measure for whose expected cost alpha paid, how much of the variance of costs it explains."""
    return {} if trainer.resource_term is None else dict(trainer.resource_term.r_squared)
