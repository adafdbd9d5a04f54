"""Runs of several processes: one that is stopped, one of which a process is killed, and retrainings."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nasplug.store.events import read_events
from nasplug.store.result import read_result

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

SHORT = (
    *("run", "--method", "snps", "--preset", "tiny", "--set", "run.checkpoint_seconds=0.1", "--seed", "7"),
    *("--set", "space.nodes=2", "--set", "space.channels=2", "--set", "retrain.channels=2"),
    *("--set", "select.networks=1", "--set", "search.batch_size=32", "--set", "retrain.batch_size=128"),
    *("--set", "retrain.epochs=1", "--set", "select.random=0"),
)


@pytest.fixture
def torchrun():
    """Starts `nasplug` in several processes, or in one without torchrun; what is left of it ends with the test."""
    started: list[subprocess.Popen[str]] = []

    def start(count: int, *words: object) -> subprocess.Popen[str]:
        launcher = ("-m", "torch.distributed.run", "--nproc-per-node", str(count)) if count > 1 else ()
        command = [sys.executable, *launcher, "-m", "nasplug", *map(str, words)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        started.append(subprocess.Popen(command, env=environment, **streams))
        return started[-1]

    yield start
    for launched in started:
        if launched.poll() is None:
            launched.terminate()
            launched.communicate()


def ranks_of(launched: subprocess.Popen[str]) -> dict[int, int]:
    """The processes that torchrun has started, by rank."""
    found = {}
    for child in Path(f"/proc/{launched.pid}/task/{launched.pid}/children").read_text().split():
        for entry in Path(f"/proc/{child}/environ").read_bytes().split(b"\0"):
            if entry.startswith(b"RANK="):
                found[int(entry[5:])] = int(child)
    return found


def wait_for_steps(run: Path, count: int, launched: subprocess.Popen[str]) -> None:
    while not (run / "events.jsonl").exists() or sum(1 for _ in read_events(run / "events.jsonl")) < count:
        assert launched.poll() is None, launched.communicate()
        time.sleep(0.05)


def finished(launched: subprocess.Popen[str]) -> tuple[int, str]:
    _, errors = launched.communicate(timeout=500)
    return launched.returncode, errors


def steps_of(run: Path) -> list[int]:
    return [event["step"] for event in read_events(run / "events.jsonl") if event["phase"] == "search"]


def retraining_losses(run: Path) -> list[float]:
    events = read_events(run / "events.jsonl")
    return [event["loss"] for event in events if event["event"] == "step" and event["phase"].startswith("retrain/")]


def test_a_run_is_stopped_on_one_rank_and_goes_on_with_another_number(tmp_path, torchrun):
    run = tmp_path / "run"
    launched = torchrun(2, *SHORT, "--out", run)
    wait_for_steps(run, 6, launched)
    os.kill(ranks_of(launched)[1], signal.SIGTERM)
    code, errors = finished(launched)
    assert code != 0
    assert errors.count("Stopped by SIGTERM; nothing is lost. Go on with: nasplug resume") == 1
    assert json.loads((run / "result.json").read_text())["status"] == "stopped"
    stopped_at = steps_of(run)[-1]

    assert finished(torchrun(3, "resume", run))[0] == 0

    steps = steps_of(run)
    assert steps[:-1] == list(range(1, len(steps)))  # the last is what was found
    assert 6 <= stopped_at < len(steps)
    assert read_result(run).networks[0].val_error is not None
    assert (run / "report.html").stat().st_size > 10_000


@pytest.mark.parametrize("rank", [pytest.param(0, marks=pytest.mark.full), 1])
def test_a_rank_that_is_killed_ends_the_others_with_a_sentence(tmp_path, rank, torchrun):
    run = tmp_path / "run"
    launched = torchrun(2, *SHORT, "--set", "run.measure_every=0", "--out", run)
    wait_for_steps(run, 6, launched)
    started = time.monotonic()
    os.kill(ranks_of(launched)[rank], signal.SIGKILL)
    code, errors = finished(launched)
    assert time.monotonic() - started < 30
    assert code == 1
    assert "Another process of this training has ended, or cannot be reached. Go on with: nasplug resume" in errors
    assert "Traceback" not in errors.partition("torch/distributed")[0]
    done = steps_of(run)[-1]

    assert finished(torchrun(1, "resume", run))[0] == 0
    assert len(steps_of(run)) > done - 5


@pytest.mark.full
def test_a_search_and_a_retraining_with_steps_ahead_of_the_host(tmp_path, torchrun):
    run, alone, together = tmp_path / "run", tmp_path / "alone", tmp_path / "together"
    assert finished(torchrun(2, *SHORT, "--set", "run.poll=4", "--out", run))[0] == 0
    steps = steps_of(run)
    assert steps[:-1] == list(range(1, len(steps)))
    assert read_result(run).status == "done"

    again = ("retrain", run, "--same-networks", "--seed", "8", "--set", "run.sync_norms=true")
    assert finished(torchrun(2, *again, "--set", "run.poll=4", "--out", together))[0] == 0
    assert finished(torchrun(1, *again, "--set", "run.poll=1", "--out", alone))[0] == 0

    one, several = retraining_losses(alone), retraining_losses(together)
    assert len(one) > 5
    assert several == pytest.approx(one, rel=1e-2)  # in float32, where rounding errors grow by Adam
    (first,), (second,) = (read_result(folder).networks for folder in (alone, together))
    assert first.id == second.id
    assert second.val_error == pytest.approx(first.val_error, abs=0.02)
