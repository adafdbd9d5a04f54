"""Trainings as jobs: the same files as without, also where one is killed; on submitit's cluster `local`."""

from __future__ import annotations

import operator
import os
import signal

import pytest

pytest.importorskip("nasplug_slurm.slurm", reason="not installed: uv pip install -e plugins/nasplug-slurm")
from nasplug_slurm.executor import Resumable
from nasplug_slurm.slurm import Slurm, logs_of

from nasplug.errors import InputError
from nasplug.parts import Workload
from nasplug.testing import ExecutorContract

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

LOCAL = Slurm(cluster="local")


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


@pytest.mark.full  # minutes
class TestRuns(ExecutorContract):
    executor = "slurm"
    settings = ("executor.cluster=local",)
