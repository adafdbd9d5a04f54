"""What `result.json` must hold for those who read it: checked once, so that they can rely on it."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

from nasplug.errors import InputError

SCHEMA = 1
ENTRIES = ("method", "dataset", "seed", "status", "networks", "front", "best")
NETWORK_ENTRIES = ("id", "role", "matched_to", "params", "macs", "val_error", "test_error")


def check_result(result: object, path: Path, network_entries: Collection[str] = NETWORK_ENTRIES) -> dict[str, Any]:
    """The result as it was read from `path`; InputError if it is not what this version reads."""
    if not isinstance(result, dict):
        raise InputError(f"'{path}' is not the result of a run: it holds no JSON object.")
    if result.get("schema") != SCHEMA:
        raise InputError(
            f"'{path}' has schema {result.get('schema')!r}; this version of nasplug reads schema {SCHEMA}."
        )
    _check_entries(result, ENTRIES, path)
    networks, front = result["networks"], result["front"]
    if not isinstance(networks, list) or not all(isinstance(each, dict) for each in networks):
        raise InputError(f"'{path}' is damaged: 'networks' must be a list of objects; {_remedy(path)}.")
    if not isinstance(front, list):
        raise InputError(f"'{path}' is damaged: 'front' must be a list of ids; {_remedy(path)}.")
    for network in networks:
        _check_entries(network, network_entries, path)
        for name in ("params", "macs"):
            if not isinstance(network[name], int):
                raise InputError(
                    f"'{path}' is damaged: '{name}' must be a whole number, but it is {network[name]!r:.40}; "
                    f"{_remedy(path)}."
                )
    if unknown := {*front, result["best"]} - {None} - {each["id"] for each in networks}:
        raise InputError(f"'{path}' is damaged: there is no network '{min(map(str, unknown))}'; {_remedy(path)}.")
    return result


def _check_entries(found: dict[str, Any], needed: Collection[str], path: Path) -> None:
    missing = [name for name in needed if name not in found]
    if missing:
        raise InputError(
            f"'{path}' is not the result of a run: it lacks {', '.join(map(repr, missing))}; {_remedy(path)}."
        )


def _remedy(path: Path) -> str:
    return f"'nasplug resume {path.parent}' writes it anew"
