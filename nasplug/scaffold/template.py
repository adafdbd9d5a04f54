"""Templates with placeholders such as @@short, a notation that Python, TOML, YAML and Markdown do not use."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import resources
from string import Template


class Text(Template):
    """A text with placeholders @@name or @@{name}."""

    delimiter = "@@"


def fill(text: str, values: Mapping[str, str]) -> str:
    """The text with every placeholder replaced; KeyError for one without a value."""
    return Text(text).substitute(values)


def read_template(name: str) -> str:
    """The text of a template of nasplug by its path without suffix, such as "package/README.md"."""
    return (resources.files("nasplug.scaffold") / "templates" / f"{name}.tmpl").read_text(encoding="utf-8")
