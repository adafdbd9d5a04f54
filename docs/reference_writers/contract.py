"""The page on the contract of plugins: how to run the checks, and each check with the mistake that it finds."""

from __future__ import annotations

from collections.abc import Iterator

from nasplug import testing
from nasplug.plugins import SLOT_WORDS
from nasplug.testing.checks import CHECKS
from reference_writers.api import entries
from reference_writers.markdown import text

HEAD = """# The contract: `nasplug.testing`

What every plugin has to fulfil. `nasplug check` and `PluginContract` run these checks on each thing that a plugin
registers; [how to use them](../how-to/test-a-plugin.md).
"""
SUBJECTS = {**SLOT_WORDS, "plugin": "package", "observer": "observer"}


def checks() -> Iterator[str]:
    """The whole page."""
    yield HEAD
    yield from entries(testing, testing.__all__)
    for check in CHECKS.values():
        yield f"\n## `{check.name}`\n"
        yield f"{text(check.summary)}. {text(check.story)}\n"
        yield f"Checked for: {', '.join(SUBJECTS[slot] for slot in check.slots)}."
