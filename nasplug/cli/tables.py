"""Tables on standard output, or on standard error."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from nasplug.cli.output import echo
from nasplug.errors import printable

if TYPE_CHECKING:
    from rich.table import Table

    from nasplug.ui.console import PrintableConsole

UNFOLDED = 100_000
"""A width that no row reaches."""
LEAST_FOLDED = 16
"""The least width of a column that is folded."""


def write_rows(header: Sequence[str], rows: Sequence[Sequence[object]], *, err: bool = False) -> None:
    """Prints `rows` under `header`; on a narrow terminal the last column is folded."""
    from rich import box  # here, because most commands print no table
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for index, name in enumerate(header):
        table.add_column(name, no_wrap=index < len(header) - 1, overflow="fold")
    for row in rows:
        # Escapes have to be there when the width is measured, and a row is one line.
        table.add_row(*(printable(str(cell)).replace("\n", "\\n") for cell in row))
    write_table(table, err=err)


def write_markdown(names: Sequence[str], rows: Sequence[Sequence[str]], numbers: int) -> None:
    """Prints a Markdown table, whose last `numbers` columns stand to the right."""
    widths = [max(len(row[column]) for row in (names, *rows)) for column in range(len(names))]
    first = len(names) - numbers
    rule = ["-" * width if column < first else "-" * (width - 1) + ":" for column, width in enumerate(widths)]
    for row in (names, rule, *rows):
        texts = [cell.replace("\n", "\\n") for cell in row]  # a row is one line
        cells = [
            text.ljust(width) if column < first else text.rjust(width)
            for column, (text, width) in enumerate(zip(texts, widths, strict=True))
        ]
        echo(f"| {' | '.join(cells)} |")
    echo()


def write_table(table: Table, *, err: bool = False) -> None:
    """Prints a table, of which no letter is lost whatever the width is.

    Where the output is no terminal every row is one line, for other tools to read. On a terminal that is too narrow
    for the table every cell is a line, with the name of its column.
    """
    from nasplug.ui.console import PrintableConsole

    console = PrintableConsole(stderr=err)
    width, console.width = console.width, UNFOLDED
    natural = console.measure(table).maximum
    console.width = width if console.is_terminal else natural
    if console.is_terminal and natural - _foldable(table) > width:
        _write_cells(table, console)
    else:
        console.print(table)


def _foldable(table: Table) -> int:
    """By how many letters the last column can become narrower."""
    last = table.columns[-1]
    return 0 if last.no_wrap else max(0, max(len(str(cell)) for cell in last.cells) - LEAST_FOLDED)


def _write_cells(table: Table, console: PrintableConsole) -> None:
    lines = [str(table.title)] if table.title else []
    for row in zip(*(column.cells for column in table.columns), strict=True):
        named = zip((str(column.header) for column in table.columns), map(str, row), strict=True)
        lines += ["", *(f"{name}: {cell}" if name else cell for name, cell in named if cell)]
    console.print("\n".join(lines).lstrip("\n"), soft_wrap=True)
