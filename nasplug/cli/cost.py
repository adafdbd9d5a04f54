"""`nasplug cost`: what a network costs."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from nasplug.cli.output import echo
from nasplug.cli.parameters import LARGEST_SIDE, MOST_CLASSES
from nasplug.compose import parse_setting
from nasplug.errors import InputError, quote
from nasplug.formats.limits import FormatError
from nasplug.formats.regular_file import decode, find_kind, read_file
from nasplug.parts import CostMeasure, SearchSpace
from nasplug.plugins import Plugins, load_plugins
from nasplug.values import Genotype, ImageShape
from nasplug.values.options import build

NOTATION = frozenset("{[(|")
"""Letters of every notation of genotypes; a text with none of them was meant as the name of a file."""
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
    space: SearchSpace = build(plugins.resolve(plugins.find("space", name)), options["space"], f"space {name}")
    architecture = _read_genotype(space, genotype)
    shape = ImageShape(channels=channels, size=size, classes=classes)
    if not measures:
        price = space.cost(architecture, shape)
        costs: dict[str, float] = {"params": price.params, "macs": price.macs}
        text = f"{price.params:,} params, {price.macs:,} multiply-accumulates per image"
    else:
        built = {word: _build_measure(plugins, word, options[word]) for word in measures}
        net = space.network(architecture, shape).eval()
        costs = {word: measure.cost(net, (channels, size, size)) for word, measure in built.items()}
        width = max(map(len, built))
        text = "\n".join(f"{word:<{width}}  {measure.unit.format(costs[word])}" for word, measure in built.items())
    echo(json.dumps(costs) if as_json else text)


def _build_measure(plugins: Plugins, name: str, options: Mapping[str, Any]) -> CostMeasure:
    measure: CostMeasure = build(plugins.resolve(plugins.find("cost", name)), options, f"cost {name}")
    return measure


def group_settings(settings: Sequence[str], sections: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The options of --set by section: those of the space, and of the measures that are asked for."""
    options: dict[str, dict[str, Any]] = {section: {} for section in sections}
    for setting in settings:
        section, option, value = parse_setting(setting, sections, "section of options here")
        options[section][option] = value
    return options


def _read_genotype(space: SearchSpace, file_or_text: str) -> Genotype:
    """The genotype in the file of this name, or where there is none, the one that the text itself describes."""
    content = _read_file(file_or_text)
    if content is not None:
        return space.parse(content)
    try:
        return space.parse(file_or_text)
    except InputError as error:
        if set(file_or_text) & NOTATION:
            raise
        raise InputError(
            f"There is no genotype file {quote(file_or_text)}, and the space '{space.name}' cannot read it as text: "
            f"{error}"
        ) from error


def _read_file(name: str) -> str | None:
    """What the file of this name holds; None if there is none."""
    path = Path(name)
    try:
        if not name or find_kind(path) is None:
            return None
    except InputError:  # longer than any file name, or with letters that none has
        return None
    content = read_file(path, "genotype file")
    try:
        return decode(content)
    except FormatError as error:
        raise InputError(f"The genotype file {quote(path)} is not text that can be read: {error}.") from error
