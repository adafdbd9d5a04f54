"""What trackers are told of a run folder: its recipe as parameters, its networks as a table, and its files."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from nasplug.errors import InputError
from nasplug.formats.toml_text import read_toml
from nasplug.store.events import read_events
from nasplug.store.network_result import NetworkResult
from nasplug.store.result import RunResult, read_result
from nasplug.tracking.tracker import NetworkTable

FILES = ("recipe.toml", "result.json", "report.html", "genotypes/*.json")
WEIGHT_FILES = "weights/*.safetensors"


def read_parameters(run: Path) -> dict[str, str]:
    """The resolved recipe of a run: "SECTION.OPTION" to the value, as JSON unless it is a text."""
    return dict(_flatten("", read_toml(run / "recipe.toml", "recipe")))


def _flatten(prefix: str, table: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for name, value in table.items():
        if isinstance(value, dict):
            yield from _flatten(f"{prefix}{name}.", value)
        else:
            yield f"{prefix}{name}", value if isinstance(value, str) else json.dumps(value, default=str)


def read_steps(run: Path) -> Iterator[dict[str, Any]]:
    """The steps on record in all journals of a run; those of a phase may come twice, in the same order."""
    for journal in (run / "events.jsonl", *sorted(run.glob("phases/**/events.jsonl"))):
        yield from (event for event in read_events(journal) if event["event"] == "step")


def read_status(run: Path) -> str:
    """The status in the result of a run; "failed" where there is none that can be read."""
    try:
        return read_result(run).status
    except InputError:
        return "failed"


def summarise_best(result: RunResult) -> dict[str, float]:
    """Errors and costs of the best network, by name."""
    best = next((network for network in result.networks if network.id == result.best), None)
    return {} if best is None else {f"best/{name}": value for name, value in figures_of(best).items()}


def figures_of(network: NetworkResult) -> dict[str, float]:
    """The errors that were measured of a network, and its costs."""
    return {**errors_of(network), **network.costs}


def errors_of(network: NetworkResult) -> dict[str, float]:
    """The errors that were measured of a network, from 0 to 1."""
    errors = {"val_error": network.val_error, "test_error": network.test_error}
    return {name: error for name, error in errors.items() if error is not None}


def tabulate_networks(result: RunResult) -> NetworkTable:
    """All networks of a run with their costs and errors."""
    costs = list(dict.fromkeys(name for network in result.networks for name in network.costs))
    return NetworkTable(
        columns=("id", "role", "matched_to", "reference", "best", *costs, "val_error", "test_error"),
        rows=tuple(
            (
                network.id,
                network.role,
                network.matched_to,
                network.reference,
                network.id == result.best,
                *(network.costs.get(name) for name in costs),
                network.val_error,
                network.test_error,
            )
            for network in result.networks
        ),
    )


def list_files(run: Path, *, weights: bool) -> dict[str, Path]:
    """The files of a run that are worth keeping elsewhere, by their paths within it; with `weights` also those."""
    patterns = (*FILES, WEIGHT_FILES) if weights else FILES
    found = [path for pattern in patterns for path in sorted(run.glob(pattern)) if path.is_file()]
    return {path.relative_to(run).as_posix(): path for path in found}
