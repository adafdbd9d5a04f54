"""The result of a run as a table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.table import Table


def result_table(result: Mapping[str, Any]) -> Table:
    """Every network of a run: found ones by size, each above the random ones of its size; the best is marked."""
    title = f"{result['method']} on {result['dataset']}, seed {result['seed']} ({result['status']})"
    table = Table(title=title, title_justify="left")
    words, looked_up = ["", "network", "role"], any(each.get("source") == "table" for each in result["networks"])
    words += ["errors from"] if looked_up else []
    for name in (*words, "params", "MACs", "validation error", "test error"):
        table.add_column(name, justify="left" if name in words else "right", no_wrap=True)
    for network in in_pairs(result["networks"]):
        mark = "best" if network["id"] == result["best"] else "front" if network["id"] in result["front"] else ""
        table.add_row(
            mark,
            network["id"],
            network["role"],
            *([network["source"]] if looked_up else []),
            f"{network['params']:,}",
            f"{network['macs']:,}",
            percent(network["val_error"]),
            percent(network["test_error"]),
            style="dim" if network["role"] == "random" else "bold" if mark == "best" else "",
        )
    return table


def in_pairs(networks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Found networks from small to large, each followed by the random ones matched to it."""
    found = sorted((each for each in networks if each["role"] == "found"), key=lambda each: each["params"])
    return [each for one in found for each in (one, *(r for r in networks if r["matched_to"] == one["id"]))]


def percent(error: float | None) -> str:
    """An error from 0 to 1 as per cent, or a dash."""
    return "-" if error is None else f"{100 * error:.2f} %"
