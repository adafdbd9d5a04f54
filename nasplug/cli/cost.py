"""`nasplug cost`: what a network costs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import click

from nasplug.cli.genotypes import read_genotype
from nasplug.cli.output import echo
from nasplug.cli.shape_options import shape_options
from nasplug.compose import parse_setting
from nasplug.parts import CostMeasure, SearchSpace
from nasplug.plugins import load_plugins
from nasplug.plugins.program_objects import build_part
from nasplug.runs.form_fit import input_shape

EVERY = "all"
"""What stands for all measures."""


@click.command()
@click.option("--space", "name", default="darts", show_default=True, help="Search space of the genotype.")
@click.option("--genotype", required=True, metavar="FILE_OR_TEXT", help="JSON, or a published notation of the space.")
@shape_options
@click.option(
    "--measure",
    "measures",
    multiple=True,
    metavar="NAME",
    help="A cost to print, or all; may be repeated. `nasplug list cost` names them.  [default: params, macs]",
)
@click.option("--set", "settings", multiple=True, metavar="SECTION.OPTION=VALUE", help="Options of space or measures.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def cost(
    name: str,
    genotype: str,
    size: int,
    channels: int | None,
    classes: int,
    signals: bool,
    measures: Sequence[str],
    settings: Sequence[str],
    as_json: bool,
) -> None:
    """What the stand-alone network of a genotype costs: parameters and multiply-accumulates, or any other measure."""
    plugins = load_plugins()
    if EVERY in measures:
        measures = [registration.name for registration in plugins.registrations if registration.slot == "cost"]
    options = group_settings(settings, ["space", *measures])
    space: SearchSpace = build_part(plugins, "space", name, options["space"])
    architecture = read_genotype(space, genotype)
    shape = input_shape(space, size=size, channels=channels, classes=classes, signals=signals)
    if not measures:
        price = space.cost(architecture, shape)
        costs: dict[str, float] = {"params": price.params, "macs": price.macs}
        text = f"{price.params:,} params, {price.macs:,} multiply-accumulates per {shape.input_word}"
    else:
        built: dict[str, CostMeasure] = {word: build_part(plugins, "cost", word, options[word]) for word in measures}
        net = space.network(architecture, shape).eval()
        costs = {word: measure.cost(net, shape.tensor_shape) for word, measure in built.items()}
        width = max(map(len, built))
        text = "\n".join(f"{word:<{width}}  {measure.unit.format(costs[word])}" for word, measure in built.items())
    echo(json.dumps(costs) if as_json else text)


def group_settings(settings: Sequence[str], sections: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The options of --set by section: those of the space, and of the measures that are asked for."""
    options: dict[str, dict[str, Any]] = {section: {} for section in sections}
    for setting in settings:
        section, option, value = parse_setting(setting, sections, "section of options here")
        options[section][option] = value
    return options
