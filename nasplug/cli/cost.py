"""`nasplug cost`: what a network costs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import click

from nasplug.cli.genotypes import read_genotype
from nasplug.cli.output import echo
from nasplug.cli.parameters import LARGEST_SIDE, MOST_CLASSES
from nasplug.compose import parse_setting
from nasplug.parts import CostMeasure, SearchSpace
from nasplug.plugins import load_plugins
from nasplug.plugins.program_objects import build_part
from nasplug.values import ImageShape

EVERY = "all"
"""What stands for all measures."""


@click.command()
@click.option("--space", "name", default="darts", show_default=True, help="Search space of the genotype.")
@click.option("--genotype", required=True, metavar="FILE_OR_TEXT", help="JSON, or a published notation of the space.")
@click.option(
    "--classes", default=10, show_default=True, type=click.IntRange(2, MOST_CLASSES), help="Classes to tell apart."
)
@click.option(
    "--size", default=32, show_default=True, type=click.IntRange(1, LARGEST_SIDE), help="Side of the images, in pixels."
)
@click.option(
    "--channels", default=3, show_default=True, type=click.IntRange(1, 4), help="Colour planes of the images."
)
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
    classes: int,
    size: int,
    channels: int,
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
    shape = ImageShape(channels=channels, size=size, classes=classes)
    if not measures:
        price = space.cost(architecture, shape)
        costs: dict[str, float] = {"params": price.params, "macs": price.macs}
        text = f"{price.params:,} params, {price.macs:,} multiply-accumulates per image"
    else:
        built: dict[str, CostMeasure] = {word: build_part(plugins, "cost", word, options[word]) for word in measures}
        net = space.network(architecture, shape).eval()
        costs = {word: measure.cost(net, (channels, size, size)) for word, measure in built.items()}
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
