"""Tables lose nothing, however narrow the terminal is."""

from __future__ import annotations

import pytest

from nasplug.cli.tables import write_rows

ROWS = [["bilder/einer-katze-mit-langem-namen.png", "Siamkatze-aus-Thailand", "0.7312"], ["b.png", "Hund", "0.2688"]]


@pytest.mark.parametrize("columns", [200, 80, 40, 20])
def test_no_cell_is_cut_on_a_narrow_terminal(monkeypatch, capsys, columns):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.setenv("COLUMNS", str(columns))
    write_rows(["file", "class", "probability"], ROWS)
    text = capsys.readouterr().out
    for row in ROWS:
        for cell in row:
            assert cell in text
    assert "\N{HORIZONTAL ELLIPSIS}" not in text


def test_elsewhere_a_row_is_one_line(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "20")
    write_rows(["file", "class", "probability"], ROWS, err=True)
    captured = capsys.readouterr()
    assert captured.out == ""
    lines = captured.err.splitlines()
    assert [all(cell in line for cell in row) for line, row in zip(lines[2:], ROWS, strict=True)] == [True, True]
