from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from nasplug.cli import dry_run
from nasplug.cli.dry_run import format_duration
from nasplug.compose import read_config, recipe_sections, resolve
from nasplug.plugins import load_plugins
from nasplug.runs.create import start
from nasplug.runs.estimate import PhaseEstimate, estimate_run


@pytest.fixture
def words(few_images):
    options = ("--set", "data.validation=0", "--set", "search.batch_size=8", "--set", "retrain.batch_size=16")
    return ("--preset", "tiny", "--data", f"arrays:{few_images}", "--jobs", "2", *options)


@pytest.mark.slow
def test_a_dry_run_prints_a_recipe_that_can_be_run_and_leaves_nothing(here, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = here("run", "--method", "dna", *words, "--dry-run")
    assert done.exit_code == 0, done.output
    assert not list(tmp_path.iterdir())
    recipe = done.stdout
    assert tomllib.loads(recipe)["run"]["method"] == "dna"
    path = tmp_path / "recipe.toml"
    path.write_text(recipe)
    assert resolve(load_plugins(), [read_config(path, recipe_sections(load_plugins()))]).to_dict() == tomllib.loads(
        recipe
    )
    for supplied in ("nasplug-dna", "single-path", "mbconv", "blockwise"):
        assert supplied in done.stderr


def test_phases_and_steps_are_those_of_the_run(words, few_images, tmp_path):
    recipe = resolve(
        load_plugins(),
        [
            {
                "run": {"method": "dna", "preset": "tiny", "jobs": 2, "threads": 1, "device": "cpu"},
                "data": {"name": f"arrays:{few_images}", "validation": 0.0},
                "search": {"batch_size": 8, "epochs": 3},
                "teacher": {"epochs": 2},
                "retrain": {"batch_size": 16, "epochs": 5},
                "select": {"networks": 3, "random": 1},
            }
        ],
    )
    estimates = list(estimate_run(start(tmp_path / "run", load_plugins(), recipe, [])))
    # 64 training images: 4 batches of 16; of these 51 for the weights of the search: 6 batches of 8, in three stages.
    assert [(each.name, each.phases, each.at_once, each.steps) for each in estimates] == [
        ("teacher", 1, 1, 2 * 4),
        ("search", 1, 1, 3 * 6 * 3),
        ("retrain", 6, 2, 5 * 4),
    ]
    for each in estimates:
        assert each.seconds_per_step > 0
        assert each.peak_memory_bytes > 0
        assert each.seconds == pytest.approx(-(-each.phases // each.at_once) * each.steps * each.seconds_per_step)
    assert [path.name for path in Path(tmp_path / "run").iterdir() if path.name == "phases"] == []


def test_a_tournament_is_counted_rung_by_rung_for_every_budget(tmp_path):
    recipe = resolve(
        load_plugins(),
        [
            {
                "run": {"method": "random", "preset": "tiny", "jobs": 2, "threads": 1, "device": "cpu"},
                "retrain": {"batch_size": 64, "epochs": 8},
                "select": {"networks": 2, "random": 1, "candidates": 7},
                "budget": {"params": [20_000, 40_000]},
            }
        ],
    )
    estimates = list(estimate_run(start(tmp_path / "run", load_plugins(), recipe, [])))
    # The digits: 1138 training images, 17 batches of 64. Found and random networks for two budgets: four groups.
    assert [(each.name, each.phases, each.at_once, each.steps) for each in estimates] == [
        ("tournament/1", 4 * 7, 2, 2 * 17),
        ("tournament/2", 4 * 4, 2, 4 * 17),
        ("retrain", 4 * 2, 2, 8 * 17),
    ]


def test_a_cross_validation_is_counted_fold_by_fold(few_images, tmp_path):
    layer = {
        "run": {"method": "random", "preset": "tiny", "jobs": 1, "threads": 1, "device": "cpu"},
        "data": {"name": f"arrays:{few_images}", "folds": 4},
        "retrain": {"batch_size": 16, "epochs": 8},
        "select": {"networks": 1, "random": 1, "candidates": 3},
    }
    recipe = resolve(load_plugins(), [layer])
    estimates = list(estimate_run(start(tmp_path / "run", load_plugins(), recipe, [])))
    # 64 images that are not for the test: 3 batches of 16 without a fold of 16, 4 batches of all.
    assert [(each.name, each.phases, each.steps) for each in estimates] == [
        ("tournament/1", 4 * 2 * 3, 2 * 3),
        ("tournament/2", 4 * 2 * 2, 4 * 3),
        ("folds", 4 * 2, 8 * 3),
        ("retrain", 2, 8 * 4),
    ]


def test_a_dry_run_says_what_networks_learn_from(here, words, monkeypatch):
    estimate = PhaseEstimate("retrain", 1, 1, 8, 0.5, 2**30)
    monkeypatch.setattr(dry_run, "_write_costs", lambda *_: None)  # which takes seconds, and is tested above
    monkeypatch.setattr(dry_run, "estimate_run", lambda _: [estimate])
    small = ("space.cells=2", "space.nodes=2", "space.channels=2", "retrain.channels=2", "retrain.distil=0.25")
    small += ("select.references=[]", "select.measures=[]")
    words += tuple(word for option in small for word in ("--set", option))
    done = here("run", "--method", "dnad", *words, "--dry-run")
    assert done.exit_code == 0, done.output
    assert tomllib.loads(done.stdout)["retrain"]["distil"] == 0.25
    assert "a teacher's network (trained before the search) at temperature 4: 25 % of their loss" in done.stderr
    refused = here("run", "--method", "random", *words, "--dry-run")
    assert refused.exit_code == 2
    assert "--teacher-from RUN_OR_FILE" in refused.stderr


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(7, "7 s"), (119, "1 min 59 s"), (3700, "1 h 1 min"), (86400 * 3, "3.0 days"), (86400, "24 h 0 min")],
)
def test_durations_have_two_units(seconds, words):
    assert format_duration(seconds) == words
