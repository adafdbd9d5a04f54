"""The results of a run, from its `result.json`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from nasplug.cli.tables import write_table
from nasplug.errors import InputError
from nasplug.store.result import check_result

RESULT = "result.json"


def read_result(folder: Path) -> dict[str, Any]:
    """The contents of the run's result file; InputError if they are not what this version reads."""
    path = folder / RESULT
    try:
        result = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"'{path}' cannot be read ({error}); 'nasplug resume {folder}' writes it anew.") from error
    return check_result(result, path)


def write_result(result: dict[str, Any]) -> None:
    """Prints what the run was and a row for each network."""
    from nasplug.ui.table import result_table  # here, because rich is slow to import

    write_table(result_table(result))
