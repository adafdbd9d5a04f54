"""What a run says of itself reaches a terminal as text, never as a command to it."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from rich.table import Table
from rich.text import Text

import nasplug
from nasplug.cli import main
from nasplug.errors import CONTROLS, InputError, printable, quote
from nasplug.ui.console import PrintableConsole

NASTY = "a\x1b]0;title\x07\x1b[2J\x9b31m\u202e[bold]\udc80z"


def test_control_characters_are_shown_as_escapes():
    assert printable("a\x1b[2J\x00\x7f\x9b\u202e\udc80\r") == r"a\x1b[2J\x00\x7f\x9b\u202e\udc80\r"
    assert printable("é犬\n\ttext") == "é犬\n\ttext"
    assert str(InputError("a\x1bb")) == r"a\x1bb"


@pytest.mark.parametrize(
    ("value", "text"),
    [("a\nb\x1b", r"'a\nb\x1b'"), ("x" * 100, f"'{'x' * 80}...'"), (["a"], "['a']"), (10**90, f"1{'0' * 79}...")],
)
def test_quotes_are_short_and_on_one_line(value, text):
    assert quote(value) == text


def test_tables_show_control_characters_and_brackets_as_they_are():
    stream = io.StringIO()
    console = PrintableConsole(file=stream, force_terminal=True, width=200, color_system=None)
    table = Table(NASTY, title=NASTY)
    table.add_row(Text(NASTY, style="bold"))
    console.print(table, NASTY)
    text = stream.getvalue()

    assert not CONTROLS.search(text.replace("\x1b[1m", "").replace("\x1b[3m", "").replace("\x1b[0m", ""))
    assert "[bold]" in text


def test_show_prints_no_control_characters_of_a_result(tmp_path):
    result = {"schema": 1, "method": "dnad", "dataset": NASTY, "seed": 0, "status": "done"}
    (tmp_path / "result.json").write_text(json.dumps(result | {"networks": [], "front": [], "best": None}))
    for words in (["show", str(tmp_path)], ["show", str(tmp_path), "--json"], ["show", f"{tmp_path}{NASTY}"]):
        assert not CONTROLS.search(CliRunner().invoke(main, words).output)


def test_commands_print_through_functions_that_make_text_printable():
    sources = Path(nasplug.__file__).parent
    for path in sources.rglob("*.py"):
        if path.name not in ("output.py", "console.py") and "scaffold" not in path.parts:
            text = path.read_text()
            assert "click.echo(" not in text, path
            assert "import Console\n" not in text or path.parts[-2:] == ("ui", "progress.py"), path
