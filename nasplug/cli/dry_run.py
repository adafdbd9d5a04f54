"""`--dry-run`: what a run would do, without doing it."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import attrs
import tomli_w

from nasplug.cli.output import echo
from nasplug.cli.tables import write_rows
from nasplug.parts import CostMeasure
from nasplug.plugins import Plugins
from nasplug.plugins.program_objects import build_part
from nasplug.runs.context import RunContext, show_notes
from nasplug.runs.cost_ranges import find_cost_ranges
from nasplug.runs.create import start
from nasplug.runs.distillation import Distillation
from nasplug.runs.estimate import PhaseEstimate, estimate_run
from nasplug.runs.retrain_size import retrain_models, scales
from nasplug.values.cost import COUNTED
from nasplug.values.recipe import SLOTS, Recipe


def write_estimate(plugins: Plugins, recipe: Recipe) -> None:
    """Prints the resolved recipe, and on stderr the packages of its parts, the phases to come and their estimated cost.

    So the standard output is a file for --config.
    """
    with TemporaryDirectory(prefix="nasplug-dry-run-") as scratch:
        context = start(Path(scratch) / "run", plugins, recipe, [])
        show_notes(context)
        recipe = context.recipe
        echo(tomli_w.dumps(recipe.to_dict()).rstrip())
        write_rows(["slot", "part", "from"], _list_suppliers(plugins, recipe), err=True)
        _write_costs(plugins, context)
        if (distillation := Distillation.of(context)) is not None:
            echo(f"\n{distillation.describe()}", err=True)
        echo(f"\nMeasuring a few steps of each phase on {context.device} ({context.data.name}) ...\n", err=True)
        estimates = list(estimate_run(context))
    write_rows(
        ["phase", "phases", "steps each", "seconds a step", "time", "peak memory"],
        [_format_row(estimate) for estimate in estimates],
        err=True,
    )
    total = format_duration(sum(estimate.seconds for estimate in estimates))
    memory = max(estimate.peak_memory_bytes for estimate in estimates)
    echo(f"\nAbout {total} of training and {memory / 2**30:.1f} GiB, as far as these steps tell.", err=True)


def estimate_seconds(plugins: Plugins, recipe: Recipe) -> float:
    """How long the training of a run of this recipe takes, from a few steps of each of its phases."""
    with TemporaryDirectory(prefix="nasplug-dry-run-") as scratch:
        context = start(Path(scratch) / "run", plugins, recipe, [])
        return sum(estimate.seconds for estimate in estimate_run(context))


def _write_costs(plugins: Plugins, context: RunContext) -> None:
    """Prints how many architectures the space has, where they can be counted, and what they cost by every measure."""
    space = context.composition.space
    base, _ = retrain_models(context)
    registrations = [registration for registration in plugins.registrations if registration.slot == "cost"]
    others: dict[str, CostMeasure] = {
        registration.name: build_part(plugins, "cost", registration.qualified, {})
        for registration in registrations
        if registration.name not in COUNTED
    }
    measures = {**others, **base.measures}
    model = attrs.evolve(base, measures=measures)
    count = space.paths(None).count
    echo(f"\n{count:,} architectures in the space; networks at {dict(base.space.size())} cost:\n", err=True)
    rows = []
    for found in find_cost_ranges(model, context.random("costs")):
        unit = model.units[found.measure]
        ends = (found.smallest, found.median, found.largest)
        rows.append([found.measure, *map(unit.format, ends)])
    write_rows(["cost", "smallest", "median", "largest"], rows, err=True)
    for budget in context.recipe.budget.points:
        how = "scaled to" if scales(context, budget) else "chosen from those with"
        echo(f"\nNetworks are {how} at most {model.describe(budget)}.", err=True)


def format_duration(seconds: float) -> str:
    """A duration as text, in its two largest units."""
    minutes, hours = seconds / 60, seconds / 3600
    if hours >= 48:
        return f"{hours / 24:.1f} days"
    if hours >= 1:
        return f"{int(hours)} h {int(minutes % 60)} min"
    return f"{int(minutes)} min {int(seconds % 60)} s" if minutes >= 1 else f"{seconds:.0f} s"


def _list_suppliers(plugins: Plugins, recipe: Recipe) -> list[list[str]]:
    names = {"method": recipe.run.method, **{slot: recipe.parts[slot].name for slot in SLOTS}}
    names["dataset"] = recipe.source.name
    return [[slot, name, plugins.find(slot, name).source] for slot, name in names.items()]


def _format_row(estimate: PhaseEstimate) -> list[str]:
    phases = f"{estimate.phases}, {estimate.at_once} at once" if estimate.at_once > 1 else str(estimate.phases)
    return [
        estimate.name,
        phases,
        f"{estimate.steps:,}",
        f"{estimate.seconds_per_step:.3f}",
        format_duration(estimate.seconds),
        f"{estimate.peak_memory_bytes / 2**30:.2f} GiB",
    ]
