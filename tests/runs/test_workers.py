"""Independent trainings by an executor: the same files whoever carries them out, also where a process is killed."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from concurrent.futures import Executor, Future
from contextlib import closing
from pathlib import Path

import attrs
import pytest

from nasplug.parts import TrainingExecutor
from nasplug.plugins import Registration, load_plugins
from nasplug.runs.create import start
from nasplug.runs.defaults import resolve_recipe
from nasplug.runs.pipeline import read_plans, run_pipeline
from nasplug.runs.signals import Signals
from nasplug.runs.training_task import plan_retrainings
from nasplug.runs.worker import Program, train_phase
from nasplug.runs.workers import _JournalReader, journal_path
from nasplug.store.checkpoint import count_saved_events
from nasplug.store.events import Journal, ignore_event
from nasplug.store.worker_token import WorkerToken


class InPlace(Executor):
    """Carries out a call when it is submitted, in the thread that submits it."""

    def submit(self, function, *arguments):
        future = Future()
        future.set_result(function(*arguments))
        return future


@attrs.frozen
class InPlaceExecutor(TrainingExecutor):
    def open(self, workload):
        return InPlace()


def own_plugins():
    plugins = load_plugins()
    own = Registration("executor", "in-place", f"{__name__}:InPlaceExecutor", "For tests.", "tests", "1")
    plugins.registrations.append(own)
    return plugins


def recipe_of(images: Path, **run: object):
    return [
        {
            "run": {"method": "random", "preset": "tiny", "threads": 1, "device": "cpu", **run},
            "data": {"name": f"arrays:{images}", "validation": 0.2},
            "select": {"networks": 2, "random": 0, "references": [], "measures": []},
            "retrain": {"epochs": 3},
        }
    ]


def content(run: Path) -> dict[str, bytes]:
    """The files that equal runs share, and their result without what it took."""
    result = json.loads((run / "result.json").read_text())
    for name in ("cost", "checksum"):
        result.pop(name)
    files = [run / "events.jsonl", *run.glob("weights/*"), *run.glob("genotypes/*")]
    return {"result": json.dumps(result).encode(), **{str(path.relative_to(run)): path.read_bytes() for path in files}}


def carry_out(context) -> list[dict]:
    events: list[dict] = []
    for _ in run_pipeline(context, Signals(), lambda event: events.append(dict(event))):
        pass
    return events


@pytest.fixture(scope="module")
def plugins():
    return own_plugins()


@pytest.fixture(scope="module")
def whole(few_images, tmp_path_factory, plugins):
    run = tmp_path_factory.mktemp("runs") / "whole"
    events = carry_out(start(run, plugins, resolve_recipe(plugins, recipe_of(few_images, jobs=1)), []))
    return content(run), sorted(map(json.dumps, events))


def test_an_executor_of_a_plugin_leaves_the_same_files_and_gives_the_same_events(
    few_images, tmp_path, plugins, whole, monkeypatch
):
    monkeypatch.setattr("nasplug.runs.worker.load_plugins", lambda settings, quiet: plugins)
    layers = [*recipe_of(few_images, jobs=2), {"executor": {"part": "in-place"}}]
    events = carry_out(start(tmp_path / "run", plugins, resolve_recipe(plugins, layers), []))
    assert (content(tmp_path / "run"), sorted(map(json.dumps, events))) == whole
    assert not (tmp_path / "run" / "workers.token").exists()


def test_reading_journals_leaves_them_to_the_process_that_has_locked_the_phase(few_images, tmp_path, plugins):
    recipe = resolve_recipe(plugins, recipe_of(few_images, jobs=1, checkpoint_seconds=0))
    context = start(tmp_path / "run", plugins, recipe, [])
    with closing(run_pipeline(context, Signals())) as steps:
        for _ in steps:
            checkpoints = list(context.folder.path.glob("phases/retrain/*/checkpoint.safetensors"))
            if checkpoints and count_saved_events(checkpoints[0]) >= 2:
                break
    phase = str(checkpoints[0].parent.relative_to(context.folder.path / "phases"))
    tasks = [task for task in plan_retrainings(context, read_plans(context.folder)) if task.phase == phase]
    journal, saved = journal_path(context, phase), count_saved_events(checkpoints[0])
    late = Journal(journal, ignore_event)
    late.append(phase, {"event": "step", "step": late.count, "epoch": 9, "loss": 1.0})
    before, events = journal.read_bytes(), []
    steps = list(_JournalReader(context, tasks, events.append).read())
    assert journal.read_bytes() == before
    assert [event["step"] for event in events] == list(range(saved, late.count))
    assert [step.done for step in steps] == [late.count - 1]


def test_work_for_a_program_that_has_stopped_does_not_begin(tmp_path, plugins):
    token = WorkerToken.issue(tmp_path)
    program = Program.here(tmp_path, plugins, token, 1)
    token.revoke()
    assert train_phase(program, {}) is False


def test_what_a_worker_cannot_have_is_a_sentence_and_what_breaks_is_a_traceback(tmp_path, plugins):
    program = Program.here(tmp_path, plugins, WorkerToken.issue(tmp_path), 1)
    assert "KeyError: 'fold'" in train_phase(program, {}).traceback

    elsewhere = attrs.evolve(program, process=("elsewhere", 1), directory=str(tmp_path / "gone"))
    assert "is not there on the machine" in str(train_phase(elsewhere, {}))


def wait_for_steps(run: Path, process, count: int) -> Path:
    """The folder of the first retraining that has made so many steps."""
    deadline = time.monotonic() + 300
    while True:
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        for journal in run.glob("phases/retrain/*/events.jsonl"):
            if journal.read_bytes().count(b"\n") >= count and not (journal.parent / "done.json").exists():
                return journal.parent
        time.sleep(0.005)


@pytest.fixture(scope="module")
def words(few_images) -> tuple[str, ...]:
    """A run with two networks, trained long enough to be killed or stopped on the way."""
    few = ("select.networks=2", "select.random=0", "select.references=", "select.measures=", "retrain.epochs=60")
    words = ("run", "--method", "random", "--preset", "tiny", "--threads", "1", "--data", f"arrays:{few_images}")
    return (*words, *(word for setting in few for word in ("--set", setting)))


@pytest.fixture(scope="module")
def undisturbed(here, words, tmp_path_factory) -> dict[str, bytes]:
    """What such a run leaves that is neither killed nor stopped."""
    run = tmp_path_factory.mktemp("runs") / "undisturbed"
    done = here(*words, "--jobs", "1", "--out", run)
    assert done.exit_code == 0, done.output
    return content(run)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_a_training_whose_process_is_killed_goes_on_in_another_one(nasplug, here, words, undisturbed, tmp_path):
    words = (*words, "--set", "run.checkpoint_seconds=0.1")
    process = nasplug.start(*words, "--jobs", "2", "--out", tmp_path / "killed")
    phase = wait_for_steps(tmp_path / "killed", process, 10)
    os.kill(int((phase / "lock").read_text().split()[0]), signal.SIGKILL)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    assert f"was killed by SIGKILL, perhaps for lack of memory; 'retrain/{phase.name}' goes on" in errors
    assert content(tmp_path / "killed") == undisturbed

    process = nasplug.start(*words, "--jobs", "2", "--set", "run.retries=0", "--out", tmp_path / "given-up")
    phase = wait_for_steps(tmp_path / "given-up", process, 10)
    os.kill(int((phase / "lock").read_text().split()[0]), signal.SIGKILL)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 1
    assert "was killed by SIGKILL, perhaps for lack of memory; lower --jobs, or go on with: nasplug resume" in errors
    assert here("resume", tmp_path / "given-up").exit_code == 0
    assert content(tmp_path / "given-up") == undisturbed


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM")
def test_a_stop_reaches_every_process_and_the_run_goes_on_elsewhere(nasplug, here, words, undisturbed, tmp_path):
    process = nasplug.start(*words, "--jobs", "2", "--out", tmp_path / "stopped")
    phase = wait_for_steps(tmp_path / "stopped", process, 10)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 130, errors
    assert (phase / "checkpoint.safetensors").exists() or (phase / "done.json").exists()
    done = here("resume", tmp_path / "stopped", "--jobs", "1")
    assert done.exit_code == 0, done.output
    assert content(tmp_path / "stopped") == undisturbed
