"""The contract of an executor as pytest tests by whole runs: killed or stopped, they end with the files of `local`."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

if TYPE_CHECKING:
    import pytest

SECONDS = 600
"""The longest that a run, or the wait for the middle of one, may take."""


class ExecutorContract:
    """Base class of an executor's test by whole runs: a subclass in a test file names the executor.

    Each run takes half a minute and more.
    """

    executor: ClassVar[str]
    """What follows `--executor`."""
    settings: ClassVar[Sequence[str]] = ()
    """Options of the executor as they follow `--set`, such as "executor.cpus=1"."""
    _runs: ClassVar[ExecutedRuns | None] = None

    def test_a_training_that_is_killed_goes_on_in_another_process(
        self, tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        """The run ends with the files that a run by `local` leaves, and a line tells of the loss."""
        runs = self.shared_runs(tmp_path_factory)
        process = runs.start("killed", self.executor, *self.settings)
        phase = runs.wait_for_steps("killed", process)
        os.kill(int((phase / "lock").read_text().split()[0]), signal.SIGKILL)
        assert f"'retrain/{phase.name}' goes on at its last checkpoint" in finish(process)
        assert runs.content("killed") == runs.content("whole")

    def test_a_run_that_is_stopped_goes_on_without_the_executor(self, tmp_path_factory: pytest.TempPathFactory) -> None:
        """SIGTERM stops the trainings wherever they are; `resume --executor local` ends with the same files."""
        runs = self.shared_runs(tmp_path_factory)
        process = runs.start("stopped", self.executor, *self.settings)
        runs.wait_for_steps("stopped", process)
        process.send_signal(signal.SIGTERM)
        finish(process, code=75)
        finish(runs.resume("stopped"))
        assert runs.content("stopped") == runs.content("whole")

    @classmethod
    def shared_runs(cls, tmp_path_factory: pytest.TempPathFactory) -> ExecutedRuns:
        """The runs of all tests of a class, with the one that nothing disturbs."""
        shared: ExecutedRuns | None = vars(cls).get("_runs")
        if shared is None:
            shared = cls._runs = ExecutedRuns(tmp_path_factory.mktemp("runs"))
            finish(shared.start("whole", "local"))
        return shared


class ExecutedRuns:
    """Runs of the same few random images, each a process of its own; they differ in the executor alone."""

    def __init__(self, folder: Path) -> None:
        """Writes the images into `folder`, in which the runs will be."""
        # Imported here, because `nasplug check` reads this module, and starts faster without torch.
        import torch
        from safetensors.torch import save_file

        self.folder = folder
        pixels = torch.randint(0, 256, (80, 8, 8, 1), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
        save_file({"images": pixels, "labels": torch.arange(80) % 4}, folder / "images.safetensors")

    def start(self, name: str, executor: str, *settings: str) -> subprocess.Popen[str]:
        """Starts a run with two retrainings of some seconds."""
        words = ["--method", "random", "--preset", "tiny", "--threads", "1", "--executor", executor, "--jobs", "2"]
        short = ["select.networks=2", "select.random=0", "select.references=", "select.measures="]
        short += ["retrain.epochs=60", "run.checkpoint_seconds=0.1"]
        words += [word for setting in (*short, *settings) for word in ("--set", setting)]
        data = f"arrays:{self.folder / 'images.safetensors'}"
        return call("run", *words, "--data", data, "--out", str(self.folder / name))

    def resume(self, name: str) -> subprocess.Popen[str]:
        """Goes on with a run by `local`."""
        return call("resume", str(self.folder / name), "--executor", "local", "--jobs", "1")

    def content(self, name: str) -> dict[str, object]:
        """What must not depend on the executor: result, events, weights and genotypes."""
        run = self.folder / name
        result = json.loads((run / "result.json").read_text(encoding="utf-8"))
        files = [run / "events.jsonl", *run.glob("weights/*"), *run.glob("genotypes/*")]
        content: dict[str, object] = {str(path.relative_to(run)): path.read_bytes() for path in files}
        return content | {"result": {key: value for key, value in result.items() if key not in ("cost", "checksum")}}

    def wait_for_steps(self, name: str, process: subprocess.Popen[str]) -> Path:
        """Waits until a retraining is in the middle; returns its folder."""
        deadline = time.monotonic() + SECONDS
        while True:
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            for journal in (self.folder / name).glob("phases/retrain/*/events.jsonl"):
                if journal.read_bytes().count(b"\n") >= 10 and not (journal.parent / "done.json").exists():
                    return journal.parent
            time.sleep(0.005)


def call(*words: str) -> subprocess.Popen[str]:
    """Starts `nasplug` with these words."""
    program = [sys.executable, "-m", "nasplug", *words]
    return subprocess.Popen(program, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def finish(process: subprocess.Popen[str], code: int = 0) -> str:
    """Waits for the end of `process`, which must have this exit code; returns what it wrote to stderr."""
    _, errors = process.communicate(timeout=SECONDS)
    assert process.returncode == code, errors
    return errors
