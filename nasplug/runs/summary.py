"""Writes `result.json`: what a run has come to, at any time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import attrs

from nasplug.errors import InputError, one_line
from nasplug.runs.bracket import read_brackets, tournament_phases
from nasplug.runs.context import RunContext
from nasplug.runs.decision import read_scores
from nasplug.runs.distillation import Distillation
from nasplug.runs.expected_cost import describe_estimates
from nasplug.runs.ranking import is_sample
from nasplug.runs.references import references_of
from nasplug.runs.training_task import plan_retrainings
from nasplug.runs.validation import count_diverged, read_validation
from nasplug.store.best import best_network, pareto_front
from nasplug.store.exports import EXPORTS
from nasplug.store.network_result import NetworkResult
from nasplug.store.networks import PlannedNetwork
from nasplug.store.result import SCHEMA, largest_error
from nasplug.store.run_folder import RunFolder, write_json
from nasplug.values import Genotype, is_within


def write_result(context: RunContext, status: str, plans: Sequence[PlannedNetwork]) -> dict[str, Any]:
    """Writes `result.json` and the genotype files from what the finished phases recorded."""
    folder, recipe = context.folder, context.recipe
    tests = folder.done("test") or {}
    for plan in plans:
        if plan.genotype is not None:
            write_json(folder.path / "genotypes" / f"{plan.id}.json", plan.genotype.to_dict())
    search = folder.done("search") or {}
    ratings = search.get("ratings", [])
    scores = read_scores(context) if plans else {}
    networks, results = [], []
    data = context.preprocessing() | {"skipped": len(context.record.skipped) if context.record else 0}
    for plan in plans:
        try:
            networks.append(_network(context, plan, tests, scores))
            results.append(NetworkResult.from_entry(networks[-1], largest_error(data)))
        except (AttributeError, InputError, KeyError, TypeError) as error:
            raise InputError(
                f"What '{folder.path / 'phases'}' records of the network '{plan.id}' is damaged ({one_line(error)}); "
                f"remove '{plan.phase}/done.json' and 'test/done.json' there, and 'nasplug resume' does them again."
            ) from error
    best = best_network(results)
    distillation = Distillation.of(context)
    result = {
        "schema": SCHEMA,
        "status": status,
        "method": recipe.run.method,
        "space": recipe.parts["space"].name,
        "dataset": recipe.data.name,
        "seed": recipe.run.seed,
        "data": data,
        "folds": recipe.data.folds,
        "selected_by": recipe.select.by,
        "splits": {name: len(getattr(context.splits, name)) for name in ("train", "validation", "test")},
        "digests": _digests(context),
        "cost": _costs(context, plans),
        "units": {name: attrs.asdict(measure.unit) for name, measure in context.composition.costs.items()},
        "budgets": [dict(budget) for budget in recipe.budget.points],
        "figures": [attrs.asdict(figure) for figure in context.composition.schedule.figures],
        "selector": {"part": recipe.parts["selector"].name, "score": context.composition.selector.score},
        "ratings": ratings,
        "tournament": [bracket.result(folder, plans).to_entry() for bracket in read_brackets(folder) or ()],
        "distillation": None if distillation is None else distillation.to_dict(),
        "leaks": list(context.leaks),
        "notes": [
            *context.leaks,
            *context.notes,
            *([] if distillation is None else [distillation.describe()]),
            *search.get("warnings", ()),
            *_divergence_notes(context, search.get("diverged", 0)),
            *_sampling_notes(ratings),
            *describe_estimates(search.get("expected_costs", {})),
            *_table_notes(networks),
            *_statistics_notes(networks, context.data.input_word),
            *_reference_notes(context, plans),
            *_shared_notes(context, plans),
            *_changed_notes(context, plans),
        ],
        "networks": networks,
        "front": list(pareto_front(results)),
        "best": best.id if best else None,
        **_exports(folder),
    }
    folder.write_result(result)
    return result


def _network(
    context: RunContext, plan: PlannedNetwork, tests: Mapping[str, Any], scores: Mapping[Genotype, float]
) -> dict[str, Any]:
    done = context.folder.done(plan.phase)
    source = done.get("source", "trained") if done else "trained"
    by_class = tests.get("by_class", {}).get(plan.id)
    recipe = context.recipe
    validation = read_validation(context.folder, plan.phase, recipe.data.folds)
    return {
        "id": plan.id,
        "role": plan.role,
        "matched_to": plan.matched_to,
        "params": plan.costs.params,
        "macs": plan.costs.macs,
        "costs": dict(plan.costs),
        "estimates": dict(plan.estimates),
        "measurements": {name: dict(details) for name, details in plan.measurements.items()},
        "budget": dict(plan.budget),
        "score": scores.get(plan.genotype) if plan.role == "found" and plan.genotype is not None else None,
        "val_error": None if validation is None else validation.error,
        "val_standard_error": None if validation is None else validation.standard_error,
        "balanced_val_error": None if validation is None else validation.balanced_error,
        "selection_error": None if validation is None else validation.chosen_by(recipe.select.by),
        "train_loss": done["train_loss"] if done else None,
        "test_error": tests.get("errors", {}).get(plan.id),
        "test_error_by_class": by_class,
        "balanced_test_error": _mean(by_class),
        "confusion": tests.get("confusion", {}).get(plan.id),
        "source": source,
        "statistics_images": done.get("statistics_images", 0) if done else None,
        "genotype": None if plan.genotype is None else f"genotypes/{plan.id}.json",
        "reference": plan.reference,
        "weights": f"weights/{plan.id}.safetensors" if done and source == "trained" else None,
        "network": {**plan.size, "classes": context.shape.classes, "size": context.shape.size},
    }


def _exports(folder: RunFolder) -> dict[str, Any]:
    """What was exported from this run before the result is written again."""
    try:
        return {name: value for name, value in folder.result().items() if name == EXPORTS}
    except InputError:  # there is no result yet, or it is damaged
        return {}


def _mean(by_class: Sequence[float | None] | None) -> float | None:
    known = [error for error in by_class or () if error is not None]
    return sum(known) / len(known) if known else None


def _digests(context: RunContext) -> dict[str, str] | None:
    """What identifies the images, and those of each split; None for a run that did not record its images."""
    record = context.record
    return None if record is None else {"data": record.digest(), **record.split_digests(context.splits)}


def _sampling_notes(ratings: Sequence[Mapping[str, Any]]) -> list[str]:
    notes = []
    for rating in ratings:
        if rating["rated"] < rating["paths"]:
            where = "the network" if rating["block"] is None else f"block {rating['block']}"
            notes.append(
                f"A random sample of {rating['rated']:,} of the {rating['paths']:,} paths through {where} was rated."
            )
    return notes


def _changed_notes(context: RunContext, plans: Sequence[PlannedNetwork]) -> list[str]:
    """What is said of networks whose architectures the search has not left."""
    model = context.cost_model(context.composition.space)
    return [
        f"All architectures that the search found cost too much for {model.describe(plan.budget)}, even at their "
        f"smallest; {plan.id} is the smallest of them, changed by random mutations until it kept this budget."
        for plan in plans
        if plan.changed
    ]


def _table_notes(networks: Sequence[Mapping[str, Any]]) -> list[str]:
    count = sum(network["source"] == "table" for network in networks)
    return [f"{count} of {len(networks)} networks were looked up in a table, not trained here."] if count else []


def _divergence_notes(context: RunContext, trials: int) -> list[str]:
    """How many networks diverged that were trained to choose among them; `trials` are those of the selector."""
    count = trials + count_diverged(context.folder, tournament_phases(context.folder))
    if not count:
        return []
    return [
        f"{count} of the trainings by which networks were chosen diverged: they count as the worst. A lower "
        f"learning rate may help: --set retrain.lr={context.recipe.retrain.lr / 4:g}."
    ]


def _reference_notes(context: RunContext, plans: Sequence[PlannedNetwork]) -> list[str]:
    """Which reference networks were left out."""
    if not plans:
        return []
    model = context.cost_model(context.composition.space)
    return [
        f"The reference network '{name}' was left out: at no width "
        + (f"has it at most {model.describe(budget)}." if budget else "is it as small as the largest found network.")
        for budget in context.recipe.budget.points or ({},)
        for name in references_of(context)
        if not any(plan.reference == name and is_within(plan.costs, budget) for plan in plans)
    ]


def _shared_notes(context: RunContext, plans: Sequence[PlannedNetwork]) -> list[str]:
    """Budgets whose found networks are those of another one: they come out at the same size.

    A sample of the order of a search is of one budget, whatever others the run of the search has.
    """
    if not plans or is_sample(context.folder):
        return []
    model = context.cost_model(context.composition.space)
    own = [plan.budget for plan in plans if plan.role == "found"]
    return [
        f"The found networks within {model.describe(budget)} are those of another budget, which come out at the same "
        f"size; they are trained once."
        for budget in context.recipe.budget.points
        if budget not in own
    ]


def _statistics_notes(networks: Sequence[Mapping[str, Any]], word: str) -> list[str]:
    images = {network["statistics_images"] for network in networks if network["statistics_images"]}
    if not images:
        return []
    trained = [network for network in networks if network["weights"]]
    count = sum(bool(network["statistics_images"]) for network in trained)
    which = "all trained networks" if count == len(trained) else f"{count} of {len(trained)} trained networks"
    return [
        f"The batch-norm statistics of {which} were measured on {max(images):,} training {word}s after the training, "
        f"which was too short for running averages."
    ]


def _costs(context: RunContext, plans: Sequence[PlannedNetwork]) -> dict[str, Any]:
    folder = context.folder
    trainings = (task.phase for task in plan_retrainings(context, plans))
    names = ["teacher", "search", *tournament_phases(folder), *trainings]
    records = {name: folder.done(name) for name in names}
    return {name: record["cost"] for name, record in records.items() if record and "cost" in record}
