from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

import attrs
import pytest

import nasplug.runs.sweep
from nasplug.errors import InputError
from nasplug.plugins import load_plugins
from nasplug.runs.create import start
from nasplug.runs.defaults import resolve_recipe
from nasplug.runs.sweep import carry_out, plan_sweep
from nasplug.store.result import set_status
from nasplug.store.run_folder import RunFolder
from nasplug.values.recipe import Recipe

RESULT = {"schema": 1, "method": "random", "dataset": "digits", "seed": 0, "networks": [], "front": [], "best": None}


@pytest.fixture
def recipe(few_images):
    def resolved(*layers: dict) -> Recipe:
        base = {
            "run": {"method": "random", "preset": "tiny", "jobs": 1, "threads": 1},
            "data": {"name": f"arrays:{few_images}", "validation": 0.0},
            "select": {"references": [], "measures": []},
        }
        return resolve_recipe(load_plugins(), [base, *layers])

    return resolved


def test_a_run_that_was_started_is_found_as_asked_for_whatever_machine_it_ran_on(recipe, tmp_path):
    asked, folder = recipe({"retrain": {"widths": [4, 8]}, "budget": {"params": "20k"}}), tmp_path / "random-0"
    assert [run.status for run in plan_sweep(load_plugins(), {folder: asked})] == ["new"]

    start(folder, load_plugins(), asked, [])
    elsewhere = attrs.evolve(asked, run=attrs.evolve(asked.run, jobs=3, threads=2, device="cpu"))
    assert [run.status for run in plan_sweep(load_plugins(), {folder: elsewhere})] == ["stopped"]

    RunFolder(folder).write_result({**RESULT, "status": "done"})
    assert [run.status for run in plan_sweep(load_plugins(), {folder: elsewhere})] == ["finished"]
    set_status(RunFolder(folder), "failed")
    assert [run.status for run in plan_sweep(load_plugins(), {folder: elsewhere})] == ["stopped"]


def test_a_run_with_another_recipe_is_refused_with_what_differs(recipe, tmp_path):
    start(tmp_path / "random-0", load_plugins(), recipe(), [])
    other = recipe({"retrain": {"epochs": 7}}, {"budget": {"params": 5000}}, {"run": {"seed": 1}})

    with pytest.raises(InputError, match=r"holds a run with another recipe: run.seed is 0 there and 1 here") as caught:
        plan_sweep(load_plugins(), {tmp_path / "random-0": other})
    assert "retrain.epochs is 2 there and 7 here" in str(caught.value)
    assert "budget.params is unset there and 5000 here" in str(caught.value)


def test_two_methods_that_options_make_the_same_are_refused(recipe, tmp_path):
    one = recipe()
    other = attrs.evolve(one, run=attrs.evolve(one.run, method="darts"))
    with pytest.raises(InputError, match="'random-0' and 'darts-0' would be the same run"):
        plan_sweep(load_plugins(), {tmp_path / "random-0": one, tmp_path / "darts-0": other})

    seeds = {tmp_path / f"random-{seed}": recipe({"run": {"seed": seed}}) for seed in (0, 1)}
    assert len(plan_sweep(load_plugins(), seeds)) == 2


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGTERM")
def test_the_process_of_a_run_is_asked_once_to_stop_and_waited_for(tmp_path, monkeypatch):
    """In place of a run stands a program that takes a while to stop, and would not survive a second signal."""
    program = tmp_path / "program.py"
    program.write_text(
        "import pathlib, signal, sys, time\n"
        "def stop(*_):\n"
        "    signal.signal(signal.SIGTERM, signal.SIG_DFL)\n"
        "    time.sleep(0.5)\n"
        "    sys.exit(75)\n"
        "signal.signal(signal.SIGTERM, stop)\n"
        f"pathlib.Path({str(tmp_path / 'ready')!r}).touch()\n"
        "time.sleep(60)\n"
    )
    start_process = subprocess.Popen
    monkeypatch.setattr(nasplug.runs.sweep, "POLL_SECONDS", 0.02)
    monkeypatch.setattr(
        nasplug.runs.sweep.subprocess, "Popen", lambda words: start_process([sys.executable, str(program)])
    )
    started = time.monotonic()
    assert carry_out(tmp_path, (tmp_path / "ready").exists) == 75
    assert time.monotonic() - started < 30


@pytest.mark.slow
def test_a_run_is_carried_out_in_a_process_of_its_own(recipe, tmp_path, capfd):
    folder = tmp_path / "random-0"
    start(folder, load_plugins(), recipe({"select": {"networks": 1}, "retrain": {"epochs": 1}}), [])

    assert carry_out(folder, lambda: False) == 0
    assert json.loads((folder / "result.json").read_text())["status"] == "done"
    assert "Report:" in capfd.readouterr().out
    assert carry_out(Path("nowhere"), lambda: False) == 2
