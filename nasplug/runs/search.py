"""The phase `search` of a run: from a supernet to the architectures that the search leaves."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import attrs
import torch

from nasplug.engine import Trainer
from nasplug.parts import Network, Supernet
from nasplug.plugins.hook_calls import note
from nasplug.runs.budget_check import refuse_impossible
from nasplug.runs.candidates import refuse_tournament
from nasplug.runs.collapse import CollapseGuard, read_warnings
from nasplug.runs.context import RunContext
from nasplug.runs.decision import decide, initial_search_state, read_scores, write_ratings
from nasplug.runs.distillation import load_search_teacher, refuse_missing_teacher
from nasplug.runs.expected_cost import describe_cheapest
from nasplug.runs.further_work import cost_of_trials, discard_further_work, finished_trials
from nasplug.runs.references import references_of
from nasplug.runs.search_trainer import make_search_trainer
from nasplug.runs.signals import ShouldStop
from nasplug.runs.teacher_training import make_teacher_trainer
from nasplug.runs.training import cost_record, count_further_work, run_training
from nasplug.runs.validation import count_diverged, refuse_validation
from nasplug.store.events import EventCallback, Journal, ignore_event, read_events
from nasplug.values import Genotype, Progress


def search(
    context: RunContext, journal: Journal, should_stop: ShouldStop, on_event: EventCallback = ignore_event
) -> Iterator[Progress]:
    """Searches, and records every architecture that the search finds.

    `on_event` is called with the events of phases that have journals of their own.
    """
    if context.composition.optimizer.trains:
        trainer = begin_search(context, load_search_teacher)
        guard = CollapseGuard(context.recipe, alpha_decides=context.composition.selector.decodes)
        yield from run_training(context, trainer, SearchTraining(), journal, should_stop, guard=guard)
        with count_further_work(context, trainer.name, journal):
            yield from decide(context, trainer, journal, should_stop, on_event)
        record = {
            "cost": cost_record(context, "search"),
            "expected_costs": _explained_variance(trainer),
            "warnings": [*read_warnings(context), *_say_if_cheapest(context, trainer)],
        }
    else:
        yield from decide(context, None, journal, should_stop, on_event)
        record = {"cost": cost_of_trials(context)}
    diverged = count_diverged(context.folder, finished_trials(context.folder))
    record |= {"ratings": write_ratings(context), "diverged": diverged}
    context.folder.finish("search", record)
    discard_further_work(context)


def _say_if_cheapest(context: RunContext, trainer: Trainer) -> list[str]:
    """What is to be said where costs have decided the search, which is then on stderr, too."""
    term, found = trainer.resource_term, found_genotypes(context)
    if term is None or not found:
        return []
    said = describe_cheapest(context.recipe, context.composition.space, trainer.choices, term, found)
    for sentence in said:
        note(f"Note: {sentence}")
    return said


@attrs.frozen
class SearchTraining:
    """The training of the supernet, for ranks that join it."""

    def make_trainer(self, context: RunContext, searched: Trainer | None) -> Trainer:
        """The trainer of the search."""
        return begin_search(context, load_search_teacher)


def begin_search(context: RunContext, find_teacher: Callable[[RunContext, Supernet], Network | None]) -> Trainer:
    """The trainer of a run's search, whose supernet has its initial weights; `find_teacher` gives what it learns from.

    The trainer holds the only reference to the supernet, so that its memory is freed when a later one replaces it.
    """
    torch.manual_seed(context.seed("search", "weights"))
    net = context.composition.space.supernet(context.shape)
    return make_search_trainer(context, net, find_teacher(context, net))


def rehearse(context: RunContext) -> None:
    """Assembles the search and throws it away, so that what would be refused later is refused now, as InputError.

    Validations and tournaments that cannot be held, budgets that no architecture keeps, and a retraining without the
    network that it is to learn from, are refused first.
    """
    composition = context.composition
    refuse_validation(context)
    refuse_tournament(context)
    refuse_impossible(context)
    refuse_missing_teacher(context)
    for reference in references_of(context).values():
        reference.load_weights(reference.network(context.shape))
    trainer = None
    if composition.optimizer.trains:
        net = composition.space.supernet(context.shape)
        trainer = make_search_trainer(context, net, stand_in_teacher(context, net))
    composition.selector.check_limits(initial_search_state(context, trainer))


def stand_in_teacher(context: RunContext, student: Supernet) -> Network | None:
    """The network that a search with this supernet learns from; one that has yet to be trained has initial weights."""
    teacher = load_search_teacher(context, student)
    if teacher is None and context.teacher() is not None and (untrained := make_teacher_trainer(context)) is not None:
        return untrained.net
    return teacher


def found_genotypes(context: RunContext) -> list[Genotype]:
    """Every architecture that the search left, in its order.

    Those that the selector found, by their scores if it ranks them; before them the snapshots, if they count.
    """
    selector = context.composition.selector
    events = [event for event in read_events(context.folder.events) if event["phase"] == "search"]
    records = [(selector.decodes and event.get("snapshot")) or event.get("genotype") for event in events]
    found = [Genotype.from_dict(record) for record in records if record]
    if selector.best_first:
        scores = read_scores(context)
        found.sort(key=lambda genotype: scores.get(genotype, math.inf))  # snapshots may have none
    return found


def _explained_variance(trainer: Trainer) -> dict[str, float]:
    """By measure for whose expected cost alpha paid, how much of the variance of costs it explains."""
    return {} if trainer.resource_term is None else dict(trainer.resource_term.r_squared)
