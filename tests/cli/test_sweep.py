from __future__ import annotations

import sys
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from PIL import Image

import nasplug.cli.run
import nasplug.cli.sweep
from nasplug.cli import main
from nasplug.cli.sweep import read_names, read_seeds
from nasplug.errors import InputError
from nasplug.runs.signals import Signals
from nasplug.store.run_folder import RunFolder

NETWORK = {"id": "aa", "role": "found", "matched_to": None, "params": 10, "macs": 20, "val_error": 0.1}


@pytest.mark.parametrize(
    ("text", "seeds"),
    [("3", [3]), ("0-4", [0, 1, 2, 3, 4]), ("0,3,10-12", [0, 3, 10, 11, 12]), (" 2 , 1-1", [2, 1]), ("7-7", [7])],
)
def test_seeds_are_numbers_and_ranges(text, seeds):
    assert read_seeds(text) == seeds


@pytest.mark.parametrize("text", ["", "a", "4-1", "-1", "1-", "0-1000", "1;2", "0--1", "1.5", "9" * 12, "0-2,,3"])
def test_what_is_no_range_of_seeds_gets_a_sentence(text):
    with pytest.raises(InputError, match="--seeds takes seeds and ranges"):
        read_seeds(text)


def test_what_is_named_twice_is_refused():
    with pytest.raises(InputError, match="--seeds names 2 twice"):
        read_seeds("0-3,2")
    with pytest.raises(InputError, match="--methods names 'dna' twice"):
        read_names("methods", "dna,dnad, dna")
    with pytest.raises(InputError, match="takes names"):
        read_names("methods", " , ")


class Runs:
    """In place of runs, their results are written; `failing` ones end with code 1, `damaging` ones write no events."""

    def __init__(self) -> None:
        self.failing: set[str] = set()
        self.damaging: set[str] = set()
        self.stop_after: str | None = None
        self.done: list[str] = []

    def __call__(self, folder: Path, signals: Signals) -> int:
        self.done.append(folder.name)
        seed = tomllib.loads((folder / "recipe.toml").read_text())["run"]["seed"]
        networks = [NETWORK | {"test_error": 0.1 * (1 + seed)}]
        result = {"schema": 1, "method": "random", "dataset": "digits", "seed": seed, "networks": networks}
        status = "failed" if folder.name in self.failing else "done"
        RunFolder(folder).write_result({**result, "status": status, "front": ["aa"], "best": "aa"})
        (folder / "events.jsonl").write_text("no event\n" if folder.name in self.damaging else "")
        if folder.name == self.stop_after:
            signals._receive(2, None)
            return 130
        return int(folder.name in self.failing)


@pytest.fixture
def runs(monkeypatch):
    monkeypatch.setattr(nasplug.cli.sweep, "carry_out", runs := Runs())
    return runs


@pytest.fixture
def sweep(few_images, tmp_path, monkeypatch):
    def call(*words: str) -> Result:
        monkeypatch.setattr("sys.argv", ["nasplug", "sweep", *words])
        small = ("--preset", "tiny", "--data", f"arrays:{few_images}", "--out", str(tmp_path / "out"))
        settings = ("--set", "data.validation=0", "--set", "select.measures=", "--set", "select.references=")
        words = ("sweep", *small, *settings, "--jobs", "1", "--threads", "1", *words)
        return CliRunner().invoke(main, words, catch_exceptions=False)

    return call


