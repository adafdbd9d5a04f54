"""A whole run, from the command line to a network in Python."""

from __future__ import annotations

import json
import re
import shutil
import tomllib

import attrs
import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from torchvision import models

import nasplug as package
from nasplug.compose import compose, read_config, recipe_sections, resolve
from nasplug.data import load_splits
from nasplug.errors import InputError
from nasplug.plugins import load_plugins
from nasplug.store.events import read_events
from nasplug.values import ImageShape, StepClock

pytestmark = [pytest.mark.slow, pytest.mark.timeout(450)]

LARGE_BATCHES = ("--set", "retrain.batch_size=256")
"""Few steps, for networks of which it does not matter what they have learnt."""


@pytest.fixture(scope="module")
def result(finished_run):
    return json.loads((finished_run / "result.json").read_text())


def test_the_result_holds_what_the_contract_says(finished_run, result):
    assert (result["schema"], result["status"], result["method"], result["space"]) == (1, "done", "dnad", "darts")
    assert result["data"]["classes"] == [str(digit) for digit in range(10)]
    roles = [network["role"] for network in result["networks"]]
    assert roles.count("found") == roles.count("random") == 2
    for network in result["networks"]:
        assert 0 <= network["test_error"] <= 1
        assert 0 <= network["val_error"] <= 1
        assert (finished_run / network["genotype"]).is_file()
        assert (finished_run / network["weights"]).is_file()
        assert set(network["network"]) == {"cells", "channels", "classes", "size", "stem"}
    assert {"teacher", "search"} < set(result["cost"])


def test_random_networks_have_the_size_of_what_they_are_compared_with(result):
    by_id = {network["id"]: network for network in result["networks"]}
    for network in result["networks"]:
        if network["role"] == "random":
            target = by_id[network["matched_to"]]
            assert abs(network["params"] - target["params"]) <= 0.05 * target["params"]


def test_splits_are_disjoint_and_cover_the_images(finished_run):
    splits = load_splits(finished_run / "splits.safetensors")
    indices = np.concatenate([splits.train, splits.validation, splits.test])

    assert sorted(indices) == list(range(1797))


def test_the_best_network_reproduces_its_recorded_error(finished_run, result):
    digits = load_digits()
    images = torch.from_numpy((digits.images * 255 / 16).round().astype(np.uint8))[:, None]
    test = load_splits(finished_run / "splits.safetensors").test
    best = package.load(finished_run).best(max_params=50_000)
    net = best.network()
    predicted = best.predict(images[test]).argmax(1).numpy()

    assert float((predicted != digits.target[test]).mean()) == pytest.approx(best.test_error, abs=1e-12)
    assert best.id == result["best"]
    assert sum(parameter.numel() for parameter in net.parameters()) == best.params
    assert not net.training


def test_limits_that_nothing_meets_are_refused_with_the_smallest(finished_run):
    with pytest.raises(InputError, match="the cheapest has"):
        package.load(finished_run).best(max_params=10)
    result = package.load(finished_run)
    with pytest.raises(InputError, match=r"has no trained network yet; go on: nasplug resume"):
        attrs.evolve(result, record={**result.record, "networks": []}).best()


def test_images_of_another_kind_are_refused(finished_run):
    with pytest.raises(InputError, match="uint8"):
        package.load(finished_run).best().predict(torch.zeros(1, 1, 8, 8, dtype=torch.int64))


def test_the_recipe_repeats_the_run(finished_run):
    layer = read_config(finished_run / "recipe.toml", recipe_sections(load_plugins()))
    sections = tomllib.loads((finished_run / "recipe.toml").read_text())

    assert resolve(load_plugins(), [layer]).to_dict() == {
        name: section for name, section in sections.items() if name != "environment"
    }


def test_the_supernet_shrinks_and_every_node_keeps_an_operation(finished_run):
    steps = [event for event in read_events(finished_run / "events.jsonl") if event["phase"] == "search"]
    alive = [event["alive"] for event in steps if event["event"] == "step"]
    snapshots = [event["snapshot"] for event in steps if event.get("snapshot")]

    assert alive == sorted(alive, reverse=True)
    assert alive[-1] < alive[0]
    assert len(snapshots) >= 2
    assert all(picked for snapshot in snapshots for picked in snapshot["picks"].values())


