"""A run that trains a sample of architectures in the order in which a finished search has left them."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import torch

from nasplug.compose import resolve_recorded
from nasplug.compose.layers import BUDGET, SECTIONS
from nasplug.errors import InputError, quote
from nasplug.plugins import Plugins
from nasplug.runs.context import RunContext, environment, reopen_context
from nasplug.runs.create import new_folder
from nasplug.runs.distillation import refuse_missing_teacher
from nasplug.runs.measuring import plan_at_size
from nasplug.runs.retrain_size import retrain_models, scales
from nasplug.runs.scaling import GenotypeSizes, fit, size_genotype
from nasplug.runs.search_order import Scored, SearchOrder, read_order
from nasplug.runs.tabular import adopt_table
from nasplug.store.files import copy_whole
from nasplug.store.networks import PlannedNetwork
from nasplug.store.run_folder import RunFolder
from nasplug.values import Genotype, Progress
from nasplug.values.options import build
from nasplug.values.recipe import EXECUTOR, Recipe, RetrainOptions

COPIED = ("splits.safetensors", "data.json", "table.csv", "phases/table", "phases/teacher")
"""What the sample has from the run of the search."""
FINISHED = ("teacher", "search")
"""The phases that are not repeated."""


def ranking_recipe(plugins: Plugins, source: RunFolder, changes: Mapping[str, Mapping[str, Any]]) -> Recipe:
    """The recipe by which the sample is trained: that of the run, without other networks, tournament and folds.

    Errors are those on the validation and the test images together, which no training must have seen. Only the costs
    that the budget limits are measured. `changes` are options by section; with other epochs, the learning rate falls
    over them as over those of the run (`Training.shortened`).
    """
    layer = source.recipe_layer()
    layer["data"]["folds"] = 0
    layer["select"] |= {"random": 0, "references": [], "measures": [], "candidates": 0, "share_weights": False}
    kept = (*SECTIONS, BUDGET, EXECUTOR, *layer.get(BUDGET, {}))
    sections = {name: section for name, section in layer.items() if name in kept}
    for name, options in changes.items():
        sections[name] = {**sections[name], **options}
    recipe = resolve_recorded(plugins, sections, source.path)
    of_run = build(RetrainOptions, layer["retrain"], "retrain")
    return attrs.evolve(recipe, retrain=of_run.shortened(recipe.retrain.epochs))


def is_sample(folder: RunFolder) -> bool:
    """Whether the networks of a run are a sample of the order of another run's search."""
    return "scores" in (folder.done("select") or {})


def start_ranking(source: RunContext, out: Path, recipe: Recipe, command: list[str]) -> Generator[Progress, None, None]:
    """Creates the run in `out`, ready to be carried out: its networks are a sample of the order of the search.

    The number of networks is that of the recipe; `command` is what the user has typed. Raises InputError if the search
    has left no order, if no image is held out, or if `out` is in use.
    """
    if len(source.splits.validation) + len(source.splits.test) == 0:
        raise InputError(
            f"The run {quote(source.folder.path)} holds out no image on which errors could be compared; name a run "
            f"with data.validation or data.test above 0."
        )
    with new_folder(out) as folder:
        for name in COPIED:
            copy_whole(source.folder.path / name, folder.path / name)
        for phase in FINISHED:
            folder.finish(phase, source.folder.done(phase) or {})
        sections = recipe.to_dict()
        plugins = {**sections["plugins"], **source.folder.recipe()["plugins"]}
        folder.write_recipe({**sections, "plugins": plugins, "environment": environment(command)})
        context = reopen_context(folder, source.plugins)
        if recipe.run.table != source.recipe.run.table:
            adopt_table(context)
        refuse_missing_teacher(context)
        torch.set_num_threads(recipe.run.threads)
        order = read_order(source)
        plans: list[PlannedNetwork] = []
        scores: dict[str, dict[str, float]] = {name: {} for name in order.names}
        for stratum in order.draw_strata(recipe.select.networks, context.random("rank")):
            plan, scored = _plan_one(context, stratum)
            plans.append(plan)
            for name, score in _score(order, scored).items():
                scores[name][plan.id] = score
            yield Progress("sample", len(plans), recipe.select.networks, "architectures scored")
        folder.finish("select", {"plans": [plan.to_dict() for plan in plans], "scores": scores})


def _plan_one(context: RunContext, stratum: Sequence[Scored]) -> tuple[PlannedNetwork, Scored]:
    """The first of these architectures that can be trained."""
    for genotype, score in stratum:
        plan = _plan(context, genotype)
        if plan is not None:
            return plan, (genotype, score)
    raise InputError(
        f"Of {len(stratum)} architectures that are neighbours in the order of the search, none can be made as small as "
        f"the budget of {quote(context.folder.path)} asks for; ask for fewer networks, or take a run with a larger "
        f"budget."
    )


def _plan(context: RunContext, genotype: Genotype) -> PlannedNetwork | None:
    """An architecture as large as the budget allows, else at the size of the retraining; None if nothing fits."""
    model = retrain_models(context)[0]
    budget = next(iter(context.recipe.budget.points), {})
    if not scales(context, budget):
        return plan_at_size(context, "found", genotype, size_genotype(model, genotype, {}), {})
    network = fit(GenotypeSizes(model, genotype), budget, context.composition.costs, context.shape)
    return None if network is None else plan_at_size(context, "found", genotype, network, budget)


def _score(order: SearchOrder, scored: Scored) -> dict[str, float]:
    """All scores of an architecture by name."""
    genotype, quick = scored
    known = {} if order.quick is None else {order.quick: quick}
    return known | {name: measure(genotype) for name, measure in order.computed.items()}
