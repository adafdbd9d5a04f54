"""The building blocks of the page. Cells of tables are text unless they say that they are HTML already."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import attrs

from nasplug.errors import RunFailure
from nasplug.report.number_format import setting
from nasplug.report.style import style_sheet


@attrs.frozen
class Html:
    """Text that is HTML already."""

    text: str


Cell = str | Html


def render(cell: Cell) -> str:
    """A cell as HTML."""
    return cell.text if isinstance(cell, Html) else escape(cell)


def table(heads: Sequence[str], rows: Iterable[Sequence[Cell]], numbers: int = 0, marked: Sequence[bool] = ()) -> str:
    """A table with column heads, whose last `numbers` columns stand to the right; `marked` rows are set off."""
    first = len(heads) - numbers

    def side(column: int) -> str:
        return ' class="number"' if column >= first else ""

    top = "".join(f'<th scope="col"{side(column)}>{escape(head)}</th>' for column, head in enumerate(heads))
    body = []
    for index, row in enumerate(rows):
        cells = "".join(f"<td{side(column)}>{render(cell)}</td>" for column, cell in enumerate(row))
        kind = ' class="best"' if index < len(marked) and marked[index] else ""
        body.append(f"<tr{kind}>{cells}</tr>")
    return f'<div class="scroll"><table><thead><tr>{top}</tr></thead><tbody>{"".join(body)}</tbody></table></div>'


def pairs(rows: Mapping[str, Any]) -> str:
    """A table of names and values."""
    body = "".join(
        f'<tr><th scope="row">{escape(str(name))}</th><td>{escape(setting(value))}</td></tr>'
        for name, value in rows.items()
    )
    return f'<div class="scroll"><table><tbody>{body}</tbody></table></div>'


def section(title: str, content: str) -> str:
    """One section of the page."""
    return f"<section><h2>{escape(title)}</h2>{content}</section>"


def chart(svg: str, caption: str = "") -> str:
    """A chart on its card."""
    told = f"<figcaption>{escape(caption)}</figcaption>" if caption else ""
    return f'<figure class="chart">{told}{svg}</figure>'


def item(colour: str, text: str) -> str:
    """A text with a dot of its colour."""
    return f'<span class="item"><span class="dot" style="background: var(--{colour})"></span>{escape(text)}</span>'


def link(network: str) -> str:
    """The id of a network, leading to its drawings."""
    return f'<a href="#net-{escape(network)}"><code>{escape(network)}</code></a>'


def document(title: str, parts: Iterable[str]) -> str:
    """A whole page; parts without text are left out."""
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{style_sheet()}</style>\n</head>\n<body>\n"
        + "\n".join(filter(None, parts))
        + "\n</body>\n</html>\n"
    )


def write(path: Path, text: str) -> None:
    """Writes a page. Raises RunFailure if the file cannot be written."""
    try:
        path.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise RunFailure(f"'{path}' cannot be written: {error.strerror}.") from error
