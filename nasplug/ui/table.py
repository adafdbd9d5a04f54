"""The result of a run as a table."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from nasplug.store.result import NetworkResult, RunResult

COST_WORDS = {"macs": "MACs"}
"""Headings of columns that differ from the name of the cost measure."""


def result_table(result: RunResult) -> Table:
    """Every network of a run: found ones by size, each above those matched to it, then others; the best is marked."""
    title = f"{result.method} on {result.dataset}, seed {result.seed} ({result.status})"
    table = Table(title=title, title_justify="left")
    has_table_errors = any(network.source == "table" for network in result.networks)
    left_columns = ["", "network", "role", *(["errors from"] if has_table_errors else [])]
    costs = [COST_WORDS.get(name, name) for name in result.measures]
    for name in (*left_columns, *costs, "validation error", "test error"):
        table.add_column(name, justify="left" if name in left_columns else "right", no_wrap=True)
    for network in sort_in_pairs(result.networks):
        mark = "best" if network.id == result.best else "front" if network.id in result.front else ""
        table.add_row(
            mark,
            network.id,
            network.kind,
            *([network.source] if has_table_errors else []),
            *(format_cost(result, network, name) for name in result.measures),
            format_percent(network.val_error),
            format_percent(network.test_error),
            style="dim" if not network.found else "bold" if mark == "best" else "",
        )
    return table


def sort_in_pairs(networks: Sequence[NetworkResult]) -> list[NetworkResult]:
    """Found networks from small to large, each followed by those matched to it; then reference networks of no match."""
    by_size = sorted(networks, key=lambda network: network.params)
    rows: list[NetworkResult] = []
    for found in (network for network in by_size if network.found):
        rows += [found, *(network for network in networks if network.matched_to == found.id)]
    return rows + [network for network in by_size if network.role == "reference" and network.matched_to is None]


def format_cost(result: RunResult, network: NetworkResult, name: str) -> str:
    """A cost of a network with its unit, or a dash where it has none on record."""
    return result.units[name].format(network.costs[name]) if name in network.costs else "-"


def format_percent(error: float | None) -> str:
    """An error from 0 to 1 as per cent, or a dash."""
    return "-" if error is None else f"{100 * error:.2f} %"
