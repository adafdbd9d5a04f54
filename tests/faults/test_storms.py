"""Storms of signals: the first one decides how a run ends, whatever follows, and whenever they come."""

from __future__ import annotations

import json
import signal
import time
from random import Random

import pytest

from tests.faults.sessions import handles_signals, is_pending, send, wait_for, wait_until_gone

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

CODES = {signal.SIGINT: 130, signal.SIGTERM: 75, signal.SIGHUP: 75}
MOMENTS = ("start", "folder", "search", "retraining", "end")
SAMPLE = (3, 6)
"""Storms of the ordinary suite: one job in the middle of a retraining, two jobs while workers start."""


def words(images, jobs):
    return (
        *("run", "--method", "darts", "--preset", "tiny", "--threads", "1", "--jobs", str(jobs)),
        *("--data", f"arrays:{images}", "--set", "data.validation=0", "--set", "run.checkpoint_seconds=0.2"),
        *("--set", "space.nodes=2", "--set", "space.channels=2", "--set", "search.batch_size=8", "--epochs", "2"),
        *("--set", "retrain.channels=2", "--set", "retrain.batch_size=8", "--set", "retrain.epochs=8"),
        *("--set", "retrain.widths=[2,3]", "--set", "select.networks=2", "--set", "select.random=0"),
        *("--set", "run.measure_every=0"),
    )


def has_come(run, moment, process):
    paths = {"folder": "recipe.toml", "search": "events.jsonl", "retraining": "phases/select/done.json"}
    if moment == "start":
        return handles_signals(process)
    if moment == "end":
        path = run / "result.json"
        return (run / "phases/test/done.json").exists() or (path.exists() and '"done"' in path.read_text())
    return (run / paths[moment]).exists()


@pytest.mark.parametrize(
    "seed", [pytest.param(seed, marks=[] if seed in SAMPLE else pytest.mark.full) for seed in range(30)]
)
def test_the_first_signal_of_a_storm_decides(nasplug, here, few_images, tmp_path, seed):
    random, run, moment = Random(seed), tmp_path / "run", MOMENTS[seed % 5]
    storm = [(random.choice(list(CODES)), random.uniform(0, 0.3)) for _ in range(random.randint(2, 6))]
    to_all = random.random() < 0.5
    process = nasplug.start(*words(few_images, 1 + seed % 2), "--out", str(run), start_new_session=True)

    wait_for(lambda: has_come(run, moment, process), process)
    time.sleep(random.uniform(0, {"start": 3, "retraining": 6, "end": 0.05}.get(moment, 1)))
    for number, pause in storm:
        wait_for(lambda: not is_pending(process), process)  # on a busy machine it may not have been its turn yet
        send(process, number, to_all)
        time.sleep(pause)
    output, errors = process.communicate(timeout=120)
    wait_until_gone(process.pid, 10)

    first = signal.Signals(storm[0][0])
    assert "Traceback" not in output + errors, errors
    status = json.loads((run / "result.json").read_text())["status"] if (run / "result.json").exists() else None
    if status == "done":  # the signals came too late to stop anything
        assert process.returncode == 0, errors
        return
    print(f"storm {seed} at {moment}, {process.returncode} after {first.name}: {errors.splitlines()[-1]}")  # noqa: T201
    assert process.returncode == CODES[first], (storm, errors)
    assert errors.count("Stopped by") == 1, errors
    assert f"Stopped by {first.name}" in errors
    assert status in ("stopped", None)
    again = ("resume", run, "--jobs", "1") if (run / "recipe.toml").exists() else (*words(few_images, 1), "--out", run)
    done = here(*again)
    assert done.exit_code == 0, done.output
    assert json.loads((run / "result.json").read_text())["status"] == "done"
