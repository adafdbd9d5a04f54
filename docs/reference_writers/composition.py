"""The page on which parts go together, asked of the composition itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from nasplug.compose import compose, resolve
from nasplug.errors import InputError
from nasplug.plugins import Plugins
from reference_writers.environment import of_slot, plugins
from reference_writers.markdown import table

SPACES: Mapping[str, Mapping[str, Any]] = {
    "darts, topology=per-type": {"part": "darts", "topology": "per-type", "choices": "edge", "operations": ["darts"]},
    "darts, topology=per-cell": {"part": "darts", "topology": "per-cell", "choices": "node", "operations": ["nadd3"]},
    "nb201": {"part": "nb201"},
    "mbconv": {"part": "mbconv"},
}
HEAD = """# Which parts go together

`docs/generate.py` writes this page, and asks what `nasplug run` asks before it starts anything; a
test keeps this page up to date. `yes` runs; a number is the reason below why the combination is refused. The tests run
all of them on tiny networks (`uv run nox -s tests -- -m matrix`): each trains, finds architectures that survive JSON,
build and forward, and goes on exactly where it was stopped, or is refused with a sentence that names what would fit.
"""


def composition() -> Iterator[str]:
    """The whole page."""
    found = plugins()
    reasons: dict[str, int] = {}
    yield HEAD
    yield "## Methods in spaces\n"
    yield from _methods(found, reasons)
    for name, space in SPACES.items():
        yield f"\n## Space {name}\n"
        yield from _parts(found, space, reasons)
    yield "\n## Reasons\n"
    yield from (f"{number}. {reason}" for reason, number in reasons.items())


def _methods(found: Plugins, reasons: dict[str, int]) -> Iterator[str]:
    rows = []
    for method in _names(found, "method"):
        run = {"method": method, "preset": "tiny"}
        answers = [_answer(found, {"run": run, "space": space}, reasons) for space in SPACES.values()]
        rows.append([method, *answers])
    yield from table(["method", *SPACES], rows)


def _parts(found: Plugins, space: Mapping[str, Any], reasons: dict[str, int]) -> Iterator[str]:
    teachers = _names(found, "teacher")
    rows = []
    for optimizer in _names(found, "optimizer"):
        for schedule in _names(found, "schedule"):
            parts = {"space": space, "optimizer": {"part": optimizer}, "schedule": {"part": schedule}}
            asked = [{**parts, "teacher": {"part": teacher}} for teacher in teachers]
            rows.append([optimizer, schedule, *(_answer(found, layer, reasons) for layer in asked)])
    yield from table(["optimizer", "schedule", *(f"teacher {teacher}" for teacher in teachers)], rows)


def _answer(found: Plugins, layer: Mapping[str, Mapping[str, Any]], reasons: dict[str, int]) -> str:
    try:
        compose(found, resolve(found, [layer]))
    except InputError as refused:
        return str(reasons.setdefault(str(refused), len(reasons) + 1))
    return "yes"


def _names(found: Plugins, slot: str) -> list[str]:
    return [each.name for each in of_slot(found, slot)]
