"""What a run was made of, as tables: data, cost, environment and recipe."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from nasplug.report.number_format import format_count, format_duration, format_memory, format_setting
from nasplug.report.run_record import RunRecord
from nasplug.store.network_result import PhaseCost
from nasplug.store.result import RunResult

Sections = dict[str, dict[str, str]]


def data_facts(result: RunResult) -> dict[str, Any]:
    """Which images, and how they were divided."""
    facts: dict[str, Any] = {"data set": result.dataset}
    images = result.input_word == "image"
    names = {"size": "size (pixels)", "channels": "colour channels"} if images else {"size": "size (samples)"}
    for name, value in result.data.items():
        if name == "classes" and isinstance(value, list):
            facts[f"{len(value)} {'classes' if result.has_classes else 'outputs'}"] = value
        elif name == "task" and isinstance(value, dict):
            facts[name] = value.get("name")
        else:
            facts[names.get(name, name)] = value
    return facts | {f"{result.input_word}s in {name}": format_count(number) for name, number in result.splits.items()}


def cost_rows(cost: Mapping[str, PhaseCost]) -> list[tuple[str, str, str, str]]:
    """Name, device, memory and time of every phase, of all of a rung or of the folds together, and their total."""
    rows = [
        (name, phase.device or "not recorded", format_memory(phase.peak_memory), format_duration(phase.seconds))
        for name, phase in _join_rungs(cost).items()
    ]
    total = sum(phase.seconds or 0.0 for phase in cost.values())
    peaks = [phase.peak_memory for phase in cost.values() if phase.peak_memory is not None]
    return [*rows, ("total", "", format_memory(max(peaks, default=None)), format_duration(total))]


def _join_rungs(cost: Mapping[str, PhaseCost]) -> dict[str, PhaseCost]:
    """The costs of phases, with their highest peak where several are shown as one.

    That are all trainings of one rung of a tournament, and all of a cross-validation.
    """
    rows: dict[str, list[PhaseCost]] = {}
    for name, phase in cost.items():
        parts = name.split("/")
        if "tournament" in parts:
            name = "/".join(parts[parts.index("tournament") :][:2])
        elif parts[0] == "folds":
            name = "folds"
        rows.setdefault(name, []).append(phase)
    return {
        name if len(parts) == 1 else f"{name} ({len(parts)} trainings)": _add(parts) for name, parts in rows.items()
    }


def _add(parts: Sequence[PhaseCost]) -> PhaseCost:
    if len(parts) == 1:
        return parts[0]
    return PhaseCost(
        seconds=sum(part.seconds or 0.0 for part in parts),
        peak_memory=max((part.peak_memory for part in parts if part.peak_memory is not None), default=None),
        device=parts[0].device,
    )


def recipe_sections(record: RunRecord) -> dict[str, Sections]:
    """Environment and recipe: for each the options of every section that has any, without the command."""
    sections = {
        name: {key: value for key, value in options.items() if key != "command"}
        for name, options in record.recipe.items()
        if isinstance(options, Mapping)
    }
    loose = {name: value for name, value in record.recipe.items() if not isinstance(value, Mapping)}
    environment = {name: sections.pop(name, {}) for name in ("environment", "plugins")}
    headings = {"Environment": environment, "Recipe": {"other": loose, **sections}}
    return {
        heading: {name: _flatten(options) for name, options in parts.items() if options}
        for heading, parts in headings.items()
    }


def repeat_command(record: RunRecord) -> str:
    """What repeats the run, empty if unknown: several words are a command line, a single one is a call in Python."""
    words = record.command
    return words[0] if len(words) == 1 else shlex.join(words)


def _flatten(options: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested tables as dotted names."""
    flat: dict[str, str] = {}
    for name, value in options.items():
        key = f"{prefix}{name}"
        flat |= _flatten(value, f"{key}.") if isinstance(value, Mapping) else {key: format_setting(value)}
    return flat