def test_the_controller_follows_its_specification(finished_run, specification):
    """Replays the events of the run through the released controller, written a second time in plain numbers."""
    layer = read_config(finished_run / "recipe.toml", recipe_sections(load_plugins()))
    parts = compose(load_plugins(), resolve(load_plugins(), [layer]))
    net = parts.space.supernet(ImageShape(channels=1, size=8, classes=10))
    net.choices.relaxation = parts.optimizer.relax
    parts.optimizer.initialise(net.choices, torch.Generator())
    epochs, steps = parts.recipe.search.epochs, len(load_splits(finished_run / "splits.safetensors").train) // 64
    parts.schedule.begin(net.choices, StepClock(steps, epochs))
    in_force = {
        "gamma_0": parts.schedule.gamma,
        "phi": parts.schedule.growth,
        "k": parts.schedule.relief,
        "n_max": parts.schedule.rate,
        "t_max": parts.schedule.patience,
        "tau": parts.schedule.memory,
        "s_min": parts.schedule.floor,
    }
    events = [event for event in read_events(finished_run / "events.jsonl") if event["phase"] == "search"]
    steps_taken = [event for event in events if event["event"] == "step"]

    assert specification.replay(steps_taken, in_force, steps) == []
    assert specification.replay(steps_taken[1:], in_force, steps) != []


def test_cells_of_one_type_have_topologies_of_their_own(finished_run):
    snapshots = [event["snapshot"] for event in read_events(finished_run / "events.jsonl") if event.get("snapshot")]
    cells: dict[str, list[object]] = {}
    for place, picked in snapshots[-1]["picks"].items():
        cells.setdefault(place.partition("/")[0], []).append(picked)

    assert len({json.dumps(cell) for cell in cells.values()}) == len(cells)


def test_the_report_stands_alone(finished_run, result):
    page = (finished_run / "report.html").read_text()

    assert all(network["id"] in page for network in result["networks"])
    assert not re.search(r'(?:src|href)="https?://', page)


def test_a_run_is_never_overwritten(here, finished_run):
    again = here("run", "--preset", "tiny", "--out", finished_run)

    assert again.exit_code == 2
    assert "nasplug resume" in again.stderr


def test_resuming_a_finished_run_changes_nothing(here, finished_run, tmp_path):
    run = tmp_path / "copy"  # the run itself is shared with tests in other processes
    shutil.copytree(finished_run, run)
    before = {path: path.read_bytes() for path in run.rglob("*.safetensors")}
    done = here("resume", run)

    assert done.exit_code == 0, done.output
    assert {path: path.read_bytes() for path in run.rglob("*.safetensors")} == before


def test_an_earlier_run_teaches_a_new_one(here, finished_run, tmp_path):
    out = tmp_path / "taught"
    words = ("run", "--method", "dnad", "--preset", "tiny", "--epochs", "1", "--set", "select.networks=1")
    words += ("--jobs", "1", "--threads", "1", "--set", "retrain.epochs=1", "--set", "search.batch_size=256")
    words += ("--set", "run.measure_every=0", *LARGE_BATCHES)
    done = here(*words, "--teacher-from", finished_run, "--out", out)

    assert done.exit_code == 0, done.output
    assert "teacher" not in json.loads((out / "result.json").read_text())["cost"]
    teachers = [folder / "phases" / "teacher" / "network.safetensors" for folder in (finished_run, out)]
    assert teachers[0].read_bytes() == teachers[1].read_bytes()


def test_retraining_again_keeps_the_search(here, finished_run, tmp_path):
    out = tmp_path / "again"
    words = ("retrain", finished_run, "--out", out, "--epochs", "1", "--set", "select.networks=1")
    done = here(*words, "--set", "retrain.channels=6", *LARGE_BATCHES)

    assert done.exit_code == 0, done.output
    result = json.loads((out / "result.json").read_text())
    assert [network["network"]["channels"] for network in result["networks"]] == [6, 6]
    assert result["status"] == "done"


def test_the_same_networks_are_trained_again_from_another_seed(here, finished_run, result, tmp_path):
    out = tmp_path / "again"

    words = ("--same-networks", "--seed", "1", "--epochs", "1", "--jobs", "2", *LARGE_BATCHES)
    done = here("retrain", finished_run, "--out", out, *words)

    assert done.exit_code == 0, done.output
    run = tomllib.loads((out / "recipe.toml").read_text())["run"]
    assert (run["seed"], run["jobs"]) == (1, 2)
    before, after = result["networks"], json.loads((out / "result.json").read_text())["networks"]
    for entry in ("id", "role", "matched_to", "params", "macs"):
        assert [network[entry] for network in after] == [network[entry] for network in before]
    assert [network["train_loss"] for network in after] != [network["train_loss"] for network in before]
    assert (out / "splits.safetensors").read_bytes() == (finished_run / "splits.safetensors").read_bytes()


@pytest.mark.parametrize(
    "options",
    [
        ("--max-params", "5000"),
        ("--set", "select.networks=1"),
        ("--set", "retrain.channels=6"),
        ("--set", "latency.repeats=77"),
        ("--set", "plain.width=2"),
    ],
)
def test_the_same_networks_are_not_selected_otherwise(here, finished_run, tmp_path, options):
    refused = here("retrain", finished_run, "--out", tmp_path / "again", "--same-networks", *options)
    assert refused.exit_code == 2
    assert "--same-networks trains the networks that the earlier run has selected" in refused.stderr
    assert not (tmp_path / "again").exists()


