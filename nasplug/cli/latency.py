"""`nasplug latency`: the table of what layers take on this machine."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

import click

from nasplug.cli.cost import group_settings
from nasplug.cli.output import echo
from nasplug.cli.shape_options import shape_options
from nasplug.errors import InputError
from nasplug.parts import CostMeasure, LayerSpec, SearchSpace
from nasplug.parts.cost_model import LayerCost
from nasplug.plugins import load_plugins
from nasplug.plugins.program_objects import build_part
from nasplug.runs.form_fit import input_shape
from nasplug.store.layer_table import LayerTable
from nasplug.values import ImageShape

REPORT_SECONDS = 2.0
"""Least time between two lines of progress."""


@click.command()
@click.option("--space", "name", default="darts", show_default=True, help="Search space whose layers are measured.")
@shape_options
@click.option(
    "--width",
    "widths",
    multiple=True,
    type=click.IntRange(min=1),
    help="Channels of networks, in place of space.channels; may be repeated.",
)
@click.option(
    "--networks",
    default=200,
    show_default=True,
    type=click.IntRange(1, 100_000),
    help="Random networks of each width whose layers are measured.",
)
@click.option("--set", "settings", multiple=True, metavar="SECTION.OPTION=VALUE", help="Options of space or latency.")
@click.option("--rebuild", is_flag=True, help="Measure these layers again; others in the table stay.")
@click.option("--path", "only_path", is_flag=True, help="Print where the table is, and measure nothing.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def latency(
    name: str,
    size: int,
    channels: int | None,
    classes: int,
    signals: bool,
    widths: Sequence[int],
    networks: int,
    settings: Sequence[str],
    rebuild: bool,
    only_path: bool,
    as_json: bool,
) -> None:
    """What the layers of a search space take on this machine, in a table that later runs read.

    Layers that the table has already are not measured again.
    """
    plugins = load_plugins()
    options = group_settings(settings, ["space", "latency"])
    measure: CostMeasure = build_part(plugins, "cost", "latency", options["latency"])
    table = LayerTable(notice=lambda sentence: echo(sentence, err=True))
    if only_path:
        echo(table.path(measure))
        return
    space: SearchSpace = build_part(plugins, "space", name, options["space"])
    shape = input_shape(space, size=size, channels=channels, classes=classes, signals=signals)
    layers = _find_layers(space, widths, networks, shape)
    cost_of = table.measure_again if rebuild else table
    costs = _measure_layers(cost_of, measure, layers)
    base = cost_of(measure, None)
    if as_json:
        rows = [{"layer": layer.key, "shape": layer.shape, "cost": cost} for layer, cost in costs.items()]
        facts = {"path": str(table.path(measure)), "environment": dict(measure.environment())}
        echo(json.dumps({**facts, "unit": str(measure.unit), "base": base, "layers": rows}))
    else:
        echo(_describe(table, measure, base, costs))


def _find_layers(space: SearchSpace, widths: Sequence[int], networks: int, shape: ImageShape) -> list[LayerSpec]:
    """The layers of random networks of each width, each once, from the key that comes first."""
    found: dict[LayerSpec, None] = {}
    for each in [space.scaled(channels=width) for width in widths] or [space]:
        for seed in range(networks):
            layers = each.layer_list(each.random(Random(seed)), shape)
            if layers is None:
                raise InputError(
                    f"The space '{space.name}' lists no layers, so that only whole networks can be measured: "
                    f"nasplug cost --space {space.name} --measure latency --genotype FILE."
                )
            found.update(dict.fromkeys(layers))
    return sorted(found, key=lambda layer: (layer.key, layer.shape))


def _measure_layers(cost_of: LayerCost, measure: CostMeasure, layers: Sequence[LayerSpec]) -> Mapping[LayerSpec, float]:
    """The costs of all layers; says on standard error how far it has come."""
    costs: dict[LayerSpec, float] = {}
    said = time.monotonic()
    for number, layer in enumerate(layers, 1):
        costs[layer] = cost_of(measure, layer)
        if time.monotonic() - said >= REPORT_SECONDS:
            said = time.monotonic()
            echo(f"{number} of {len(layers)} layers", err=True)
    return costs


def _describe(table: LayerTable, measure: CostMeasure, base: float, costs: Mapping[LayerSpec, float]) -> str:
    rows: list[tuple[Any, ...]] = [("layer", "input", "time"), ("(any network)", "", measure.unit.format(base))]
    rows += [(layer.key, "x".join(map(str, layer.shape)), measure.unit.format(cost)) for layer, cost in costs.items()]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = [f"{key:<{widths[0]}}  {shape:<{widths[1]}}  {cost:>{widths[2]}}" for key, shape, cost in rows]
    facts = ", ".join(f"{name} {value}" for name, value in measure.environment().items())
    return "\n".join([*lines, "", facts, str(table.path(measure))])
