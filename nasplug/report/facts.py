"""What it was made of: data, cost, environment and recipe."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from nasplug.report.markup import Cell, pairs, section, table
from nasplug.report.number_format import count, duration, memory, setting
from nasplug.report.run_record import RunRecord


def data(record: RunRecord) -> str:
    """Which images, and how they were divided."""
    facts: dict[str, Any] = {"data set": record.result.dataset}
    for name, value in record.result.data.items():
        if name == "classes" and isinstance(value, list):
            facts[f"{len(value)} classes"] = value
        else:
            facts[{"size": "size (pixels)", "channels": "colour channels"}.get(name, name)] = value
    facts |= {f"images in {name}": count(number) for name, number in record.result.splits.items()}
    return section("Data", pairs(facts))


def cost(record: RunRecord) -> str:
    """Time, memory and device of every phase."""
    if not record.result.cost:
        return ""
    rows: list[list[Cell]] = [
        [phase, each.device or "not recorded", memory(each.peak_memory), duration(each.seconds)]
        for phase, each in record.result.cost.items()
    ]
    total = sum(each.seconds or 0.0 for each in record.result.cost.values())
    peaks = [each.peak_memory for each in record.result.cost.values() if each.peak_memory is not None]
    rows.append(["total", "", memory(max(peaks, default=None)), duration(total)])
    note = "Phases may have run at the same time; the total adds up their times and takes the highest peak."
    costs = table(["phase", "device", "peak memory", "time"], rows, numbers=2)
    return section("Cost", f'{costs}<p class="small">{note}</p>')


def recipe(record: RunRecord) -> str:
    """Environment, the whole recipe, and the command that repeats the run."""
    sections = {
        name: {key: value for key, value in rows.items() if key != "command"}
        for name, rows in record.recipe.items()
        if isinstance(rows, Mapping)
    }
    loose = {name: value for name, value in record.recipe.items() if not isinstance(value, Mapping)}
    environment = {title: sections.pop(title, {}) for title in ("environment", "plugins")}
    return (
        _tables("Environment", environment)
        + _tables("Recipe", ({"other": loose} if loose else {}) | sections)
        + (section("Repeat this run", f"<pre>{escape(_call(record.command))}</pre>") if record.command else "")
    )


def _call(words: Sequence[str]) -> str:
    """Several words are a command line; a single one is a call in Python."""
    return words[0] if len(words) == 1 else shlex.join(words)


def _tables(title: str, sections: Mapping[str, Mapping[str, Any]]) -> str:
    parts = [f"<div><h3>{escape(name)}</h3>{pairs(_flat(rows))}</div>" for name, rows in sections.items() if rows]
    return section(title, f'<div class="tables">{"".join(parts)}</div>') if parts else ""


def _flat(rows: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested tables as dotted names."""
    flat: dict[str, str] = {}
    for name, value in rows.items():
        flat |= _flat(value, f"{prefix}{name}.") if isinstance(value, Mapping) else {f"{prefix}{name}": setting(value)}
    return flat
