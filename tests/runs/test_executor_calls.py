"""Calls through an executor: how many at once, how often again, and what is said in the end."""

from __future__ import annotations

from concurrent.futures import Executor, Future
from contextlib import nullcontext
from itertools import count
from pathlib import Path

import attrs
import pytest

import nasplug.runs.executor_calls
from nasplug.errors import InputError, RunFailure
from nasplug.parts import TrainingExecutor, WorkerLost, Workload
from nasplug.runs.executor_calls import Call, ExecutorCalls
from nasplug.runs.worker import Crash
from nasplug.store.worker_token import WorkerToken

HINT = "nasplug resume RUN"


class Pool(Executor):
    """Calls end in the order in which they were submitted, one with each look at it, as the test says."""

    def __init__(self, outcomes: dict[str, list[object]]) -> None:
        self.outcomes = outcomes
        self.submitted: list[str] = []
        self.open: list[tuple[str, Future[object]]] = []
        self.most = 0

    def submit(self, function, name, path):
        if self.outcomes.get(name) == ["refuses"]:
            raise ConnectionError("no scheduler")
        self.submitted.append(name)
        future = Future()
        self.open.append((name, future))
        self.most = max(self.most, len(self.open))
        return future

    def step(self) -> None:
        """Ends the first call that is under way."""
        while self.open:
            name, future = self.open.pop(0)
            if not future.set_running_or_notify_cancel():
                continue
            outcomes = self.outcomes.get(name, [])
            outcome = outcomes.pop(0) if outcomes else True
            if isinstance(outcome, WorkerLost | ConnectionError):
                future.set_exception(outcome)
            else:
                if outcome is True:
                    (self.folder / name).touch()
                future.set_result(outcome)
            return


@attrs.frozen
class Pretended(TrainingExecutor):
    pool: Pool
    places: int = 2
    broken: bool = False

    def workers(self, workload):
        return self.places

    def open(self, workload):
        if self.broken:
            raise ConnectionError("no scheduler")
        return nullcontext(self.pool)


@pytest.fixture
def carry_out(tmp_path, monkeypatch):
    monkeypatch.setattr(nasplug.runs.executor_calls, "POLL_SECONDS", 0.001)
    monkeypatch.setattr(nasplug.runs.executor_calls, "SIGHT_SECONDS", 0.01)

    def carry_out(pool, names, stop_after=99, retries=2, **executor):
        pool.folder = tmp_path
        token = WorkerToken.issue(tmp_path)
        calls = [Call(name, print, (name, str(tmp_path)), tmp_path / name) for name in names]
        work = ExecutorCalls("fake", Pretended(pool, **executor), Workload(9, "cpu", tmp_path), retries, token, HINT)
        steps = count()
        for _ in work.carry_out(calls, lambda: next(steps) >= stop_after):
            pool.step()
        assert not (tmp_path / "workers.token").exists()

    return carry_out


def test_never_more_are_submitted_than_are_carried_out_at_once_the_first_ones_first(carry_out, tmp_path):
    pool = Pool({})
    carry_out(pool, "abcde")
    assert pool.submitted == list("abcde")
    assert pool.most == 2
    assert all((tmp_path / name).exists() for name in "abcde")


def test_a_lost_call_goes_on_before_others_begin(carry_out, capsys):
    pool = Pool({"a": [WorkerLost("was killed by SIGKILL"), False]})
    carry_out(pool, "abc", places=1)
    assert pool.submitted == list("aaabc")
    notes = capsys.readouterr().err
    assert "Note: a process that trained a network was killed by SIGKILL; 'a' goes on at its last checkpoint." in notes
    assert "ended before that was finished; 'a' goes on" in notes


@pytest.mark.parametrize(
    ("outcome", "sentence"),
    [
        (
            WorkerLost("was killed by SIGKILL, perhaps for lack of memory", "lower --jobs"),
            f"was killed by SIGKILL, perhaps for lack of memory; lower --jobs, or go on with: {HINT}",
        ),
        (WorkerLost("was killed by SIGSEGV"), f"was killed by SIGSEGV; go on with: {HINT}"),
        (ConnectionError("node is gone"), f"was lost (ConnectionError: node is gone); go on with: {HINT}"),
        (False, f"ended before that was finished; go on with: {HINT}"),
    ],
)
@pytest.mark.parametrize("retries", [0, 2])
def test_what_is_lost_too_often_is_a_failure(carry_out, outcome, sentence, retries):
    pool = Pool({"a": [outcome] * 5})
    with pytest.raises(RunFailure) as failure:
        carry_out(pool, "ab", retries=retries)
    assert str(failure.value) == f"A process that trained a network {sentence}"
    assert pool.submitted.count("a") == retries + 1


def test_a_failure_is_not_tried_again_and_stops_the_others(carry_out, capsys):
    pool = Pool({"a": [InputError("No such image.")]})
    with pytest.raises(InputError, match="No such image"):
        carry_out(pool, "abcd")
    assert pool.submitted == ["a", "b"]

    with pytest.raises(RunFailure, match=f"ended with an error, which is above; go on with: {HINT}"):
        carry_out(Pool({"a": [Crash("Traceback ...\nTypeError: 3")]}), "ab")
    assert "TypeError: 3" in capsys.readouterr().err


def test_a_stop_cancels_what_has_not_begun_and_waits_for_the_rest(carry_out):
    pool = Pool({"b": [False]})
    carry_out(pool, "abcd", stop_after=1)
    assert pool.submitted == ["a", "b"]
    assert all(future.done() for _, future in pool.open)


def test_an_executor_that_is_gone_gets_a_sentence(carry_out):
    with pytest.raises(RunFailure, match=r"'fake' takes no more work \(ConnectionError: no scheduler\); go on"):
        carry_out(Pool({"b": ["refuses"]}), "ab", places=1)
    with pytest.raises(RunFailure, match=r"'fake' cannot be opened \(ConnectionError: no scheduler\); go on with"):
        carry_out(Pool({}), "ab", broken=True)


def test_a_run_folder_that_not_all_machines_see_gets_a_sentence(carry_out, monkeypatch):
    monkeypatch.setattr(Path, "touch", lambda path: None)
    with pytest.raises(RunFailure, match="is not to be seen here: the run folder has to lie on a file system that all"):
        carry_out(Pool({}), "a")