def test_every_combination_is_a_run_and_what_is_finished_is_not_repeated(runs, sweep, tmp_path):
    done = sweep("--methods", "random", "--spaces", "darts,nb201", "--seeds", "0,2")
    assert done.exit_code == 0, done.output
    assert runs.done == ["random-darts-0", "random-nb201-0", "random-darts-2", "random-nb201-2"]
    recipe = tomllib.loads((tmp_path / "out" / "random-nb201-2" / "recipe.toml").read_text())
    assert (recipe["run"]["seed"], recipe["space"]["part"]) == (2, "nb201")
    assert "80.00 % ± 14.14 %" in done.stdout  # of test errors of 10 % and 30 %
    assert (tmp_path / "out" / "compare.html").is_file()

    done = sweep("--methods", "random", "--spaces", "darts,nb201", "--seeds", "0-2")
    assert done.exit_code == 0, done.output
    assert runs.done[4:] == ["random-darts-1", "random-nb201-1"]


def test_a_run_that_fails_is_named_and_the_others_go_on(runs, sweep):
    runs.failing = {"random-0"}
    done = sweep("--methods", "random", "--seeds", "0-1")
    assert done.exit_code == 1
    assert runs.done == ["random-0", "random-1"]
    assert "1 of 2 runs failed: random-0." in done.stderr
    assert "random-1 | random" in done.stdout
    assert "random-0" not in done.stdout.partition("| data")[2]

    runs.failing = set()
    done = sweep("--methods", "random", "--seeds", "0-1")
    assert done.exit_code == 0, done.output
    assert runs.done == ["random-0", "random-1", "random-0"]


def test_a_run_that_cannot_be_started_is_named_and_the_others_go_on(runs, sweep, tmp_path):
    (tmp_path / "out" / "random-0").mkdir(parents=True)
    (tmp_path / "out" / "random-0" / "letter.txt").touch()
    done = sweep("--methods", "random", "--seeds", "0-1")
    assert done.exit_code == 1
    assert "exists already and is not an empty folder" in done.stderr
    assert runs.done == ["random-1"]


def test_a_sweep_in_which_nothing_finishes_says_so(runs, sweep, tmp_path):
    runs.failing = {"random-0"}
    done = sweep("--methods", "random", "--seeds", "0")
    assert done.exit_code == 1
    assert "Error: 1 of 1 runs failed: random-0." in done.stderr
    assert not (tmp_path / "out" / "compare.html").exists()


def test_what_a_failed_run_has_left_does_not_hide_that_it_failed(runs, sweep, tmp_path):
    runs.failing, runs.damaging = {"random-0"}, {"random-0"}
    done = sweep("--methods", "random", "--seeds", "0-1")
    assert done.exit_code == 1
    assert "1 of 2 runs failed: random-0." in done.stderr
    assert (tmp_path / "out" / "compare.html").is_file()


BREAKING = """
import attrs

from nasplug.builtin.methods import RANDOM
from nasplug.hookspecs import hookimpl
from nasplug.optimizers import RandomSearch

class Breaks(RandomSearch):
    def check(self, space, training):
        raise ValueError("bang")

METHOD = attrs.evolve(RANDOM, name="breaking", optimizer="toy")

@hookimpl
def nasplug_register(register):
    register.optimizer("toy", "breaking_plugin:Breaks", summary="A toy.")
    register.method("breaking", "breaking_plugin:METHOD", summary="A toy.")
"""


def test_a_plugin_that_breaks_when_a_run_starts_is_named_and_the_others_go_on(runs, sweep, tmp_path, monkeypatch):
    monkeypatch.setattr("sys.path", list(sys.path))
    (tmp_path / "breaking_plugin.py").write_text(BREAKING)
    done = sweep("--methods", "breaking,random", "--seeds", "0", "--plugin", str(tmp_path / "breaking_plugin.py"))
    assert done.exit_code == 1, done.output
    assert "broke in breaking_plugin.py, line 10 (check): ValueError: bang. Its author has to fix that" in done.stderr
    assert "1 of 2 runs failed: breaking-0." in done.stderr
    assert "Traceback" not in done.stderr
    assert runs.done == ["random-0"]
    assert not (tmp_path / "out" / "breaking-0").exists()


