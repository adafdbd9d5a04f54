"""Command lines with one thing wrong: a sentence and the exit code 2, soon, and nothing written."""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from nasplug.cli import main
from nasplug.errors import QUOTED, quote
from tests.faults.command_lines import CommandLine, command_lines

SECONDS = 5.0
"""Of computing, that a refusal may take."""
LONGEST = 3000
"""Letters of a message; that of an unknown check names all there are."""


@pytest.fixture
def surroundings(tmp_path, monkeypatch):
    """A working directory with the things that the command lines name."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    os.mkfifo("fifo")
    Path("loop").symlink_to("loop")
    Path("text").write_text("this is text\n")
    Path("bad-name.py").write_text("")
    for name in ("folder", "empty", "full", "half", "broken", "deep"):
        Path(name).mkdir()
    Path("full/file").write_text("x")
    Path("half/recipe.toml").write_text("[run]\n")
    Path("broken/pyproject.toml").write_text("[project\n")
    Path("deep/pyproject.toml").write_text(f"a = {'[' * 5000}")
    return folder


def check(line: CommandLine, folder: Path) -> None:
    before = {path: path.lstat().st_mtime_ns for path in sorted(folder.rglob("*"))}
    started = time.process_time()
    result = CliRunner().invoke(main, list(line.words))
    seconds = time.process_time() - started
    shown = ascii(line.words)[:300]
    assert isinstance(result.exception, SystemExit), (shown, result.exception)
    assert result.exit_code == 2, (shown, result.output)
    assert seconds < SECONDS, (shown, seconds)
    _, error, message = result.output.rpartition("Error: ")
    assert error, (shown, result.output)
    assert message.count("\n") == 1, (shown, message)
    assert re.search(r"([.?]|: nasplug .*)$", message), (shown, message)
    assert len(message) <= LONGEST, (shown, message)
    assert len(line.wrong) < 1000 or line.wrong[: QUOTED + 1] not in result.output, shown
    asked = {quote(line.wrong)[1:20].rstrip("'"), line.flag, line.flag[2:].replace("-", "_")}
    asked |= set(re.findall(r"\w{2,30}", line.wrong))
    assert asked == {""} or any(word and word in result.output for word in asked), (shown, message)
    assert {path: path.lstat().st_mtime_ns for path in sorted(folder.rglob("*"))} == before, shown


@pytest.mark.parametrize("number", range(4))
def test_a_command_line_with_one_thing_wrong_is_refused(surroundings, number):
    for line in command_lines(5, seed=number, run=None):
        check(line, surroundings)


@pytest.mark.full
@pytest.mark.timeout(3600)
def test_hundreds_of_command_lines_with_one_thing_wrong_are_refused(surroundings, finished_run):
    run = surroundings / "run"
    shutil.copytree(finished_run, run)
    assert json.loads((run / "result.json").read_text())["status"] == "done"
    failures = []
    for line in command_lines(300, seed=2026, run=str(run)):
        try:
            check(line, surroundings)
        except AssertionError as error:
            failures.append(str(error).partition("\n")[0][:600])
    assert not failures, f"{len(failures)} of 300:\n" + "\n".join(failures)
