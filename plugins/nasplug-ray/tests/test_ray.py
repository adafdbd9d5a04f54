"""Trainings as tasks of Ray: the same files as without, also where a process is killed or the head is lost."""

from __future__ import annotations

import operator
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("nasplug_ray.ray", reason="not installed: uv pip install -e plugins/nasplug-ray")
from nasplug_ray.ray import Ray

from nasplug.errors import InputError
from nasplug.parts import WorkerLost, Workload
from nasplug.testing.executor_contract import ExecutorContract, finish

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    """Programs of Ray have few seconds to notice that others ended."""
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


@pytest.mark.skipif(sys.platform == "win32", reason="stands in for uv by a shell")
def test_tasks_run_in_this_environment_under_uv_run(tmp_path):
    """Ray looks for a parent whose command line starts with `uv run`."""
    (tmp_path / "program.py").write_text(PROGRAM)
    (tmp_path / "run").write_text(f"'{sys.executable}' program.py; exit $?\n")
    done = subprocess.run(
        ["uv", "run"],  # noqa: S607 - it is what Ray looks for
        executable="/bin/sh",
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == sys.prefix


PROGRAM = """
from pathlib import Path

from nasplug.parts import Workload
from nasplug_ray.ray import Ray

if __name__ == "__main__":
    with Ray().open(Workload(1, "cpu", Path())) as executor:
        print(executor.submit(eval, "__import__('sys').prefix").result())
"""


def test_a_cluster_that_is_not_there_gets_a_sentence(tmp_path):
    with pytest.raises(ConnectionError):
        Ray(address="127.0.0.1:1").open(Workload(2, "cpu", tmp_path))


@pytest.mark.full  # minutes
class TestRuns(ExecutorContract):
    executor = "ray"

    def test_a_run_goes_on_without_ray_after_its_head_was_lost(self, tmp_path_factory):
        runs = self.shared_runs(tmp_path_factory)
        process = runs.start("headless", "ray")
        runs.wait_for_steps("headless", process)
        for number in find_heads():
            os.kill(number, signal.SIGKILL)
        errors = finish(process, code=1)
        assert "The executor 'ray' takes no more work" in errors
        assert "go on with: nasplug resume" in errors
        finish(runs.resume("headless"))
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
