"""The page on which parts go together, computed by `compose`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from nasplug.compose import compose, resolve
from nasplug.errors import InputError
from nasplug.plugins import Plugins
from reference_writers.environment import load, of_slot
from reference_writers.markdown import table

SPACES: Mapping[str, Mapping[str, Any]] = {
    "darts, topology=per-type": {"part": "darts", "topology": "per-type", "choices": "edge", "operations": ["darts"]},
    "darts, topology=per-cell": {"part": "darts", "topology": "per-cell", "choices": "node", "operations": ["nadd3"]},
    "nb201": {"part": "nb201"},
    "compact": {"part": "compact"},
    "mbconv": {"part": "mbconv"},
}
SELECTING = "nb201"
"""The space in which selectors are combined with optimizers."""
HEAD = """# Which parts go together

`docs/generate.py` writes this page by the checks that `nasplug run` makes before it starts; a test keeps it up to date.
`yes`: the combination runs; a number: the reason below why it is refused. The tests run all of them on tiny networks
(`uv run nox -s tests -- -m matrix`): each combination trains, finds architectures that can be written, read and built,
and resumes exactly, or is refused with a sentence that names what would fit.
"""


def composition() -> Iterator[str]:
    """The whole page."""
    plugins = load()
    reasons: dict[str, int] = {}
    yield HEAD
    yield "## Methods in spaces\n"
    yield from _methods(plugins, reasons)
    for name, space in SPACES.items():
        yield f"\n## Space {name}\n"
        yield from _parts(plugins, space, reasons)
    yield f"\n## Selectors, in the space {SELECTING}\n"
    yield from _selectors(plugins, reasons)
    yield "\n## Reasons\n"
    yield from (f"{number}. {reason}" for reason, number in reasons.items())


def _methods(plugins: Plugins, reasons: dict[str, int]) -> Iterator[str]:
    rows = []
    for method in _names(plugins, "method"):
        run = {"method": method, "preset": "tiny"}
        answers = [_answer(plugins, {"run": run, "space": space}, reasons) for space in SPACES.values()]
        rows.append([method, *answers])
    yield from table(["method", *SPACES], rows)


def _parts(plugins: Plugins, space: Mapping[str, Any], reasons: dict[str, int]) -> Iterator[str]:
    teachers = _names(plugins, "teacher")
    rows = []
    for optimizer in _names(plugins, "optimizer"):
        for schedule in _names(plugins, "schedule"):
            parts = {"space": space, "optimizer": {"part": optimizer}, "schedule": {"part": schedule}}
            layers = [{**parts, "teacher": {"part": teacher}} for teacher in teachers]
            rows.append([optimizer, schedule, *(_answer(plugins, layer, reasons) for layer in layers)])
    yield from table(["optimizer", "schedule", *(f"teacher {teacher}" for teacher in teachers)], rows)


def _selectors(plugins: Plugins, reasons: dict[str, int]) -> Iterator[str]:
    """With the teacher `labels` and the schedule `keep`; where no selector is named, an optimizer has its own."""
    selectors = _names(plugins, "selector")
    rows = []
    for optimizer in _names(plugins, "optimizer"):
        parts = {"space": SPACES[SELECTING], "optimizer": {"part": optimizer}}
        layers = [parts, *({**parts, "selector": {"part": selector}} for selector in selectors)]
        rows.append([optimizer, *(_answer(plugins, layer, reasons) for layer in layers)])
    yield from table(["optimizer", "no selector named", *(f"selector {selector}" for selector in selectors)], rows)


def _answer(plugins: Plugins, layer: Mapping[str, Mapping[str, Any]], reasons: dict[str, int]) -> str:
    try:
        compose(plugins, resolve(plugins, [layer]))
    except InputError as error:
        return str(reasons.setdefault(str(error), len(reasons) + 1))
    return "yes"


def _names(plugins: Plugins, slot: str) -> list[str]:
    return [registration.name for registration in of_slot(plugins, slot)]
