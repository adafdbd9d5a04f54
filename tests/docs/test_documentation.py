"""What the rules for blocks say is what happens; see `documentation`."""

from __future__ import annotations

from pathlib import Path

import click
import pytest
from documentation.blocks import blocks_of
from documentation.shell import commands_of
from documentation.workspace import Workspace

ERRORS = (AssertionError, ArithmeticError, SyntaxError, ValueError, click.ClickException)


@pytest.fixture
def carry_out(tmp_path: Path, few_images: Path, monkeypatch: pytest.MonkeyPatch):
    workspace = Workspace(tmp_path, few_images, monkeypatch)

    def carry_out(markdown: str) -> Workspace:
        page = tmp_path / "page.md"
        page.write_text(markdown, encoding="utf-8")
        for block in blocks_of(page):
            workspace.carry_out(block)
        return workspace

    return carry_out


def fenced(language: str, text: str, mark: str = "") -> str:
    return f"<!-- test: {mark} -->\n```{language}\n{text}\n```\n" if mark else f"```{language}\n{text}\n```\n"


def test_blocks_of_python_share_their_names_and_files_are_written(carry_out):
    workspace = carry_out(fenced("python", "# a/b.py\n1 / 0") + fenced("python", "x = 1") + fenced("python", "x += 1"))

    assert workspace.names["x"] == 2
    assert Path("a/b.py").read_text() == "# a/b.py\n1 / 0\n"


@pytest.mark.parametrize(
    "markdown",
    [
        fenced("python", "1 / 0"),
        fenced("python", "# a.py\nx = = 1"),
        fenced("python", "x = = 1", "not run"),
        fenced("toml", "this is = not = TOML"),
        fenced("json", "{"),
        fenced("console", "$ no-such-program"),
        fenced("console", "$ nasplug list schedule\nsomething else"),
        fenced("console", "$ nasplug show no-such-part"),
        fenced("console", "$ nasplug list schedule", "fails"),
        fenced("console", "$ nasplug run --no-such-option", "not run"),
        fenced("console", "$ nasplug run --set search.epoch=3"),
        fenced("console", "$ nasplug run --method random --schedule shrink"),
        fenced("console", "$ pip install nasplug-no-such-method"),
        fenced("console", "$ pip install 'nasplug[no-such-extra]'"),
        fenced("console", "$ python no_such_script.py"),
        fenced("python", "", "no such mark"),
        "    nasplug run --no-such-option\n",
    ],
)
def test_a_block_that_does_not_do_what_it_says_is_an_error(carry_out, markdown):
    with pytest.raises(ERRORS):
        carry_out(markdown)


def test_what_is_printed_is_compared_up_to_dots(carry_out):
    carry_out(fenced("console", "$ nasplug list schedule\nslot ...\nschedule   keep ... Deletes nothing.\n..."))


def test_commands_are_read_as_a_shell_reads_them(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "    for seed in 0 1; do for method in a b; do\n"
        "      uv run nasplug run --seed $seed \\\n        --method $method  # a comment\n"
        "    done; done\n"
        "    X=1 nasplug list && cd 'a b'\n"
    )

    commands = [command for block in blocks_of(page) for command in commands_of(block)]

    runs = [["nasplug", "run", "--seed", seed, "--method", method] for seed in "01" for method in "ab"]
    assert [command.words for command in commands] == [*runs, ["nasplug", "list"], ["cd", "a b"]]
    assert commands[4].variables == {"X": "1"}
