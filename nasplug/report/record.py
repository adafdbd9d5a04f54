"""What a run folder says about a run, checked once, so that the page can rely on it."""

from __future__ import annotations

import json
import math
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import attrs

from nasplug.errors import InputError
from nasplug.report.trace import Trace, read_traces


@attrs.frozen
class Network:
    """One trained network of the run; an error is None until it has been measured."""

    id: str
    role: str
    matched_to: str | None
    params: int
    macs: int
    val_error: float | None
    test_error: float | None
    source: str = "trained"

    @property
    def found(self) -> bool:
        """Whether the search found it, as opposed to the random ones that it is compared with."""
        return self.role == "found"


@attrs.frozen
class PhaseCost:
    """What one phase took."""

    seconds: float | None
    peak_memory: int | None
    device: str


@attrs.frozen
class Record:
    """One run, as its folder tells it."""

    status: str
    method: str
    dataset: str
    networks: tuple[Network, ...]
    front: tuple[str, ...]
    best: str | None
    """The network that the run chose, or the one that its rule (`_choose`) gives where the run names none."""
    notes: tuple[str, ...]
    data: Mapping[str, Any]
    splits: Mapping[str, int]
    cost: Mapping[str, PhaseCost]
    recipe: Mapping[str, Any]
    traces: Mapping[str, Trace]
    """The course of each phase, in the order in which the phases began."""

    def network(self, name: str | None) -> Network | None:
        """The network with this id, if there is one."""
        return next((each for each in self.networks if each.id == name), None)

    def matched(self, found: Network) -> tuple[Network, ...]:
        """The random networks of the same size as `found`."""
        return tuple(each for each in self.networks if each.matched_to == found.id)

    @property
    def command(self) -> tuple[str, ...]:
        """The words that repeat the run; empty if the recipe does not tell them."""
        sections = (self.recipe.get(name) for name in ("environment", "run"))
        words = [each.get("command") for each in sections if isinstance(each, Mapping)]
        return next((tuple(map(str, each)) for each in words if isinstance(each, list)), ())


def read_record(run: Path) -> Record:
    """Reads a run folder. InputError, in one sentence, if result or recipe is missing or damaged."""
    recipe = _read_recipe(run / "recipe.toml")
    path = run / "result.json"
    result = _read_result(path)
    try:
        networks = tuple(_network(each) for each in result.get("networks", []))
        return Record(
            status=str(result["status"]),
            method=str(result["method"]),
            dataset=str(result["dataset"]),
            networks=networks,
            front=tuple(str(each) for each in result.get("front", [])),
            best=_name(result.get("best")) or _choose(networks),
            notes=tuple(str(each) for each in result.get("notes", [])),
            data=dict(result.get("data", {})),
            splits={str(name): int(count) for name, count in result.get("splits", {}).items()},
            cost={str(name): _cost(each) for name, each in result.get("cost", {}).items()},
            recipe=recipe,
            traces=read_traces(run / "events.jsonl"),
        )
    except KeyError as error:
        raise InputError(f"'{path}' is damaged: it lacks the entry {error}.") from error
    except (TypeError, ValueError, AttributeError) as error:
        raise InputError(f"'{path}' is damaged: an entry has the wrong form ({error}).") from error


def _choose(networks: tuple[Network, ...]) -> str | None:
    """The found network with the lowest validation error, ties to fewer params; never chosen by test error."""
    rated = [(each.val_error, each.params, each.id) for each in networks if each.found and each.val_error is not None]
    return min(rated)[2] if rated else None


def _network(row: Mapping[str, Any]) -> Network:
    return Network(
        id=str(row["id"]),
        role=str(row["role"]),
        matched_to=_name(row.get("matched_to")),
        params=int(row["params"]),
        macs=int(row["macs"]),
        val_error=_measured(row.get("val_error")),
        test_error=_measured(row.get("test_error")),
        source=str(row.get("source", "trained")),
    )


def _cost(row: Mapping[str, Any]) -> PhaseCost:
    peak = _measured(row.get("peak_memory_bytes"))
    return PhaseCost(
        seconds=_measured(row.get("seconds")),
        peak_memory=None if peak is None else int(peak),
        device=str(row.get("device") or ""),
    )


def _name(value: object) -> str | None:
    return None if value is None else str(value)


def _measured(value: float | None) -> float | None:
    return float(value) if value is not None and math.isfinite(value) else None


def _read_recipe(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"'{path}' cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise InputError(f"'{path}' is damaged: it is not TOML ({error}).") from error


def _read_result(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"'{path}' cannot be read: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"'{path}' is damaged: it is not JSON ({error}).") from error
    if not isinstance(data, dict):
        raise InputError(f"'{path}' is damaged: it holds no JSON object.")
    return data
