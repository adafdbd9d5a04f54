"""Trainings as jobs: the same files as without, also where one is killed; on submitit's cluster `local`."""

from __future__ import annotations

import json
import operator
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytest.importorskip("nasplug_slurm", reason="nasplug-slurm is not installed")

import torch
from nasplug_slurm.executor import Resumable
from nasplug_slurm.slurm import Slurm, logs_of
from safetensors.torch import save_file

from nasplug.errors import InputError
from nasplug.parts import Workload

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

SMALL = ("random", "--preset", "tiny", "--threads", "1", "--executor", "slurm", "--jobs", "2")
LOCAL = Slurm(cluster="local")
SETTINGS = ("networks=2", "random=0", "references=", "measures=")


def test_a_machine_without_slurm_is_refused(monkeypatch):
    monkeypatch.setattr("shutil.which", lambda program: None)
    with pytest.raises(InputError, match="submits jobs with sbatch, which is not to be found here"):
        Slurm().check()
    Slurm(cluster="local").check()


def test_calls_are_jobs_whose_logs_are_kept_where_one_was_lost(tmp_path):
    run = tmp_path / "run"
    with LOCAL.open(Workload(2, "cpu", run)) as executor:
        calls = [executor.submit(operator.add, 1, 2), executor.submit(os.getpid)]
        assert calls[0].result() == 3
        assert calls[1].result() != os.getpid()
    assert not logs_of(run).exists()
    with LOCAL.open(Workload(2, "cpu", run)) as executor:
        failed, killed = executor.submit(int, "a"), executor.submit(signal.raise_signal, signal.SIGKILL)
        assert "ended with an error, which is in" in failed.exception().reason
        assert "was ended by the cluster" in killed.exception().reason
    (log,) = [path for path in logs_of(run).glob("*/*.err") if "ValueError" in path.read_text()]
    assert str(log) in failed.exception().reason
    with pytest.raises(RuntimeError):
        executor.submit(os.getpid)


def test_an_interrupted_job_does_the_same_again():
    call = Resumable(operator.add, (1, 2), {})
    assert call.checkpoint().function is call
    assert call() == 3


class Runs:
    """Runs of few images; all options but those given are the same."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        pixels = torch.randint(0, 256, (80, 8, 8, 1), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
        save_file({"images": pixels, "labels": torch.arange(80) % 4}, folder / "images.safetensors")

    def start(self, name: str, *words: str) -> subprocess.Popen[str]:
        settings = [word for setting in SETTINGS for word in ("--set", f"select.{setting}")]
        settings += ["--set", "executor.cluster=local"] if "local" not in words else []
        settings += ["--set", "retrain.epochs=60", "--set", "run.checkpoint_seconds=0.1"]
        data = ["--data", f"arrays:{self.folder / 'images.safetensors'}", "--out", str(self.folder / name)]
        return self.call("run", "--method", *SMALL, *settings, *data, *words)

    @staticmethod
    def call(*words: str) -> subprocess.Popen[str]:
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen([sys.executable, "-m", "nasplug", *words], **streams)

    def content(self, name: str) -> dict[str, bytes]:
        run = self.folder / name
        result = json.loads((run / "result.json").read_text())
        result = {key: value for key, value in result.items() if key not in ("cost", "checksum")}
        files = [run / "events.jsonl", *run.glob("weights/*"), *run.glob("genotypes/*")]
        return {"result": result, **{str(path.relative_to(run)): path.read_bytes() for path in files}}

    def wait_for_steps(self, name: str, process: subprocess.Popen[str]) -> Path:
        """The folder of a retraining that is in the middle."""
        deadline = time.monotonic() + 600
        while True:
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < deadline
            for journal in (self.folder / name).glob("phases/retrain/*/events.jsonl"):
                if journal.read_bytes().count(b"\n") >= 10 and not (journal.parent / "done.json").exists():
                    return journal.parent
            time.sleep(0.005)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    runs = Runs(tmp_path_factory.mktemp("runs"))
    process = runs.start("whole", "--executor", "local", "--jobs", "1")
    _, errors = process.communicate(timeout=600)
    assert process.returncode == 0, errors
    return runs


def test_a_training_whose_job_is_killed_goes_on_in_another_one(runs):
    process = runs.start("killed")
    phase = runs.wait_for_steps("killed", process)
    os.kill(int((phase / "lock").read_text().split()[0]), signal.SIGKILL)
    _, errors = process.communicate(timeout=600)
    assert process.returncode == 0, errors
    assert f"'retrain/{phase.name}' goes on at its last checkpoint" in errors
    assert runs.content("killed") == runs.content("whole")


def test_a_stop_ends_the_jobs_and_the_run_goes_on_without_them(runs):
    process = runs.start("stopped")
    runs.wait_for_steps("stopped", process)
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=600)
    assert process.returncode == 75, errors
    resumed = runs.call("resume", str(runs.folder / "stopped"), "--executor", "local", "--jobs", "1")
    _, errors = resumed.communicate(timeout=600)
    assert resumed.returncode == 0, errors
    assert runs.content("stopped") == runs.content("whole")
