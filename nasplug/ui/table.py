"""The result of a run as a table."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from nasplug.store.class_errors import read_class_errors
from nasplug.store.network_result import NetworkResult
from nasplug.store.result import RunResult

COST_WORDS = {"macs": "MACs"}
"""Headings of columns that differ from the name of the cost measure."""
MOST_CLASSES = 12
"""Classes in a table, at most."""


def result_table(result: RunResult) -> Table:
    """Every network of a run: found ones by size, each above those matched to it, then others; the best is marked."""
    title = f"{result.method} on {result.dataset}, seed {result.seed} ({result.status})"
    table = Table(title=title, title_justify="left")
    has_table_errors = any(network.source == "table" for network in result.networks)
    left_columns = ["", "network", "role", *(["errors from"] if has_table_errors else [])]
    costs = [COST_WORDS.get(name, name) for name in result.measures]
    validation = "balanced validation error" if result.selected_by == "balanced" else "validation error"
    scores = [result.score] if result.score else []
    for name in (*left_columns, *costs, *scores, validation, "test error"):
        table.add_column(name, justify="left" if name in left_columns else "right", no_wrap=True)
    for network in sort_in_pairs(result.networks):
        mark = "best" if network.id == result.best else "front" if network.id in result.front else ""
        table.add_row(
            mark,
            network.id,
            network.kind,
            *([network.source] if has_table_errors else []),
            *(format_cost(result, network, name) for name in result.measures),
            *(["-" if network.score is None else f"{network.score:.4g}"] if scores else []),
            format_validation(result, network),
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


def format_validation(result: RunResult, network: NetworkResult) -> str:
    """The validation error by which a network was chosen, with its standard error where there were folds."""
    text = format_percent(network.selection_error)
    if network.val_standard_error is None or result.selected_by == "balanced":
        return text
    return f"{text.removesuffix(' %')} ± {100 * network.val_standard_error:.2f} %"


def class_table(result: RunResult) -> Table | None:
    """Recall by class of the best network, the worst classes first, where classes are of unequal size; else None."""
    errors = read_class_errors(result)
    if errors is None or not errors.uneven:
        return None
    places = errors.worst_first()
    which = f"the worst of {len(places)}" if len(places) > MOST_CLASSES else "by class"
    title = f"{errors.network.id}, {which}"
    table = Table(title=title, title_justify="left")
    for name in ("class", f"test {result.input_word}s", "recall"):
        table.add_column(name, justify="left" if name == "class" else "right", no_wrap=True)
    for place in places[:MOST_CLASSES]:
        table.add_row(errors.classes[place], f"{errors.images(place):,}", format_percent(errors.recall(place)))
    table.add_row("balanced accuracy", "", format_percent(errors.balanced_accuracy), style="bold")
    return table


def format_percent(error: float | None) -> str:
    """An error from 0 to 1 as per cent, or a dash."""
    return "-" if error is None else f"{100 * error:.2f} %"
