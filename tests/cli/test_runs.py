"""`nasplug runs`: runs are listed with their state, compared, and removed without anything that is not theirs."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import tomli_w

from nasplug.errors import InputError, RunFailure
from nasplug.report.run_difference import find_difference
from nasplug.store.lock import lock_folder
from nasplug.store.run_removal import plan_removal, remove_run
from nasplug.store.run_state import find_runs, read_run_state

RECIPE = {
    "run": {"method": "dnad", "seed": 3, "threads": 2},
    "space": {"part": "darts", "cells": 3},
    "data": {"name": "digits", "root": ""},
    "plugins": {"nasplug": "0.2.0"},
    "environment": {"command": ["nasplug", "run", "--out", "my runs"], "digest": "a", "checksum": ""},
}
OWN = (
    *("splits.safetensors", "data.json", "events.jsonl", "report.html", "table.csv", "ratings.json", "lock"),
    *("mlflow.json", "workers.token", "result.json.draft", "genotypes/aa.json", "weights/aa.safetensors"),
    *("exports/aa-int8.onnx", "phases/search/done.json", "phases/folds/1-of-3/retrain/aa/checkpoint.safetensors"),
    *("phases/retrain/aa/events.jsonl", "phases/retrain/aa/lock", "phases/teacher/pretrained.safetensors"),
)


def network(name: str, params: int, val: float | None, test: float | None, **more: object) -> dict:
    errors = {"val_error": val, "test_error": test}
    return {"id": name, "role": "found", "matched_to": None, "params": params, "macs": 2 * params, **errors, **more}


AA, BB = network("aa", 1000, 0.04, 0.05), network("bb", 2000, 0.03, 0.06)


def run(folder: Path, status: str | None = "done", networks=(AA, BB), best="bb", digests=None, **options) -> Path:
    """A run folder; `options` are those of its recipe, as section__name."""
    sections = {name: dict(section) for name, section in RECIPE.items()}
    for key, value in options.items():
        section, _, name = key.partition("__")
        sections[section][name] = value
    folder.mkdir(parents=True)
    (folder / "recipe.toml").write_text(tomli_w.dumps(sections))
    if status is not None:
        known = {"schema": 1, "status": status, "method": "dnad", "dataset": "digits", "seed": 3, "front": []}
        units = {"latency": {"symbol": "s", "prefix": "m", "whole": False}}
        result = {**known, "networks": list(networks), "best": best, "units": units, "digests": digests}
        (folder / "result.json").write_text(json.dumps(result))
    return folder


def states(folder: Path) -> dict[str, str]:
    return {path.relative_to(folder).as_posix(): read_run_state(path).state for path in find_runs(folder)}


def test_runs_are_found_with_their_states_and_sweeps_and_other_folders_are_looked_through(tmp_path):
    for name, status in (("9", "done"), ("10", "running"), ("11", "failed"), ("12", None), ("13", "running")):
        run(tmp_path / name, status, networks=(), best=None)
    (run(tmp_path / "14") / "result.json").write_text("{")
    (run(tmp_path / "15") / "recipe.toml").write_text("[run")
    run(tmp_path / "16", "finished?")
    run(tmp_path / "sweep" / "dnad-1")
    run(tmp_path / "9" / "rank")  # a part of the run 9
    (tmp_path / "notes" / "deeper").mkdir(parents=True)
    (tmp_path / "notes.txt").touch()
    with lock_folder(tmp_path / "13"), lock_folder(tmp_path / "11"), lock_folder(tmp_path / "9"):
        found = states(tmp_path)
    assert list(found.items()) == [
        ("9", "done"),
        ("10", "stopped"),  # it was killed
        ("11", "going on"),
        ("12", "stopped"),
        ("13", "going on"),
        ("14", "damaged"),
        ("15", "damaged"),
        ("16", "damaged"),
        ("sweep/dnad-1", "done"),
    ]
    assert states(tmp_path)["11"] == "failed"
    assert find_runs(tmp_path / "9") == [tmp_path / "9"]


def test_the_list_has_state_best_network_and_its_limited_cost(tmp_path, here, monkeypatch):
    monkeypatch.chdir(tmp_path)
    limited = network("cc", 3000, 0.25, 0.5, costs={"latency": 1.5}, budget={"latency": 2.0})
    run(Path("runs/001"))
    run(Path("runs/002"), networks=(limited,), best="cc")
    (run(Path("runs/003")) / "result.json").write_text("[]")
    for name in ("recipe.toml", "result.json"):
        os.utime(f"runs/001/{name}", (0, 1_700_000_000))

    result = here("runs")

    assert result.exit_code == 0
    assert "3 runs: 2 done, 1 damaged." in result.stdout
    lines = {line.split()[0]: line for line in result.stdout.splitlines() if line.startswith("runs")}
    for word in ("done", "dnad", "darts", "digits", "2023-11-1", "3.00 %", "6.00 %", "2,000 params"):
        assert word in lines["runs/001"]
    assert "1.50 ms latency" in lines["runs/002"]
    assert "runs/003 is damaged: 'runs/003/result.json' cannot be read" in result.stdout
    first, _, damaged = json.loads(here("runs", "runs", "--json").stdout)
    assert first["best"]["costs"] == {"params": 2000, "macs": 4000}
    assert (first["seed"], first["networks"], first["problem"]) == (3, 2, None)
    assert first["changed"].startswith("2023-11-1")
    assert (damaged["method"], damaged["best"], damaged["state"]) == ("dnad", None, "damaged")


def test_a_list_of_nothing(tmp_path, here, monkeypatch):
    monkeypatch.chdir(tmp_path)
    missing = here("runs")
    assert missing.exit_code == 2
    assert "There is no folder 'runs'" in missing.stderr
    (tmp_path / "diff").mkdir()
    assert here("runs", "list", "diff").stdout == "There is no run in 'diff'.\n"
    assert json.loads(here("runs", "--json", ".").stdout) == []
    assert "remove" in here("runs", "--help").stdout


def test_a_run_does_not_differ_from_its_copy(tmp_path, here):
    first, second = run(tmp_path / "a"), run(tmp_path / "b", run__threads=8, environment__digest="b")
    result = here("runs", "diff", first, second)
    assert result.exit_code == 0
    assert "run.threads" in result.stdout
    same = "The runs have the same recipe and the same results, but for where they were carried out: 2 networks.\n"
    assert result.stdout.endswith(same)
    assert "digest" not in result.stdout
    assert json.loads(here("runs", "diff", first, first, "--json").stdout)["equal"]


def test_options_costs_and_errors_that_differ_are_named(tmp_path, here):
    first = run(tmp_path / "a", digests={"data": "1", "test": "2"})
    other = (network("aa", 1000, 0.04, 0.0500001), network("cc", 3000, None, None))
    changes = {"space__cells": 4, "plugins__nasplug": "0.3", "environment__command": ["nasplug", "run"]}
    second = run(tmp_path / "b", "stopped", other, "aa", {"data": "1", "test": "3"}, **changes)

    found = find_difference(read_run_state(first), read_run_state(second))

    assert [(each.name, each.values) for each in found.options] == [("space.cells", (3, 4))]
    assert [each.name for each in found.circumstances] == ["plugins.nasplug", "environment.command"]
    assert found.images == ("test",)
    assert found.equal_networks == 0
    figures = {(each.network, each.figure): each.values for each in found.figures}
    assert figures == {
        ("", "state"): ("done", "stopped"),
        ("best", "id"): ("bb", "aa"),
        ("best", "params"): (2000, 1000),
        ("best", "macs"): (4000, 2000),
        ("best", "validation error"): (0.03, 0.04),
        ("best", "test error"): (0.06, 0.0500001),
        ("aa", "test error"): (0.05, 0.0500001),
        ("bb", "params"): (2000, None),
        ("bb", "macs"): (4000, None),
        ("bb", "validation error"): (0.03, None),
        ("bb", "test error"): (0.06, None),
        ("cc", "params"): (None, 3000),
        ("cc", "macs"): (None, 6000),
    }
    text = here("runs", "diff", first, second).stdout
    assert "nasplug run --out 'my runs'" in text
    assert "They have other images (test)" in text
    assert json.loads(here("runs", "diff", first, second, "--json").stdout)["options"] == {"space.cells": [3, 4]}


@pytest.mark.parametrize(("damaged", "words"), [(True, "cannot be read"), (False, "is no run folder")])
def test_only_runs_that_can_be_read_are_compared(tmp_path, here, damaged, words):
    first = run(tmp_path / "a")
    if damaged:
        (run(tmp_path / "b") / "result.json").write_text("{")
    result = here("runs", "diff", first, tmp_path / "b")
    assert result.exit_code == 2
    assert words in result.stderr


def fill(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("x")


def test_a_run_is_removed_whole(tmp_path, here):
    folder = run(tmp_path / "a")
    fill(folder, *OWN)
    (folder / "lock").write_text("")
    (folder / "phases" / "trial").mkdir()
    asked = here("runs", "remove", folder)  # nobody answers
    assert asked.exit_code == 1
    assert f"{len(OWN) + 2} files" in asked.stdout
    assert (folder / "phases/search/done.json").exists()
    result = here("runs", "remove", folder, "--yes")
    assert result.exit_code == 0, result.output
    assert not folder.exists()


def test_what_a_run_has_not_written_is_named_and_stays(tmp_path, here):
    folder, outside = run(tmp_path / "a"), tmp_path / "outside"
    fill(folder, *OWN)
    kept = ("notes.txt", "phases/search/plot.png", "exports/model.onnx.bak", "tensorboard/run/events.1", "weights/.x")
    fill(folder, *kept)
    (folder / "mine").mkdir()
    run(folder / "rank")
    fill(outside, "genotypes/aa.json", "bb.json")
    (folder / "genotypes/bb.json").symlink_to(outside / "bb.json")
    (folder / "linked").symlink_to(outside)

    result = here("runs", "remove", folder, "--yes")

    left = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if not path.is_dir()}
    assert left == {*kept, "rank/recipe.toml", "rank/result.json", "genotypes/bb.json"}
    assert (folder / "linked").is_symlink()
    assert (folder / "mine").is_dir()
    assert sorted(path.name for path in outside.rglob("*.json")) == ["aa.json", "bb.json"]
    line = next(line for line in result.stdout.splitlines() if "kept:" in line)
    names = ["exports/model.onnx.bak", "genotypes/bb.json", "linked", "mine/", "notes.txt", "phases/search/plot.png"]
    assert line.strip() == f"kept: {', '.join([*names, 'rank/', 'tensorboard/', 'weights/.x'])}"
    assert "but for what is kept" in result.stdout


def test_nothing_is_removed_if_one_of_the_runs_cannot_be(tmp_path, here):
    free, busy, phase = (run(tmp_path / name) for name in ("free", "busy", "phase"))
    (phase / "phases/retrain/aa").mkdir(parents=True)
    (tmp_path / "link").symlink_to(phase)
    (tmp_path / "empty").mkdir()
    with lock_folder(busy), lock_folder(phase / "phases/retrain/aa"):
        for other, words in (
            (busy, "is under way"),
            (phase, "is under way"),
            (tmp_path / "empty", "is no run folder"),
            (tmp_path, "is no run folder"),
            (tmp_path / "link", "is a symbolic link"),
            (tmp_path / "empty" / ".." / "free", "is named twice"),
        ):
            result = here("runs", "remove", free, other, "--yes")
            assert (result.exit_code, words in result.stderr) == (2, True), result.output
    assert (free / "recipe.toml").is_file()


def test_a_run_that_begins_to_go_on_while_the_user_is_asked_is_refused(tmp_path):
    removal = plan_removal(run(tmp_path / "a"))
    with lock_folder(removal.folder), pytest.raises(InputError, match="under way"):
        remove_run(removal)
    assert (removal.folder / "recipe.toml").is_file()


def test_a_removal_that_was_broken_off_can_be_finished(tmp_path, monkeypatch):
    folder = run(tmp_path / "a")
    fill(folder, "report.html")
    removal = plan_removal(folder)
    with monkeypatch.context() as patch:

        def refuse(path: Path, missing_ok: bool = False) -> None:
            raise PermissionError(13, "Permission denied", str(path))

        patch.setattr(Path, "unlink", refuse)
        with pytest.raises(RunFailure, match="cannot be removed: Permission denied"):
            remove_run(removal)
    os.unlink(folder / "result.json")
    remove_run(plan_removal(folder))
    assert not folder.exists()
