"""Tables on standard output."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.table import Table

UNFOLDED = 100_000
"""A width that no row reaches."""


def write_rows(header: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Prints `rows` under `header`; on a narrow terminal the last column is folded."""
    from rich import box  # here, because most commands print no table
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for index, name in enumerate(header):
        table.add_column(name, no_wrap=index < len(header) - 1, overflow="fold")
    for row in rows:
        table.add_row(*map(str, row))
    write_table(table)


def write_table(table: Table) -> None:
    """Prints a table; where standard output is no terminal every row is one line, for other tools to read."""
    from nasplug.ui.console import PrintableConsole

    console = PrintableConsole()
    if not console.is_terminal:
        console.width = UNFOLDED
        console.width = console.measure(table).maximum
    console.print(table)