def test_a_defect_when_a_run_starts_is_shown_and_the_others_go_on(runs, sweep, monkeypatch):
    start = nasplug.cli.sweep.start

    def break_once(folder, *others):
        if folder.name == "random-0":
            raise IndexError("a defect")
        return start(folder, *others)

    monkeypatch.setattr(nasplug.cli.sweep, "start", break_once)
    done = sweep("--methods", "random", "--seeds", "0-1")
    assert done.exit_code == 1
    assert "Traceback" in done.stderr
    assert "IndexError: a defect" in done.stderr
    assert "1 of 2 runs failed: random-0." in done.stderr
    assert runs.done == ["random-1"]


def test_runs_that_go_on_do_so_as_the_machine_is_asked_for_now(runs, sweep, tmp_path):
    def recorded(name: str) -> dict[str, object]:
        return tomllib.loads((tmp_path / "out" / "random-0" / "recipe.toml").read_text())[name]

    runs.failing = {"random-0"}
    sweep("--methods", "random", "--seeds", "0", "--device", "cpu")
    before = recorded("run")
    words = ("--jobs", "3", "--set", "run.checkpoint_seconds=0", "--set", "executor.per_gpu=2", "--data-root", "there")
    sweep("--methods", "random", "--seeds", "0", *words)
    assert recorded("run") == before | {"jobs": 3, "checkpoint_seconds": 0.0}
    assert (recorded("executor")["per_gpu"], recorded("data")["root"]) == (2, "there")
    assert before["device"] == "cpu"

    refused = sweep("--methods", "random", "--seeds", "0", "--device", "cuda:99")
    assert "cuda:99" in refused.stderr
    assert runs.done == ["random-0", "random-0"]

    runs.failing = set()
    sweep("--methods", "random", "--seeds", "0")
    content = (tmp_path / "out" / "random-0" / "recipe.toml").read_bytes()
    sweep("--methods", "random", "--seeds", "0", "--jobs", "2")
    assert (tmp_path / "out" / "random-0" / "recipe.toml").read_bytes() == content


def test_a_signal_ends_the_sweep_and_says_how_to_go_on(runs, sweep):
    runs.stop_after = "random-1"
    done = sweep("--methods", "random", "--seeds", "0-3")
    assert done.exit_code == 130
    assert runs.done == ["random-0", "random-1"]
    assert "Go on with: nasplug sweep --methods random --seeds 0-3" in done.stderr


def test_another_recipe_is_refused_before_anything_runs(runs, sweep):
    assert sweep("--methods", "random", "--seeds", "1").exit_code == 0
    done = sweep("--methods", "random", "--seeds", "0-1", "--set", "retrain.epochs=9")
    assert done.exit_code == 2
    assert "retrain.epochs is 2 there and 9 here" in done.stderr
    assert runs.done == ["random-1"]


@pytest.mark.parametrize(
    ("words", "refusal"),
    [
        (("--set", "run.seed=4"), "--set run.seed=4 replaces what --seeds asks for"),
        (("--set", "run.method=darts"), "--set run.method=darts replaces what --methods asks for"),
        (("--spaces", "darts", "--set", "space.part=nb201"), "replaces what --spaces asks for"),
        (("--seeds", "0-999", "--spaces", "darts,nb201"), "This sweep would have 2,000 runs"),
    ],
)
def test_options_that_replace_what_a_sweep_is_over_are_refused(runs, sweep, words, refusal):
    done = sweep("--methods", "random", *words)
    assert done.exit_code == 2
    assert refusal in done.stderr
    assert runs.done == []


@pytest.mark.slow
def test_a_dry_run_lists_the_runs_and_leaves_nothing(runs, sweep, tmp_path):
    assert sweep("--methods", "random", "--seeds", "0").exit_code == 0
    done = sweep("--methods", "random", "--seeds", "0-1", "--dry-run")
    assert done.exit_code == 0, done.output
    rows = [line.split()[1:] for line in done.stdout.splitlines() if "random-" in line]
    assert rows == [["random", "darts", "0", "finished"], ["random", "darts", "1", "new"]]
    assert not (tmp_path / "out" / "random-1").exists()
    assert "About" in done.stderr


