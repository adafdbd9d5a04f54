"""Trainings as tasks of Ray: the same files as without, also where a process is killed or the head is lost."""

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

pytest.importorskip("nasplug_ray", reason="nasplug-ray is not installed")
pytest.importorskip("ray", reason="ray is not installed")

import torch
from nasplug_ray.ray import Ray
from safetensors.torch import save_file

from nasplug.errors import InputError
from nasplug.parts import WorkerLost, Workload

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

SMALL = ("random", "--preset", "tiny", "--threads", "1", "--executor", "ray", "--jobs", "2")
SETTINGS = ("networks=2", "random=0", "references=", "measures=")


@pytest.fixture(autouse=True)
def patient(monkeypatch):
    """Programs of Ray have a minute to start on a machine that is busy, and few seconds to notice that others ended."""
    monkeypatch.setenv("RAY_agent_register_timeout_ms", "100000")
    monkeypatch.setenv("RAY_gcs_rpc_server_reconnect_timeout_s", "5")
    monkeypatch.delenv("PYTHONDONTWRITEBYTECODE", raising=False)


def test_more_cores_than_there_are_are_refused():
    with pytest.raises(InputError, match=r"executor\.cpus=4096 is more than the"):
        Ray(cpus=4096).check()
    Ray(cpus=4096, address="auto").check()
    with pytest.raises(InputError, match="part of one GPU or a whole number of them, but it is 1"):
        Ray(gpus=1.5)


def test_calls_are_tasks_and_a_lost_one_is_said_to_be_lost(tmp_path):
    with Ray().open(Workload(2, "cpu", tmp_path)) as executor:
        assert executor.submit(operator.add, 1, 2).result() == 3
        assert isinstance(executor.submit(int, "a").exception(), ValueError)
        lost = executor.submit(signal.raise_signal, signal.SIGKILL).exception()
        assert isinstance(lost, WorkerLost)
        assert lost.remedy == "lower --jobs"
        assert executor.submit(os.getpid).result() != os.getpid()
    with pytest.raises(ConnectionError):
        executor.submit(os.getpid)


def test_a_cluster_that_is_not_there_gets_a_sentence(tmp_path):
    with pytest.raises(ConnectionError):
        Ray(address="127.0.0.1:1").open(Workload(2, "cpu", tmp_path))


class Runs:
    """Runs of few images; all options but those given are the same."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        pixels = torch.randint(0, 256, (80, 8, 8, 1), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
        save_file({"images": pixels, "labels": torch.arange(80) % 4}, folder / "images.safetensors")

    def start(self, name: str, *words: str) -> subprocess.Popen[str]:
        settings = [word for setting in SETTINGS for word in ("--set", f"select.{setting}")]
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


def test_a_training_whose_task_is_killed_goes_on_in_another_one(runs):
    process = runs.start("killed")
    phase = runs.wait_for_steps("killed", process)
    os.kill(int((phase / "lock").read_text().split()[0]), signal.SIGKILL)
    _, errors = process.communicate(timeout=600)
    assert process.returncode == 0, errors
    assert f"'retrain/{phase.name}' goes on at its last checkpoint" in errors
    assert runs.content("killed") == runs.content("whole")


def test_a_run_goes_on_without_ray_after_its_head_was_lost(runs):
    process = runs.start("headless")
    runs.wait_for_steps("headless", process)
    for number in find_heads():
        os.kill(number, signal.SIGKILL)
    _, errors = process.communicate(timeout=600)
    assert process.returncode == 1
    assert "The executor 'ray' takes no more work" in errors
    assert "go on with: nasplug resume" in errors
    resumed = runs.call("resume", str(runs.folder / "headless"), "--executor", "local", "--jobs", "1")
    _, errors = resumed.communicate(timeout=600)
    assert resumed.returncode == 0, errors
    assert runs.content("headless") == runs.content("whole")


def find_heads() -> list[int]:
    """The processes of the head of every cluster that this program's descendants have started."""
    parents, heads = {}, []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(path.name)] = int((path / "stat").read_text().rpartition(")")[2].split()[1])
            if "gcs_server" in (path / "cmdline").read_text().partition("\0")[0]:
                heads.append(int(path.name))
        except (OSError, ValueError):
            continue
    return [head for head in heads if os.getpid() in _ancestors(head, parents)]


def _ancestors(number: int, parents: dict[int, int]) -> list[int]:
    found = []
    while number in parents:
        number = parents[number]
        found.append(number)
    return found
