"""Carries out the blocks of one page, in order."""

from __future__ import annotations

import contextlib
import doctest
import inspect
import io
import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

import nasplug.cli.retrain
import nasplug.cli.run
import nasplug.cli.sweep
from documentation.blocks import Block
from documentation.installing import ROOT, install
from documentation.shell import Command, commands_of
from nasplug.cli import main
from nasplug.compose import compose
from nasplug.testing.check_runner import CheckRunner

SAME = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
GRAPHS = ("onnx", "pt2")
"""Formats of `nasplug export` that take seconds: written where a page names a file, on which it goes on."""
FOREIGN = ("git", "nox", "tensorboard", "uv", "uvx", "wandb")
"""Programs of others, of which the tests only know that they exist."""
SMALL = {
    "data.validation": 0,
    "search.epochs": 1,
    "search.batch_size": 16,
    "retrain.epochs": 1,
    "retrain.batch_size": 32,
    "select.networks": 1,
    "select.random": 0,
    "run.measure_every": 0,
}
"""What makes a search small that a page starts."""


class Workspace:
    """The folder, the namespace and the environment that the blocks of a page share."""

    def __init__(self, folder: Path, few_images: Path, patch: pytest.MonkeyPatch) -> None:
        self.names: dict[str, Any] = {"__name__": "__main__"}
        self.stand_ins: dict[str, str] = {}
        """Words of a page for which others stand, such as the id of a network."""
        self.few_images = few_images
        self.patch = patch
        self.site = folder / ".site"
        patch.chdir(folder)
        patch.setattr(sys, "path", [*sys.path])
        patch.setenv("NASPLUG_STRICT", "0")
        # Maps as small as these are many times slower with threads that compete with other processes.
        patch.setattr(os, "sched_getaffinity", lambda process: {0}, raising=False)

    def carry_out(self, block: Block) -> None:
        """Does what the rules say of this block."""
        if block.file is not None:
            path = Path(block.file)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(block.text, encoding="utf-8")
        if block.language == "toml":
            tomllib.loads(block.text)
        elif block.language == "json":
            json.loads(block.text)
        elif block.language == "python":
            self._python(block)
        elif block.language in ("console", "commands"):
            for command in commands_of(block):
                self._command(block, command)

    def _python(self, block: Block) -> None:
        code = compile("\n" * block.line + block.text, str(block.page), "exec")
        if block.file is None and "not run" not in block.marks:
            with contextlib.redirect_stdout(io.StringIO()), self._importable():
                exec(code, self.names)  # noqa: S102 - running what a page shows is the purpose

    @contextlib.contextmanager
    def _importable(self) -> Iterator[None]:
        """Lets Python import the files of the page, as a process of its own would, and forgets them afterwards."""
        before, here = set(sys.modules), os.getcwd()
        with self.patch.context() as patch:
            patch.syspath_prepend(here)
            yield
        for name in set(sys.modules) - before:
            if str(getattr(sys.modules[name], "__file__", "")).startswith(here):
                del sys.modules[name]

    def _command(self, block: Block, command: Command) -> None:
        program, *words = [each for word in command.words for each in self._expanded(word)]
        known: dict[str, Callable[[], object]] = {
            "nasplug": lambda: self._nasplug(block, command, words),
            "pip": lambda: install(words, self.site),
            "cd": lambda: self.patch.chdir(words[0]),
            **dict.fromkeys(("mv", "rm"), lambda: subprocess.run(command.words, check=True)),
            "export": lambda: self.patch.setenv(*words[0].split("=", 1)),
            "pytest": lambda: self._tests(block),
            "python": lambda: _check_script(words),
            **dict.fromkeys(FOREIGN, bool),
        }
        assert program in known, f"{block.place}: the tests do not know what to do with '{program}'"
        known[program]()

    def _nasplug(self, block: Block, command: Command, words: list[str]) -> None:
        if "not run" in block.marks:
            _parse(words)
            return
        with self.patch.context() as patch:
            for name, value in command.variables.items():
                patch.setenv(name, value)
            if "search" not in block.marks:
                stop_before_training(patch)
            elif words[0] == "run":
                words = self._small(words)
            if set(GRAPHS) & set(words) and "--out" not in words:
                words = [*words, "--help"]
            done = CliRunner().invoke(main, words, catch_exceptions=False)
        shown = " ".join(command.words)
        wanted_failure = "fails" in block.marks
        assert (done.exit_code != 0) == wanted_failure, f"{block.place}: {shown}\n{done.output}"
        if command.printed and "any output" not in block.marks:
            printed = done.stderr + done.stdout
            same = doctest.OutputChecker().check_output(f"{command.printed}\n", printed, SAME)
            assert same, f"{block.place}: {shown}\nprints\n{printed}\nand not\n{command.printed}"

    def _tests(self, block: Block) -> None:
        """Runs the test functions here that need no fixture; the contract, a class, is what `nasplug check` checks."""
        if "not run" in block.marks:
            return
        found = sorted(Path().rglob("test_*.py"))
        assert found, f"{block.place}: there is no test in {os.getcwd()}"
        for path in found:
            names: dict[str, Any] = {"__name__": path.stem}
            exec(compile(path.read_text(encoding="utf-8"), str(path), "exec"), names)  # noqa: S102 - as in _python
            for name, function in names.items():
                if name.startswith("test_") and not inspect.signature(function).parameters:
                    function()

    def _expanded(self, word: str) -> list[str]:
        """As a shell expands it: names of files for a pattern."""
        if "*" in word and "|" not in word:
            return sorted(map(str, Path().glob(word))) or [word]
        return [self.stand_ins.get(word, word)]

    def _small(self, words: list[str]) -> list[str]:
        data = [] if "--data" in words else ["--data", f"arrays:{self.few_images}"]
        preset = [] if "--preset" in words else ["--preset", "tiny"]
        settings = [word for name, value in SMALL.items() for word in ("--set", f"{name}={value}")]
        return [*words, *data, *preset, *settings]


def stop_before_training(patch: pytest.MonkeyPatch) -> None:
    """Lets `run`, `sweep`, `retrain` and `check` do all but what takes long."""

    def start(out: Path | None, plugins: Any, recipe: Any, line: Any, ranks: Any = None) -> None:
        compose(plugins, recipe)
        raise click.exceptions.Exit(0)

    patch.setattr(nasplug.cli.run, "start", start)
    patch.setattr(nasplug.cli.run, "write_estimate", compose)
    patch.setattr(nasplug.cli.sweep, "start", start)
    patch.setattr(nasplug.cli.sweep, "estimate_seconds", lambda plugins, recipe: 0.0)
    patch.setattr(nasplug.cli.retrain, "complete_run", lambda context: None)
    patch.setattr(CheckRunner, "outcomes", lambda runner: iter(()))


def _parse(words: list[str]) -> None:
    """Reads a command line with click alone: names of commands and options, and kinds of their values."""
    context = main.make_context("nasplug", list(words))
    with context:
        name, command, rest = main.resolve_command(context, words)
        assert command is not None
        command.make_context(name, rest, parent=context)


def _check_script(words: list[str]) -> None:
    assert Path(words[0]).is_file() or (ROOT / words[0]).is_file(), f"there is no {words[0]}"
