"""Runs that are killed again and again, at any moment, end like one that was not, and leave no process."""

from __future__ import annotations

import json
import signal
import time
from random import Random

import pytest

from tests.faults.sessions import send, wait_for, wait_until_gone
from tests.faults.test_storms import words

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3000)]

SECONDS = 10.0
"""After which no process of a run that was killed may be left: far more than it takes, since machines may be busy."""


def content(run):
    """Every file that equal runs share, byte by byte; costs are taken out of the result."""
    result = json.loads((run / "result.json").read_text())
    result.pop("cost")
    files = [run / "events.jsonl", *run.glob("weights/*"), *run.glob("genotypes/*")]
    return result, {str(path.relative_to(run)): path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def whole(here, few_images, tmp_path_factory):
    run = tmp_path_factory.mktemp("runs") / "whole"
    done = here(*words(few_images, 1), "--out", run)
    assert done.exit_code == 0, done.output
    return content(run)


@pytest.mark.parametrize(
    ("seed", "kills"),
    [
        pytest.param(0, 1, id="once"),
        *(pytest.param(seed, 10, id=f"ten times, {seed}", marks=pytest.mark.full) for seed in (1, 2, 3, 4)),
    ],
)
def test_killed_runs_end_alike(nasplug, here, few_images, tmp_path, whole, seed, kills):
    random, run = Random(seed), tmp_path / "run"
    start = (*words(few_images, 2 - seed % 2), "--out", str(run))

    def words_now():
        return ("resume", str(run)) if (run / "recipe.toml").exists() else start

    for number in range(kills):
        process = nasplug.start(*words_now(), start_new_session=True)
        if number % 5 != 4:  # else while it starts
            path = run / random.choice(["events.jsonl", "phases/search/done.json", "phases/select/done.json"])
            wait_for(path.exists, process)
        time.sleep(random.uniform(0, 8))
        send(process, signal.SIGKILL, to_all=False)
        waited = wait_until_gone(process.pid, SECONDS)
        print(f"kill {number}: {len(list(run.glob('phases/*/*/done.json')))} networks, gone in {waited:.2f} s")  # noqa: T201
        process.communicate()
    last = words_now()
    done = here(*last, *(("--jobs", "1") if last[0] == "resume" else ()))
    assert done.exit_code == 0, done.output
    assert content(run) == whole