def test_a_shorthand_of_a_limit_takes_the_place_of_the_limit_of_the_budget(here, finished_run, tmp_path):
    words = ("--budget", "params=50k", "--set", "select.max_params=10")
    refused = here("retrain", finished_run, "--out", tmp_path / "again", *words)
    assert refused.exit_code == 2
    assert "at most 10 params" in refused.stderr


def test_retraining_again_learns_from_the_teacher_of_the_search_or_from_another(here, finished_run, tmp_path):
    out = tmp_path / "distilled"
    options = ("--epochs", "1", "--set", "select.networks=1", "--set", "retrain.distil=0.5", *LARGE_BATCHES)
    done = here("retrain", finished_run, "--out", out, *options, "--set", "retrain.channels=6")
    assert done.exit_code == 0, done.output
    result = json.loads((out / "result.json").read_text())
    validated = json.loads((finished_run / "phases" / "teacher" / "done.json").read_text())["val_error"]
    assert result["distillation"]["teacher"] == {"from": None, "val_error": validated, "seen": 0}
    assert f"trained before the search, validation error {100 * validated:.2f} %" in (out / "report.html").read_text()

    other = ("--set", f"run.teacher_from={finished_run}")
    refused = here("retrain", finished_run, "--out", tmp_path / "refused", *options, *other)
    assert refused.exit_code == 2
    assert "learnt from the network of its teacher 'features'" in refused.stderr
    assert not (tmp_path / "refused").exists()

    searched, taught = tmp_path / "random", tmp_path / "taught"
    words = ("run", "--method", "random", "--preset", "tiny", "--seed", "7", "--jobs", "1", "--threads", "1")
    words += ("--set", "select.networks=1", "--set", "retrain.epochs=1", *LARGE_BATCHES)
    assert here(*words, "--out", searched).exit_code == 0
    refused = here("retrain", searched, "--out", taught, *options)
    assert refused.exit_code == 2
    assert "the run has none, since its teacher is 'labels'" in refused.stderr
    done = here("retrain", searched, "--out", taught, *options, *other)
    assert done.exit_code == 0, done.output
    result = json.loads((taught / "result.json").read_text())
    assert result["distillation"]["teacher"] == {"from": str(finished_run), "val_error": validated, "seen": 0}


def test_a_sample_of_a_search_learns_from_the_teacher_of_its_run(here, finished_run, tmp_path):
    run = tmp_path / "run"  # the run itself is shared with tests in other processes
    shutil.copytree(finished_run, run)
    recipe = (run / "recipe.toml").read_text()
    (run / "recipe.toml").write_text(recipe.replace("distil = 0.0", "distil = 0.5"))
    done = here("rank", run, "--networks", "3", "--epochs", "1")
    assert done.exit_code == 0, done.output
    assert json.loads((run / "rank" / "result.json").read_text())["distillation"]["weight"] == 0.5


def test_blocks_and_networks_learn_from_a_pretrained_network(here, few_images, tmp_path):
    torch.manual_seed(0)
    weights = tmp_path / "weights.pth"
    torch.save(models.get_model("squeezenet1_1", weights=None).state_dict(), weights)
    options = ("run.teacher_resolution=64", "teacher.epochs=1", "search.epochs=1", "retrain.epochs=1")
    options += ("select.networks=1", "data.validation=0", "retrain.distil=0.5", f"run.teacher_weights={weights}")
    words = ("run", "--method", "dna", "--preset", "tiny", "--data", f"arrays:{few_images}", "--jobs", "1")
    words += ("--teacher-from", "torchvision:squeezenet1_1", "--threads", "1", "--out", tmp_path / "run")
    done = here(*words, *(word for option in options for word in ("--set", option)))
    assert done.exit_code == 0, done.output
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert result["status"] == "done"
    assert result["distillation"]["teacher"]["from"] == "torchvision:squeezenet1_1"


@pytest.mark.parametrize("words", [("darts",), ("random",), ("dnad", "--optimizer", "bilevel", "--schedule", "keep")])
def test_other_methods_and_mixtures_go_all_the_way(here, few_images, tmp_path, words):
    options = ("--preset", "tiny", "--epochs", "2", "--set", "retrain.epochs=2", "--set", "select.networks=1")
    options += ("--data", f"arrays:{few_images}", "--set", "data.validation=0", "--jobs", "1", "--threads", "1")
    options += ("--set", "run.measure_every=0")
    done = here("run", "--method", *words, *options, "--out", tmp_path / "run")

    assert done.exit_code == 0, done.output
    result = json.loads((tmp_path / "run" / "result.json").read_text())
    assert (result["status"], result["method"]) == ("done", words[0])
    assert any(network["role"] == "found" for network in result["networks"])