def test_options_are_those_of_a_run():
    def options(name: str) -> set[str]:
        command = main.get_command(None, name)
        return {option for parameter in command.params for option in parameter.opts}

    axes = {"--method", "--space", "--seed"}
    assert options("sweep") == options("run") - axes | {"--methods", "--spaces", "--seeds"}


def test_runs_are_those_of_nasplug_run(runs, sweep, here, few_images, tmp_path, monkeypatch):
    """The recipe of a run of a sweep is that of `nasplug run` with the same options."""
    recipes = []
    monkeypatch.setattr(nasplug.cli.run, "write_estimate", lambda plugins, recipe: recipes.append(recipe.to_dict()))
    words = ("--preset", "tiny", "--data", f"arrays:{few_images}", "--jobs", "1", "--threads", "1", "--seed", "3")
    settings = ("--set", "data.validation=0", "--set", "select.measures=", "--set", "select.references=")
    own = ("--epochs", "4", "--budget", "params=9k", "--max-macs", "70000", "--reference", "plain", "--space", "nb201")
    here("run", "--method", "random", *words, *settings, *own, "--dry-run")

    assert sweep("--methods", "random", "--seeds", "3", *own[:-2], "--spaces", "nb201").exit_code == 0
    recorded = tomllib.loads((tmp_path / "out" / "random-nb201-3" / "recipe.toml").read_text())
    recorded.pop("environment")
    assert recorded == recipes[0]


def test_a_size_that_was_chosen_from_the_images_is_no_other_recipe(sweep, runs, tmp_path):
    for number in range(40):
        path = tmp_path / "photos" / "ab"[number % 2] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (12, 13), number).save(path)
    words = ("--methods", "random", "--seeds", "0", "--data", f"folder:{tmp_path / 'photos'}")
    assert sweep(*words).exit_code == 0
    (run,) = (tmp_path / "out").glob("*/recipe.toml")
    assert tomllib.loads(run.read_text())["data"]["size"] == 12
    assert sweep(*words).exit_code == 0
    assert len(runs.done) == 1
    assert "data.size is 12 there and 16 here" in sweep(*words, "--set", "data.size=16").stderr


@pytest.mark.full
@pytest.mark.timeout(600)
def test_runs_by_an_executor_are_the_same_and_one_that_fails_is_named(sweep, tmp_path):
    few = ("select.networks=1", "select.random=0", "retrain.epochs=1")
    words = ("--methods", "random", "--seeds", "0-1", *(word for setting in few for word in ("--set", setting)))
    assert sweep(*words).exit_code == 0
    whole = {path.name: (path / "events.jsonl").read_bytes() for path in (tmp_path / "out").glob("random-*")}
    (tmp_path / "out").rename(tmp_path / "whole")

    (tmp_path / "out" / "random-1").mkdir(parents=True)
    (tmp_path / "out" / "random-1" / "letter.txt").touch()
    done = sweep(*words, "--executor", "local", "--jobs", "2", "--set", "executor.per_gpu=2")
    assert done.exit_code == 1
    assert "1 of 2 runs failed: random-1." in done.stderr
    (tmp_path / "out" / "random-1" / "letter.txt").unlink()
    done = sweep(*words, "--executor", "local", "--set", "run.jobs=2")
    assert done.exit_code == 0, done.output
    assert whole == {path.name: (path / "events.jsonl").read_bytes() for path in (tmp_path / "out").glob("random-*")}
    for name in whole:
        recipe = tomllib.loads((tmp_path / "out" / name / "recipe.toml").read_text())
        assert (recipe["run"]["jobs"], recipe["executor"]["part"]) == (1, "local")
    assert not (tmp_path / "out" / "workers.token").exists()
