"""Writes docs/reference/composition.md: which parts go together, asked of the composition itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from nasplug.compose import compose, resolve
from nasplug.errors import InputError
from nasplug.plugins import Plugins, load_plugins

PAGE = Path(__file__).parent / "reference" / "composition.md"
SPACES: Mapping[str, Mapping[str, Any]] = {
    "darts, topology=per-type": {"part": "darts", "topology": "per-type", "choices": "edge", "operations": ["darts"]},
    "darts, topology=per-cell": {"part": "darts", "topology": "per-cell", "choices": "node", "operations": ["nadd3"]},
    "nb201": {"part": "nb201"},
    "mbconv": {"part": "mbconv"},
}
HEAD = """# Which parts go together

Written by `uv run python docs/write_composition.py`, which asks what `nasplug run` asks before it starts anything; a
test keeps this page up to date. `yes` runs; a number is the reason below why the combination is refused. The tests run
all of them on tiny networks (`uv run nox -s tests -- -m matrix`): each trains, finds architectures that survive JSON,
build and forward, and goes on exactly where it was stopped, or is refused with a sentence that names what would fit.
"""


def page() -> str:
    """The whole page."""
    plugins = load_plugins()
    reasons: dict[str, int] = {}
    lines = [HEAD, "## Methods in spaces\n", *_methods(plugins, reasons)]
    for name, space in SPACES.items():
        lines += [f"\n## Space {name}\n", *_parts(plugins, space, reasons)]
    lines += ["\n## Reasons\n", *(f"{number}. {reason}" for reason, number in reasons.items())]
    return "\n".join(lines) + "\n"


def _methods(plugins: Plugins, reasons: dict[str, int]) -> Iterator[str]:
    yield from _header(["method", *SPACES])
    for method in _names(plugins, "method"):
        run = {"method": method, "preset": "tiny"}
        answers = [_answer(plugins, {"run": run, "space": space}, reasons) for space in SPACES.values()]
        yield _row([method, *answers])


def _parts(plugins: Plugins, space: Mapping[str, Any], reasons: dict[str, int]) -> Iterator[str]:
    teachers = _names(plugins, "teacher")
    yield from _header(["optimizer", "schedule", *(f"teacher {teacher}" for teacher in teachers)])
    for optimizer in _names(plugins, "optimizer"):
        for schedule in _names(plugins, "schedule"):
            parts = {"space": space, "optimizer": {"part": optimizer}, "schedule": {"part": schedule}}
            asked = [{**parts, "teacher": {"part": teacher}} for teacher in teachers]
            yield _row([optimizer, schedule, *(_answer(plugins, layer, reasons) for layer in asked)])


def _answer(plugins: Plugins, layer: Mapping[str, Mapping[str, Any]], reasons: dict[str, int]) -> str:
    try:
        compose(plugins, resolve(plugins, [layer]))
    except InputError as refused:
        return str(reasons.setdefault(str(refused), len(reasons) + 1))
    return "yes"


def _names(plugins: Plugins, slot: str) -> list[str]:
    return sorted({each.name for each in plugins.registrations if each.slot == slot})


def _header(words: list[str]) -> list[str]:
    return [_row(words), _row(["---"] * len(words))]


def _row(words: list[str]) -> str:
    return f"| {' | '.join(words)} |"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
