"""What the tests of whole runs share: the command line as a user calls it, and one finished run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

TINY = ("run", "--method", "dnad", "--preset", "tiny", "--jobs", "1", "--threads", "1", "--seed", "7")


@pytest.fixture(autouse=True)
def one_thread():
    """Maps as small as in these tests are many times slower with threads that compete with other processes."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class CommandLine:
    """Runs `nasplug` in a process of its own."""

    @staticmethod
    def arguments(*words: object) -> list[str]:
        return [sys.executable, "-m", "nasplug", *map(str, words)]

    def start(self, *words: object, **options: object) -> subprocess.Popen[str]:
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen(self.arguments(*words), **streams, **options)

    def __call__(self, *words: object, **options: object) -> subprocess.CompletedProcess[str]:
        return subprocess.run(self.arguments(*words), capture_output=True, text=True, check=False, **options)


@pytest.fixture(scope="session")
def nasplug() -> CommandLine:
    return CommandLine()


@pytest.fixture(scope="session")
def finished_run(nasplug: CommandLine, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One whole run of `dnad` with the preset `tiny`."""
    path = tmp_path_factory.mktemp("runs") / "finished"
    done = nasplug(*TINY, "--out", path)
    assert done.returncode == 0, done.stderr
    return path
