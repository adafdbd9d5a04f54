"""`nasplug cost`: what a network costs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from nasplug.compose import parse_setting
from nasplug.errors import InputError
from nasplug.parts import SearchSpace
from nasplug.plugins import load_plugins
from nasplug.values import ImageShape
from nasplug.values.options import build


@click.command()
@click.option("--space", "name", default="darts", show_default=True, help="Search space of the genotype.")
@click.option("--genotype", required=True, metavar="FILE_OR_TEXT", help="JSON, or a published notation of the space.")
@click.option("--classes", default=10, show_default=True, type=click.IntRange(min=2), help="Classes to tell apart.")
@click.option(
    "--size", default=32, show_default=True, type=click.IntRange(min=1), help="Side of the images, in pixels."
)
@click.option(
    "--channels", default=3, show_default=True, type=click.IntRange(1, 4), help="Colour planes of the images."
)
@click.option("--set", "settings", multiple=True, metavar="space.OPTION=VALUE", help="Options of the space.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def cost(
    name: str, genotype: str, classes: int, size: int, channels: int, settings: Sequence[str], as_json: bool
) -> None:
    """Parameters and multiply-accumulates of the stand-alone network of a genotype."""
    plugins = load_plugins()
    options: dict[str, Any] = {}
    for section, option, value in map(parse_setting, settings):
        if section != "space":
            raise InputError(f"'nasplug cost' takes options of the space only, but got '{section}.{option}'.")
        options[option] = value
    space: SearchSpace = build(plugins.resolve(plugins.find("space", name)), options, f"space {name}")
    architecture = space.parse(_text(genotype))
    price = space.cost(architecture, ImageShape(channels=channels, size=size, classes=classes))
    if as_json:
        click.echo(json.dumps({"params": price.params, "macs": price.macs}))
    else:
        click.echo(f"{price.params:,} params, {price.macs:,} multiply-accumulates per image")


def _text(file_or_text: str) -> str:
    """The content of a file, if there is one of that name; a genotype as text is longer than any file name."""
    try:
        path = Path(file_or_text)
        if path.is_file():
            return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError, ValueError) as error:
        if not isinstance(error, OSError):
            raise InputError(f"The genotype file '{file_or_text}' is not text: {error}.") from error
    if not set(file_or_text) & set("{("):
        raise InputError(
            f"There is no genotype file '{file_or_text:.200}'; --genotype takes a file, JSON or Genotype(normal=...)."
        )
    return file_or_text
