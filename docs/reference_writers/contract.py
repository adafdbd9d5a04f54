"""The page on the contract of plugins: what checks it, and every check with the mistake that it stands for."""

from __future__ import annotations

from collections.abc import Iterator

from nasplug import testing
from nasplug.plugins import SLOT_WORDS
from nasplug.testing.checks import CHECKS
from reference_writers.api import entries
from reference_writers.markdown import text

HEAD = """# The contract: `nasplug.testing`

What every plugin owes to those who choose it by name. `nasplug check` and `PluginContract` make these checks of each
thing that a plugin registers; [how to use them](../how-to/test-a-plugin.md).
"""
THINGS = {**SLOT_WORDS, "plugin": "package", "observer": "observer"}


def checks() -> Iterator[str]:
    """The whole page."""
    yield HEAD
    yield from entries(testing, testing.__all__)
    for each in CHECKS.values():
        yield f"\n## `{each.name}`\n"
        yield f"{text(each.summary)}. {text(each.story)}\n"
        yield f"Looked at: {', '.join(THINGS[slot] for slot in each.slots)}."
