"""What a tracker is told of a run: everything once, whatever happens in between. A broken one holds up nothing."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from nasplug.store.events import Journal, ignore_event
from nasplug.tracking import Tracker, finish, follow, observe
from nasplug.tracking.run_contents import list_files, read_parameters

RECIPE = '[run]\nseed = 3\n[data]\nname = "digits"\n[select]\nreferences = ["plain"]\n[environment.more]\nx = 0.5\n'


class Notebook(Tracker):
    """A tracker that writes down what it is told."""

    def __init__(self):
        self.figures, self.told = [], []

    def open(self, run, parameters, identity):
        self.told.append(("open", parameters["run.seed"], identity))
        return identity or "first"

    def log(self, figures):
        self.figures += figures

    def log_result(self, summary, networks):
        self.told.append(("result", dict(summary), networks))

    def log_files(self, files):
        self.told.append(("files", sorted(files)))

    def close(self, status):
        self.told.append(("close", status))


@pytest.fixture
def run(tmp_path):
    path = tmp_path / "run"
    path.mkdir()
    (path / "recipe.toml").write_text(RECIPE)
    return path


@pytest.fixture(autouse=True)
def asked(monkeypatch):
    monkeypatch.setenv("NASPLUG_OBSERVE", "notebook")


def step(number, phase="search", **more):
    return {"event": "step", "phase": phase, "step": number, "epoch": 0, "loss": 1.0 / number, **more}


def set_status(run, status, networks=(), best=None):
    result = {
        "schema": 1,
        "method": "darts",
        "dataset": "digits",
        "seed": 0,
        "status": status,
        "networks": list(networks),
    }
    (run / "result.json").write_text(json.dumps({**result, "front": [], "best": best}))


def network(name, role, val_error):
    fields = {"role": role, "matched_to": None, "params": 10, "macs": 20, "val_error": val_error, "test_error": None}
    return {"id": name, **fields}


def tell(run, notebook, events, *, journal=True):
    """Tells of events, which are on disk before."""
    for event in events:
        if journal:
            with (run / "events.jsonl").open("a") as stream:
                stream.write(json.dumps(event) + "\n")
        follow(run, event, "notebook", lambda: notebook)


def seen(notebook):
    return [(figures.phase, figures.step) for figures in notebook.figures]


def test_figures_networks_and_files_of_a_finished_run(run):
    notebook = Notebook()
    tell(run, notebook, [step(1, S=2, snapshot={}, stop=True), {"event": "found", "phase": "search"}, step(2)])
    tell(run, notebook, [step(1, "retrain/abc"), step(1, "baseline/def"), step(2, "retrain/abc")])
    set_status(run, "done", [network("abc", "found", 0.25), network("def", "random", 0.5)], "abc")

    finish(run, "notebook", lambda: notebook)

    assert [figures.number for figures in notebook.figures] == list(range(7))
    assert notebook.figures[0].values == {"loss": 1.0, "S": 2.0}
    phases = ["retrain/abc", "baseline/def", "retrain/abc"]
    assert seen(notebook)[:5] == [("search", 1), ("search", 2), *zip(phases, (1, 1, 2), strict=True)]
    errors = {(figures.phase, figures.step): dict(figures.values) for figures in notebook.figures[5:]}
    assert errors == {("retrain/abc", 2): {"val_error": 0.25}, ("baseline/def", 1): {"val_error": 0.5}}
    (_, seed, identity), (_, summary, table), files, close = notebook.told
    assert (seed, identity) == ("3", None)
    assert summary == {"best/val_error": 0.25, "best/params": 10, "best/macs": 20}
    assert table.rows[0] == ("abc", "found", None, None, True, 10, 20, 0.25, None)
    assert files == ("files", ["recipe.toml", "result.json"])
    assert close == ("close", "done")


def test_a_run_that_is_resumed_tells_nothing_twice(run, monkeypatch):
    """It goes back to its checkpoint after step 3; it needs not be asked for again."""
    first, second, third = Notebook(), Notebook(), Notebook()
    set_status(run, "stopped")
    tell(run, first, map(step, range(1, 7)))
    finish(run, "notebook", lambda: first)
    monkeypatch.delenv("NASPLUG_OBSERVE")
    Journal(run / "events.jsonl", ignore_event).cut(3)
    tell(run, second, map(step, range(4, 9)))
    set_status(run, "done", [network("abc", "found", 0.25)], "abc")
    finish(run, "notebook", lambda: second)
    finish(run, "notebook", lambda: third)

    assert seen(first) == [("search", number) for number in range(1, 7)]
    assert seen(second) == [("search", 7), ("search", 8)]
    assert [figures.number for figures in second.figures] == [6, 7]
    assert second.told[0] == ("open", "3", "first")
    assert third.figures == []
    assert [what for what, *_ in third.told] == ["open", "files", "close"]


def test_what_was_not_told_when_the_process_was_killed_is_told_when_the_run_is_resumed(run):
    """Also what other processes have written in journals of their own, which are joined at the end."""
    journal = run / "phases" / "retrain" / "abc" / "events.jsonl"
    journal.parent.mkdir(parents=True)
    lines = "".join(json.dumps(step(number, "retrain/abc")) + "\n" for number in (1, 2))
    journal.write_text(lines)
    (run / "events.jsonl").write_text(json.dumps(step(1)) + "\n" + lines)
    set_status(run, "stopped")
    notebook = Notebook()

    finish(run, "notebook", lambda: notebook)

    assert seen(notebook) == [("search", 1), ("retrain/abc", 1), ("retrain/abc", 2)]


def test_who_is_not_asked_sees_nothing(run, monkeypatch):
    for names in ("", "other"):
        monkeypatch.setenv("NASPLUG_OBSERVE", names)
        tell(run, None, [step(1)])
        finish(run, "notebook", lambda: pytest.fail("asked"))
    assert not (run / "notebook.json").exists()


class Broken(Notebook):
    def log(self, figures):
        raise SystemExit("the server is gone")


def test_a_broken_tracker_is_named_once_and_holds_up_nothing(run, capsys):
    set_status(run, "stopped")
    tell(run, Broken(), map(step, range(1, 50)))
    finish(run, "notebook", Broken)

    message = capsys.readouterr().err
    assert message.count("\n") == 1
    assert "The tracker notebook gets no more of" in message
    assert "SystemExit: the server is gone" in message
    assert f"nasplug resume {run}" in message


def test_a_tracker_that_hangs_is_left(run, capsys, monkeypatch):
    monkeypatch.setattr(observe, "IMPATIENCE", 0.1)
    go_on = threading.Event()

    class Slow(Notebook):
        def log(self, figures):
            go_on.wait()

    set_status(run, "stopped")
    tell(run, Slow(), [step(1)])
    finish(run, "notebook", Slow)
    assert "has not taken everything" in capsys.readouterr().err
    go_on.set()


def test_a_damaged_record_is_no_reason_to_begin_again(run, capsys):
    (run / "notebook.json").write_text("{")
    set_status(run, "stopped")
    notebook = Notebook()
    finish(run, "notebook", lambda: notebook)
    assert notebook.told == []
    assert "notebook.json' is damaged" in capsys.readouterr().err


def test_parameters_are_the_recipe(run):
    assert read_parameters(run) == {
        "run.seed": "3",
        "data.name": "digits",
        "select.references": '["plain"]',
        "environment.more.x": "0.5",
    }


def test_weights_are_sent_on_request(run):
    (run / "weights").mkdir()
    (run / "weights" / "abc.safetensors").write_bytes(b"")
    assert set(list_files(run, weights=False)) == {"recipe.toml"}
    assert set(list_files(run, weights=True)) == {"recipe.toml", "weights/abc.safetensors"}


def test_hooks_import_no_torch():
    code = "import sys, nasplug.tracking; print('torch' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path(__file__).parent
    )
    assert done.stdout.strip() == "False"
