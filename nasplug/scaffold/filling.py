"""Templates: texts with places like @@short, which neither Python nor TOML, YAML or Markdown has a use for."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from string import Template


class Text(Template):
    """A text with places to fill in, @@name or @@{name}."""

    delimiter = "@@"


def fill(text: str, values: Mapping[str, str]) -> str:
    """The text with every place filled in."""
    return Text(text).substitute(values)


def template(name: str) -> str:
    """A template that comes with nasplug, such as "package/README.md"."""
    return (resources.files("nasplug.scaffold") / "templates" / f"{name}.tmpl").read_text(encoding="utf-8")
