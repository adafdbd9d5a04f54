"""The results of a run, from its `result.json`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from nasplug.cli.tables import write_table
from nasplug.errors import InputError

RESULT = "result.json"
SCHEMA = 1
NEEDED = ("method", "dataset", "seed", "status", "networks", "front", "best")


def read_result(folder: Path) -> dict[str, Any]:
    """The contents of the run's result file; InputError if they are not what this version reads."""
    path = folder / RESULT
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read: {error}.") from error
    if not isinstance(result, dict):
        raise InputError(f"{path} is not the result of a run: it holds no JSON object.")
    if result.get("schema") != SCHEMA:
        raise InputError(f"{path} has schema {result.get('schema')!r}; this version of nasplug reads schema {SCHEMA}.")
    missing = [name for name in NEEDED if name not in result]
    if missing:
        raise InputError(f"{path} is not the result of a run: it lacks {', '.join(map(repr, missing))}.")
    return result


def write_result(result: dict[str, Any]) -> None:
    """Prints what the run was and a row for each network."""
    from nasplug.ui.table import result_table  # here, because rich is slow to import

    write_table(result_table(result))
